"""Training tables: which faces a network learns from, whose they are, and what they express."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rsa_face.provenance import hash_content, hash_file, rng_from
from rsa_face.stimuli.catalogue import StimulusSet, find_images
from rsa_face.training.settings import HAPPY, SAD
from rsa_face.untrusted import SAVE_AS_CSV, reading


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """Images with the class each one shows, in the order of their table.

    Made by `read_training` and its siblings. It is never changed.

    Parameters
    ----------
    table : DataFrame, one row an image
        Columns `stimulus` (text), `file` (absolute path, text), `class` (one of `classes`), then whatever else is
        known: `identity`, `occlusion`, `level`; `face` holds ``left top right bottom`` of the face in pixels of
        the file, where only that part is to be seen.
    classes : tuple of str
        What the network's outputs stand for, in order.
    left_out : tuple of str
        What was not taken from the source and why, with counts.
    """

    table: pd.DataFrame
    classes: tuple[str, ...] = (SAD, HAPPY)
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def targets(self) -> np.ndarray:
        """The index of each image's class, int64, in order."""
        place = {name: index for index, name in enumerate(self.classes)}
        return np.array([place[str(name)] for name in self.table["class"]], dtype=np.int64)

    @property
    def identities(self) -> list[str]:
        """Whose face each image shows; empty if the table does not say."""
        return [str(value) for value in self.table["identity"]] if "identity" in self.table else []

    def take(self, rows: Sequence[int] | np.ndarray) -> "TrainingTable":
        """Return the images at some places of the table.

        Parameters
        ----------
        rows : sequence of int
            Places, counted from 0.

        Returns
        -------
        TrainingTable
            Those images, in this order.
        """
        return replace(self, table=self.table.iloc[list(rows)].reset_index(drop=True))

    def content_hash(self) -> str:
        """Return the BLAKE3 hash of classes, identities and image bytes: it changes when any of them does.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        columns = {
            name: self.table[name].astype(str).tolist()
            for name in ("class", "identity", "face")
            if name in self.table
        }
        files = [hash_file(file) if Path(file).is_file() else "" for file in self.table["file"]]
        return hash_content(list(self.classes), columns, files)


def read_training(
    path: str | Path,
    *,
    label: str = "valence",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read a training table and check every line of it.

    Paths in the table are relative to its folder. What the label column holds decides how it is read: names are
    classes; numbers above 0 are happy, below 0 sad, and 0 is neither and left out.

    Parameters
    ----------
    path : str or Path
        A CSV or TSV file with the columns `file` and the label, and if known `identity` and other factors.
    label : str
        The column that holds the class.
    classes : sequence of str
        The network's outputs, in order. With more than these in the table, give a `rule`.
    rule : mapping of str to str, optional
        Which class each value of the label column belongs to; values it does not name are left out and counted.

    Returns
    -------
    TrainingTable
        In the table's order.

    Raises
    ------
    FileNotFoundError
        If the table is missing, or images are.
    ValueError
        If a column is missing, the table is empty, a label is no class, or a class has no image.
    """
    path = Path(path)
    if not path.is_file():
        message = f"A training table must exist to be read, but there is no file {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    frame = _read_columns(path, label)
    frame["file"] = find_images(frame["file"].tolist(), path)
    return label_images(frame, label=label, classes=classes, rule=rule, source=path.name)


def label_images(
    frame: pd.DataFrame | StimulusSet,
    *,
    label: str = "valence",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
    source: str = "the table",
) -> TrainingTable:
    """Give images the class that a column names: stimuli become a table to test a trained network on.

    Parameters
    ----------
    frame : DataFrame or StimulusSet
        With the columns `file` and the label. Not changed.
    label : str
        The column that holds the class, by name or by sign: ``level`` of a continuum.
    classes : sequence of str
        The network's outputs, in order.
    rule : mapping of str to str, optional
        Which class each value of the label column belongs to; values it does not name are left out and counted.
    source : str
        What to call the table in an error.

    Returns
    -------
    TrainingTable
        In the table's order, without the images that belong to no class; these are counted.

    Raises
    ------
    FileNotFoundError
        If images are missing.
    ValueError
        If the column is missing, a label is no class, or a class has no image.
    """
    table = (frame.table if isinstance(frame, StimulusSet) else frame).copy()
    if label not in table.columns:
        message = f"The label must be a column of {source}, but {label!r} is not. It has {list(table.columns)}."
        raise ValueError(message)
    given = table[label].copy()
    table["class"] = _classes_of(given, label, tuple(classes), rule, source)
    out = table["class"].isna()
    left = given[out].astype(str).value_counts().sort_index()
    left_out = tuple(f"{count} with {label} {value}" for value, count in left.items())
    table = table[~out].reset_index(drop=True)
    if "stimulus" not in table.columns:
        table.insert(0, "stimulus", [Path(file).stem for file in table["file"]])
    absent = [str(file) for file in table["file"] if not Path(file).is_file()]
    if absent:
        more = f" and {len(absent) - 20} more" if len(absent) > 20 else ""
        message = f"Every image of {source} must exist, but these do not: {'; '.join(absent[:20])}{more}."
        raise FileNotFoundError(message)
    result = TrainingTable(table, tuple(classes), left_out)
    must_show(result, (SAD, HAPPY), source)
    return result


def split_by_identity(table: TrainingTable, fraction: float, *, seed: int) -> tuple[TrainingTable, TrainingTable]:
    """Set identities aside for validation, so that no face is on both sides.

    Parameters
    ----------
    table : TrainingTable
        With an `identity` column. Not changed.
    fraction : float
        Of the identities, above 0 and below 1; at least one is set aside.
    seed : int
        Which ones.

    Returns
    -------
    TrainingTable, TrainingTable
        To train on, and to validate with.

    Raises
    ------
    ValueError
        If the table names no identities, or one alone, or a class is lost on either side.
    """
    names = sorted(set(table.identities))
    if len(names) < 2:
        message = (
            f"Validation must be split by identity, but the training table names {names}. Add an identity column "
            "with two or more, or train without validation."
        )
        raise ValueError(message)
    count = min(max(round(fraction * len(names)), 1), len(names) - 1)
    aside = set(rng_from(seed, "validation").permutation(names)[:count].tolist())
    inside = np.array([identity in aside for identity in table.identities])
    parts = table.take(np.flatnonzero(~inside)), table.take(np.flatnonzero(inside))
    for part, name in zip(parts, ("the training identities", "the validation identities"), strict=True):
        must_show(part, (SAD, HAPPY), name)
    return parts


def must_show(table: TrainingTable, classes: Sequence[str], source: str) -> None:
    """Refuse a table in which a class has no image: nothing can be learnt from it, or said of it.

    Parameters
    ----------
    table : TrainingTable
        Any table.
    classes : sequence of str
        Those it must show.
    source : str
        What to call it in the error.

    Raises
    ------
    ValueError
        If a class has no image; all counts are given.
    """
    counts = {name: int((table.table["class"] == name).sum()) for name in classes}
    if not all(counts.values()):
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        message = f"Every class must have images to be learnt or tested, but {source} has {found}. Add the missing."
        raise ValueError(message)


def must_not_share_faces(table: TrainingTable, held_out: TrainingTable) -> None:
    """Refuse a test on faces the network was trained on.

    Parameters
    ----------
    table, held_out : TrainingTable
        What is trained on, and what is tested with.

    Raises
    ------
    ValueError
        If an identity, or an image file, is in both; they are named.
    """
    shared = sorted(set(table.identities) & set(held_out.identities))
    files = sorted({str(file) for file in table.table["file"]} & {str(file) for file in held_out.table["file"]})
    if shared or files:
        both = f"identities {shared[:20]}" if shared else f"files {files[:20]}"
        message = f"No face must be both trained on and held out, but these are: {both}. Remove them from one side."
        raise ValueError(message)


def _read_columns(path: Path, label: str) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    text = {"stimulus": str, "file": str, "identity": str}
    with reading(path, "A training table must be a CSV or TSV file in UTF-8", then=SAVE_AS_CSV):
        frame = pd.read_csv(path, sep=separator, dtype=text, encoding="utf-8-sig", compression=None)
    missing = [name for name in ("file", label) if name not in frame.columns]
    if missing or frame.empty:
        found = f"lacks {missing}; it has {list(frame.columns)}" if missing else "has no rows"
        message = f"A training table must have images with the columns file and {label}, but {path.name} {found}. "
        msg = f"{message}Name the column of the classes with `label`, or another table."
        raise ValueError(msg)
    return frame


def _classes_of(
    column: pd.Series, label: str, classes: tuple[str, ...], rule: Mapping[str, str] | None, source: str
) -> pd.Series:
    if rule is not None:
        strange = sorted(set(rule.values()) - set(classes))
        if strange:
            message = f"A label rule must lead to the classes {list(classes)}, but leads to {strange}. Change it."
            raise ValueError(message)
        return column.astype(str).map({str(key): value for key, value in rule.items()})
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return pd.Series(np.select([numbers > 0, numbers < 0], [HAPPY, SAD], default=""), column.index).replace(
            "", pd.NA
        )
    names = column.fillna("").astype(str).str.strip().str.lower()
    unknown = [f"line {line}: {value!r}" for line, value in enumerate(names, start=2) if value not in classes]
    if unknown:
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        message = (
            f"Every {label} of {source} must be one of {', '.join(classes)}, or all must be numbers, but "
            f"{'; '.join(unknown[:20])}{more}. Mend these, or give a rule."
        )
        raise ValueError(message)
    return names
