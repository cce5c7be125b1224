"""What file names say: the factors of face sets whose names are codes, and the named parts of any pattern."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from PIL import Image

from rsa_face.safety import write_beside
from rsa_face.schema import must_be_known
from rsa_face.stimuli.catalogue import FORMATS, StimulusSet, read_stimuli

_MOST = 20
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class NamePreset:
    """How the images of one published set are called: a pattern of the name, and the words its codes stand for."""

    about: str
    pattern: str
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_SEX = {"f": "female", "m": "male"}
_TWO_LETTERS = {
    "af": "fear", "an": "anger", "ca": "calm", "di": "disgust", "fe": "fear", "ha": "happy", "ne": "neutral",
    "sa": "sad", "sp": "surprise", "su": "surprise",
}  # fmt: skip
_ANGLES = {
    "fl": "full left profile", "hl": "half left profile", "s": "straight", "hr": "half right profile",
    "fr": "full right profile",
}  # fmt: skip
_ADJECTIVES = {
    "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear", "surprised": "surprise",
}  # fmt: skip

# Emotions are named alike in all sets, so that tables of several sets can be put together.
PRESETS: dict[str, NamePreset] = {
    # the codes in "About KDEF", which comes with the pictures: AF01ANFL.JPG
    "kdef": NamePreset(
        "Karolinska Directed Emotional Faces (AF01ANS)",
        r"(?P<series>[AB])(?P<identity>(?P<gender>[FM])\d\d)"
        r"(?P<emotion>AF|AN|DI|HA|NE|SA|SU)(?P<angle>FL|HL|S|HR|FR)",
        {"gender": _SEX, "emotion": _TWO_LETTERS, "angle": _ANGLES},
    ),
    # Langner et al. 2010, 10.1080/02699930903485076: Rafd090_01_Caucasian_female_angry_frontal.jpg
    "rafd": NamePreset(
        "Radboud Faces Database (Rafd090_01_Caucasian_female_angry_frontal)",
        r"Rafd(?P<angle>\d{3})_(?P<identity>\d\d)_(?P<ethnicity>[A-Za-z]+)_(?P<gender>female|male)_"
        r"(?P<emotion>[a-z]+)_(?P<gaze>frontal|left|right)",
        {"emotion": _ADJECTIVES},
    ),
    # Lyons et al. 1998, 10.1109/AFGR.1998.670949, and the README beside the images: KA.AN1.39.tiff
    "jaffe": NamePreset(
        "Japanese Female Facial Expression (KA.AN1.39)",
        r"(?P<identity>[A-Z]{2})\.(?P<emotion>AN|DI|FE|HA|NE|SA|SU)(?P<take>\d)\.(?P<number>\d+)",
        {"emotion": _TWO_LETTERS},
    ),
    # Tottenham et al. 2009, 10.1016/j.psychres.2008.05.006: 01F_AN_C.bmp
    "nimstim": NamePreset(
        "NimStim Set of Facial Expressions (01F_AN_C)",
        r"(?P<identity>\d\d(?P<gender>[FM]))_(?P<emotion>AN|CA|DI|FE|HA|NE|SA|SP)_(?P<mouth>[OCX])",
        {"gender": _SEX, "emotion": _TWO_LETTERS, "mouth": {"o": "open", "c": "closed", "x": "exuberant"}},
    ),
    # Ma, Correll & Wittenbrink 2015, 10.3758/s13428-014-0532-5, and its extensions of multiracial and Indian faces:
    # CFD-WM-001-014-HC.jpg, CFD-MM-306-010-N.jpg, CFD-IF-601-519-N.jpg
    "cfd": NamePreset(
        "Chicago Face Database (CFD-WM-001-014-HC)",
        r"CFD-(?P<identity>(?P<ethnicity>[ABILMW])(?P<gender>[FM])-\d{3})-(?P<number>\d{3})-"
        r"(?P<emotion>N|A|F|H(?P<mouth>[CO]))",
        {
            "ethnicity": {"a": "asian", "b": "black", "i": "indian", "l": "latino", "m": "multiracial", "w": "white"},
            "gender": _SEX,
            "emotion": {"n": "neutral", "a": "anger", "f": "fear", "hc": "happy", "ho": "happy"},
            "mouth": {"o": "open", "c": "closed"},
        },
    ),
    # the Readme.txt beside the images: performer, performance, view, expression, number: 0121b01.jpg; it leaves out
    # the performance 0, which all neutral faces have. Not TFEID (Chen & Yen 2007), whose names it does not describe
    "taiwan": NamePreset(
        "Taiwanese facial expressions by 30 performers (0121b01)",
        r"(?P<identity>\d\d)(?P<performance>[0-3])(?P<angle>[123])(?P<emotion>[a-g])(?P<number>\d\d)",
        {
            "performance": {"0": "none", "1": "theatrical", "2": "FACS", "3": "personal event"},
            "angle": {"1": "front", "2": "three quarters", "3": "profile"},
            "emotion": dict(zip("abcdefg", (
                "neutral", "happy", "sad", "anger", "disgust", "fear", "surprise"), strict=True)),
        },
    ),
    # Ebner, Riediger & Lindenberger 2010, 10.3758/BRM.42.1.351: 004_o_m_a_a.jpg
    "faces": NamePreset(
        "FACES of the Max Planck Institute for Human Development (004_o_m_a_a)",
        r"(?P<identity>\d{3})_(?P<age>[yom])_(?P<gender>[fm])_(?P<emotion>[adfhns])_(?P<series>[ab])",
        {
            "age": {"y": "young", "m": "middle-aged", "o": "old"},
            "gender": _SEX,
            "emotion": {"a": "anger", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "s": "sad"},
        },
    ),
    # DeBruine & Jones 2017, 10.6084/m9.figshare.5047666: 001_03.jpg in neutral_front, 001_08.jpg in smiling_front
    "london": NamePreset(
        "Face Research Lab London Set (001_03, or 001_neutral)",
        r"(?P<identity>\d{3})_(?P<emotion>03|08|neutral|smiling)",
        {"emotion": {"03": "neutral", "08": "smiling"}},
    ),
}  # fmt: skip


def as_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a name, from a regular expression or from a text such as ``{participant}_{session}.csv``.

    Examples
    --------
    >>> as_pattern("sub-{participant}.csv").fullmatch("sub-07.csv").groupdict()
    {'participant': '07'}
    """
    names = _PLACEHOLDER.findall(text)
    if names and "(?P<" not in text:
        parts = _PLACEHOLDER.split(text)
        text = "".join(f"(?P<{part}>[^/]+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as error:
        message = (
            f"{text!r} is no pattern of names: {error}. Write {{identity}}_{{emotion}}, or a regular expression."
        )
        raise ValueError(message) from error
    if not pattern.groupindex:
        message = f"{text!r} names no parts. Write {{identity}}_{{emotion}}, or (?P<identity>..)_(?P<emotion>..)."
        raise ValueError(message)
    return pattern


def parts_of_name(pattern: re.Pattern[str], path: Path) -> dict[str, str] | None:
    """Return the named parts of a file's name, or of its folders and name where the pattern has a slash.

    The ending may be left out of the pattern. None where the name does not match.
    """
    depth = pattern.pattern.replace("[^/]", "").count("/")
    whole = "/".join(path.parts[-depth - 1 :])
    match = pattern.fullmatch(whole.removesuffix(path.suffix)) or pattern.fullmatch(whole)
    return None if match is None else {name: value or "" for name, value in match.groupdict().items()}


def stimuli_from_names(
    folder: str | Path,
    *,
    preset: str | None = None,
    pattern: str | None = None,
    out: str | Path | None = None,
) -> StimulusSet:
    """Make a stimulus table from the names of images, whose codes become factors.

    Parameters
    ----------
    folder : str or Path
        Images are looked for in it and in the folders below.
    preset : str, optional
        A published set: ``kdef``, ``rafd``, ``jaffe``, ``nimstim``, ``cfd``, ``faces``, ``london`` or ``taiwan``. Its
        codes become words, the same for all sets (``AN`` and ``angry`` are ``anger``).
    pattern : str, optional
        The names of your own images: ``{identity}_{emotion}``, or a regular expression with named groups. It has to
        match the whole name, with or without the ending; with a slash, the folders above, too.
    out : str or Path, optional
        The table to write; ``stimuli.csv`` in the folder unless given.

    Returns
    -------
    StimulusSet
        As `read_stimuli` reads the table: `stimulus` (the name without its ending), `file`, and the factors.

    Warns
    -----
    UserWarning
        If names do not match: they are listed and left out, and named in ``table.attrs["unmatched"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If both or neither of preset and pattern are given, no name matches, or two images would get one id.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("AF01ANS", "AF01HAS"):
    ...         Image.new("L", (8, 8)).save(Path(folder, f"{name}.jpg"))
    ...     faces = stimuli_from_names(folder, preset="kdef")
    >>> faces.table[["identity", "emotion"]].values.tolist()
    [['F01', 'anger'], ['F01', 'happy']]
    """
    folder = Path(folder)
    if (preset is None) == (pattern is None):
        message = f"{'Neither' if preset is None else 'Both'} of preset and pattern are given. Give one of them."
        raise ValueError(message)
    if not folder.is_dir():
        message = f"No such folder: {str(folder)!r}. Name the folder of the images."
        raise FileNotFoundError(message)
    if preset is not None:
        must_be_known(preset, PRESETS, "preset of file names")
    named = PRESETS[preset] if preset is not None else NamePreset("", str(pattern))
    compiled = as_pattern(named.pattern)
    clash = sorted({"stimulus", "file"} & set(compiled.groupindex))
    if clash:
        message = f"The pattern names a part {clash[0]!r}, which the table has already. Name it otherwise."
        raise ValueError(message)
    table = Path(out) if out is not None else folder / "stimuli.csv"
    rows, unmatched = _rows_of(folder, table, compiled, named.words)
    if preset is not None:  # NimStim has both 01f_an_c and 01F_CA_C
        rows = [{**row, "identity": row["identity"].upper()} for row in rows]
    _report_unmatched(unmatched, len(rows), folder, named.about or repr(pattern))
    _must_differ(rows, folder)
    frame = pd.DataFrame(rows)
    if table.parent != folder:
        table.parent.mkdir(parents=True, exist_ok=True)
    with write_beside(table) as beside:
        frame.to_csv(beside, index=False, lineterminator="\n")
    stimuli = read_stimuli(table)
    stimuli.table.attrs["unmatched"] = unmatched
    return stimuli


def _rows_of(
    folder: Path, table: Path, pattern: re.Pattern[str], words: Mapping[str, Mapping[str, str]]
) -> tuple[list[dict[str, str]], list[str]]:
    Image.init()
    endings = {ending for ending, kind in Image.EXTENSION.items() if kind in FORMATS}
    rows, unmatched = [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in endings or not path.is_file():
            continue
        parts = parts_of_name(pattern, path)
        if parts is None:
            unmatched.append(path.relative_to(folder).as_posix())
            continue
        factors = {name: words.get(name, {}).get(value.lower(), value) for name, value in parts.items()}
        file = Path(os.path.relpath(path, table.parent)).as_posix()
        rows.append({"stimulus": path.name.removesuffix(path.suffix), "file": file, **factors})
    return rows, unmatched


def _report_unmatched(unmatched: list[str], matched: int, folder: Path, what: str) -> None:
    more = f" and {len(unmatched) - _MOST} more" if len(unmatched) > _MOST else ""
    listing = ", ".join(unmatched[:_MOST]) + more
    if not matched:
        has = f"its images are called {listing}" if unmatched else "it holds no images"
        message = f"No image of {str(folder)!r} is called as {what} says: {has}. Choose another preset or pattern."
        raise ValueError(message)
    if unmatched:
        message = f"{len(unmatched)} of {matched + len(unmatched)} images are not called as {what} says: {listing}."
        warnings.warn(f"{message} They are left out.", stacklevel=3)


def _must_differ(rows: list[dict[str, str]], folder: Path) -> None:
    """Give images of one name in several folders ids with the folder before the name, and refuse other twins."""
    counts = Counter(row["stimulus"] for row in rows)
    for row in rows:
        if counts[row["stimulus"]] > 1:
            row["stimulus"] = f"{Path(row['file']).parent.name}_{row['stimulus']}"
    twins = [name for name, count in Counter(row["stimulus"] for row in rows).items() if count > 1]
    if twins:
        message = f"Several images of {str(folder)!r} would be the stimulus {', '.join(twins[:_MOST])}. Rename them."
        raise ValueError(message)
