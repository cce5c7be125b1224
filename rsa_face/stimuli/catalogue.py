"""The stimulus table: which images there are, where they lie, and what is known of each; and how files are opened."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from PIL import Image

from rsa_face import markup
from rsa_face.provenance import hash_content, hash_file
from rsa_face.safety import SAVE_AS_CSV, first_of, in_short, must_be_plain_names, reading, warn_alike
from rsa_face.schema import MISSING, repeated

_NAMES = ("stimulus", "file", "identity")
_SHOWN = 12  # pictures in a notebook
MOST_PIXELS = 100_000_000
# pillow would also open kinds that hand the file to another program (EPS to Ghostscript)
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "TGA", "ICO")


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """A checked set of images: ids, files and factors, in the order of its table.

    Made by `read_stimuli`. It is never changed: the verbs return a new set.

    Parameters
    ----------
    table : DataFrame, one row a stimulus
        Columns `stimulus` (unique id, text), `file` (absolute path, text), then any factors: `identity`,
        `level` (-1 sad ... +1 happy), `occlusion`, ... Region columns (`eyes`, `nose`, `mouth`) hold
        ``left top right bottom`` in pixels of the image file.

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table)
    >>> len(stimuli.select(identity="face01", level=[-1, 1]))
    2
    """

    table: pd.DataFrame

    @property
    def ids(self) -> list[str]:
        """The stimulus ids, in order."""
        return [str(value) for value in self.table["stimulus"]]

    @property
    def files(self) -> list[Path]:
        """The image files, in order."""
        return [Path(value) for value in self.table["file"]]

    @property
    def factors(self) -> list[str]:
        """The names of the factor columns."""
        return [str(name) for name in self.table.columns if name not in ("stimulus", "file")]

    def __len__(self) -> int:
        return len(self.table)

    def _repr_html_(self) -> str:
        """Show in a notebook how many stimuli there are, of which factors, and some of their pictures."""
        values = [(name, self.table[name].nunique(), ", ".join(map(str, self.table[name].unique()[:6])))
                  for name in self.factors]  # fmt: skip
        spread = np.unique(np.linspace(0, len(self) - 1, min(len(self), _SHOWN)).round().astype(int))
        images = []
        for place in spread if len(self) else ():
            with suppress(OSError, ValueError), open_picture(self.files[place]) as opened:
                images.append((self.ids[place], opened.copy()))
        return (
            markup.paragraph(f"{len(self)} stimuli")
            + markup.pictures(images)
            + (markup.table(("factor", "values", "such as"), values) if values else "")
        )

    def select(self, **factors: object) -> Self:
        """Return the stimuli whose factors have the given values.

        Parameters
        ----------
        **factors : object
            A factor's name and the value, or list of values, to keep: ``occlusion="none"``.

        Returns
        -------
        StimulusSet
            Those stimuli, in this order.

        Raises
        ------
        ValueError
            If a factor is unknown, or no stimulus has the value.
        """
        chosen = pd.Series(data=True, index=self.table.index)
        for name, value in factors.items():
            if name not in self.table.columns:
                message = f"No factor {name!r} in the stimulus table. It has {self.factors}."
                raise ValueError(message)
            chosen &= self.table[name].isin(value if isinstance(value, list | tuple) else [value])
        if not chosen.any():
            message = f"No stimulus of {len(self)} has {factors}. Check the values."
            raise ValueError(message)
        return type(self)(self.table[chosen].reset_index(drop=True))

    def content_hash(self) -> str:
        """Return the BLAKE3 hash of ids, factors and image bytes: it changes when any of them does.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        columns = {str(name): self.table[name].astype(str).tolist() for name in self.table if name != "file"}
        return hash_content(columns, [hash_file(file) for file in self.files])


def read_stimuli(table: str | Path) -> StimulusSet:
    """Read a stimulus table and check every line of it.

    Paths in the table are relative to the table's folder. The images are found, not opened: a broken image is
    named when it is read.

    Parameters
    ----------
    table : str or Path
        A CSV (or TSV) file with the columns `stimulus` (unique id) and `file`, and any factors.

    Returns
    -------
    StimulusSet
        In the table's order.

    Raises
    ------
    FileNotFoundError
        If the table is missing, or images are; all missing images are named at once.
    ValueError
        If a column is missing, the table is empty, or an id is empty or occurs twice.

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = read_stimuli(rf.load_study("demo").stimuli.table)
    >>> len(stimuli), stimuli.ids[0]
    (54, 'face01_sad100')
    """
    path = Path(table)
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the path of the stimulus table."
        raise FileNotFoundError(message)
    frame = _read_columns(path)
    ids = frame["stimulus"].tolist()
    faults = [f"line {line} has no id" for line, value in enumerate(ids, start=2) if not value]
    faults += [f"{value!r} stands on lines {_lines_of(value, ids)}" for value in repeated(ids) if value]
    if faults:
        message = f"Ids missing or given twice in {path.name}: {first_of(faults, '; ')}. Rename these stimuli."
        raise ValueError(message)
    for name in frame.columns:
        must_be_plain_names([name, *frame[name]], str(name) if name == "stimulus" else f"value of {name}", path.name)
    warn_alike(ids, "stimulus", path.name)
    frame["file"] = find_images(frame["file"].tolist(), path)
    return StimulusSet(frame)


def find_images(files: Sequence[object], table: Path) -> list[str]:
    """Return where the images of a table lie."""
    paths, absent = [], []
    for line, file in enumerate(files, start=2):
        path = _place_of(table.parent, str(file))
        paths.append(str(path))
        if path is None:
            written = str(table.parent / str(file))[:300].replace("\0", "\\0")
            absent.append(f"line {line}: {written}")
    if absent:
        message = (
            f"Images of {table.name} do not exist: {first_of(absent, '; ')}. Check the paths, which are "
            "relative to the table's folder."
        )
        raise FileNotFoundError(message)
    return paths


def _place_of(folder: Path, file: str) -> Path | None:
    try:
        # a table made on Windows has backslashes between folders
        paths = [(folder / name).resolve() for name in (file, file.replace("\\", "/"))]
        return next((path for path in paths if path.is_file()), None)
    except (OSError, ValueError, RuntimeError):  # a name too long, a null byte, a link that leads to itself
        return None


def _read_columns(path: Path) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    how: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig", "compression": None, "keep_default_na": False}
    with reading(path, "A stimulus table is a CSV or TSV file in UTF-8", then=SAVE_AS_CSV):
        columns = [str(name) for name in pd.read_csv(path, nrows=0, **how)]
        # NA may be the name of a person or a stimulus, and not of a level
        missing_values = {name: [""] if name in _NAMES else list(MISSING) for name in columns}
        frame: pd.DataFrame = pd.read_csv(path, dtype={"stimulus": str, "file": str}, na_values=missing_values, **how)
    missing = [name for name in ("stimulus", "file") if name not in frame.columns]
    if missing:
        then = "Save it with commas." if any(";" in str(name) for name in frame.columns) else "Rename, or add them."
        message = f"No column {' or '.join(missing)} in {path.name}. It has {list(frame.columns)}. {then}"
        raise ValueError(message)
    if frame.empty:
        message = f"No rows in {path.name}. Add a line for each stimulus."
        raise ValueError(message)
    for name in ("stimulus", "file"):
        frame[name] = frame[name].fillna("").astype(object)
    return frame[["stimulus", "file", *(name for name in frame.columns if name not in ("stimulus", "file"))]]


def _lines_of(value: str, ids: list[str]) -> list[int]:
    return [line for line, other in enumerate(ids, start=2) if other == value]


@contextmanager
def open_picture(file: str | Path) -> Iterator[Image.Image]:
    """Open an image file and close it; what is wrong with it, then or while it is decoded, is one ValueError."""
    path = Path(file)
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the stimulus table."
        raise FileNotFoundError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            opened = Image.open(path, formats=FORMATS)
        with opened as image:
            columns, rows = image.size
            if columns * rows > MOST_PIXELS:
                message = f"it says {columns} x {rows}, more than {MOST_PIXELS:,} pixels"
                raise OSError(message)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # a camera's photograph with previews
                message = f"it holds {frames} frames or pages, and one is a stimulus; save that one as an image"
                raise OSError(message)
            yield image
    except Exception as error:
        message = f"Cannot read the image {str(path)!r}: {in_short(error)}. Replace the file."
        raise ValueError(message) from error
