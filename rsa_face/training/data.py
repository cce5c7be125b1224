"""Faces to learn from: tables of them and where they come from, and their images as batches, varied or not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from rsa_face.provenance import hash_content, hash_file, rng_from
from rsa_face.safety import first_of, read_table, reading
from rsa_face.schema import must_be_known
from rsa_face.stimuli.catalogue import StimulusSet, find_images
from rsa_face.stimuli.images import preprocess, read_image
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.settings import HAPPY, SAD, Augmentation

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# AffectNet's codes (Mollahosseini, Hasani & Mahoor 2019, 10.1109/TAFFC.2017.2740923): 1 happy, 2 sad. Its other
# expressions are neither, and left out; -2 stands for a valence nobody gave.
AFFECTNET_RULE = {"1": HAPPY, "2": SAD}
_NO_VALENCE = -2
_BOX = ("face_x", "face_y", "face_width", "face_height")
MOST_BYTES = 1_500_000_000  # of images kept in memory


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
        """Return the images at some places of the table."""
        return replace(self, table=self.table.iloc[list(rows)].reset_index(drop=True))

    def content_hash(self) -> str:
        """Return the BLAKE3 hash of classes, identities and image bytes: it changes when any of them does."""
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
    """
    path = Path(path)
    frame = read_table(path, "training table", dtype={"stimulus": str, "file": str, "identity": str})
    missing = [name for name in ("file", label) if name not in frame.columns]
    if missing or frame.empty:
        fault = f"No columns {missing} in {path.name}, which has {list(frame.columns)}"
        message = (
            f"{fault if missing else f'No rows in {path.name}'}. Name the column of the classes with `label`, or "
            "another table."
        )
        raise ValueError(message)
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
    """Give images the class that a column names: stimuli become a table to test a trained network on."""
    table = (frame.table if isinstance(frame, StimulusSet) else frame).copy()
    if label not in table.columns:
        message = (
            f"No column {label!r} in {source}. It has {list(table.columns)}. Name that of the classes with `label`."
        )
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
        message = f"Images of {source} do not exist: {first_of(absent, '; ')}. Check the paths."
        raise FileNotFoundError(message)
    result = TrainingTable(table, tuple(classes), left_out)
    must_show(result, (SAD, HAPPY), source)
    return result


def split_by_identity(table: TrainingTable, fraction: float, *, seed: int) -> tuple[TrainingTable, TrainingTable]:
    """Set identities aside for validation, so that no face is on both sides."""
    names = sorted(set(table.identities))
    if len(names) < 2:
        message = (
            f"No identities to set aside for validation: the training table names {names}. Add an identity column "
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
    """Raise for a table in which a class has no image: nothing can be learnt from it, or said of it."""
    counts = {name: int((table.table["class"] == name).sum()) for name in classes}
    if not all(counts.values()):
        images = ", ".join(f"{count} {name}" for name, count in counts.items())
        message = f"A class without images cannot be learnt or tested: {source} has {images}. Add the missing ones."
        raise ValueError(message)


def must_not_share_faces(table: TrainingTable, held_out: TrainingTable) -> None:
    """Raise where a test is on faces the network was trained on."""
    shared = sorted(set(table.identities) & set(held_out.identities))
    files = sorted({str(file) for file in table.table["file"]} & {str(file) for file in held_out.table["file"]})
    if shared or files:
        both = f"identities {first_of(shared)}" if shared else f"files {first_of(files)}"
        message = f"Faces both trained on and held out: {both}. Remove them from one side."
        raise ValueError(message)


def _classes_of(
    column: pd.Series, label: str, classes: tuple[str, ...], rule: Mapping[str, str] | None, source: str
) -> pd.Series:
    if rule is not None:
        strange = sorted(set(rule.values()) - set(classes))
        if strange:
            message = (
                f"The label rule leads to {strange}, which are not among the classes {list(classes)}. Change it."
            )
            raise ValueError(message)
        return column.astype(str).map({str(key): value for key, value in rule.items()})
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return pd.Series(np.sign(numbers)).map({1.0: HAPPY, -1.0: SAD})
    names = column.fillna("").astype(str).str.strip().str.lower()
    unknown = [f"line {line}: {value!r}" for line, value in enumerate(names, start=2) if value not in classes]
    if unknown:
        message = (
            f"{label} of {source} is neither one of {', '.join(classes)} nor a number: "
            f"{first_of(unknown, '; ')}. Fix these lines, or give a rule."
        )
        raise ValueError(message)
    return names


def read_faces(
    path: str | Path,
    *,
    kind: str = "table",
    label: str = "valence",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read training faces of any kind."""
    must_be_known(kind, KINDS, "kind of training faces")
    return KINDS[kind](path, label=label, classes=classes, rule=rule)


def read_image_folder(
    path: str | Path,
    *,
    label: str = "class",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read a folder that holds one folder of images for each class."""
    root = _must_be_a_folder(path)
    files = sorted(file for file in root.glob("*/**/*") if file.suffix.lower() in _IMAGES)
    if not files:
        message = f"No images in {str(root)!r}: a training folder holds a folder of them for each class. Check it."
        raise ValueError(message)
    frame = pd.DataFrame({
        "stimulus": [str(file.relative_to(root)) for file in files],
        "file": [str(file.resolve()) for file in files],
        label: [file.relative_to(root).parts[0] for file in files],
    })  # fmt: skip
    return label_images(frame, label=label, classes=classes, rule=rule, source=root.name)


def read_affectnet_csv(
    path: str | Path,
    *,
    label: str = "expression",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read an annotation file of AffectNet's first release; only the face within its box is used."""
    path = Path(path)
    frame = read_table(path, "annotations of AffectNet", then="Download them again.")
    lacking = [name for name in ("subDirectory_filePath", *_BOX, "expression") if name not in frame.columns]
    if lacking:
        message = (
            f"No columns {lacking} in {path.name}, as AffectNet's annotations have them. It has "
            f"{list(frame.columns)}. For another table use kind table."
        )
        raise ValueError(message)
    if frame.empty:
        message = f"No rows in {path.name}. Download AffectNet's annotations again."
        raise ValueError(message)
    left, top, width, height = (frame[name] for name in _BOX)
    with reading(path, "AffectNet's boxes of faces are whole numbers", then="Fix or remove those lines."):
        sides = pd.concat([left, top, left + width, top + height], axis=1).astype(int).astype(str)
    frame = frame.assign(
        file=find_images(frame["subDirectory_filePath"].tolist(), path),
        stimulus=frame["subDirectory_filePath"].astype(str),
        face=sides.agg(" ".join, axis=1),
    )
    return _label_affectnet(frame, label, classes, rule, path.name)


def read_affectnet_npy(
    path: str | Path,
    *,
    label: str = "expression",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read a set of AffectNet's second release: a folder ``images`` and one of ``annotations``, files by number."""
    root = _must_be_a_folder(path)
    images = sorted(file for file in (root / "images").glob("*") if file.suffix.lower() in _IMAGES)
    if not images:
        message = f"No images in {str(root)!r}: a set of AffectNet has folders images and annotations. Check it."
        raise FileNotFoundError(message)
    rows = [
        {
            "stimulus": image.stem,
            "file": str(image.resolve()),
            "expression": round(_number(root / "annotations" / f"{image.stem}_exp.npy")),
            "valence": _number(root / "annotations" / f"{image.stem}_val.npy"),
        }
        for image in images
    ]
    return _label_affectnet(pd.DataFrame(rows), label, classes, rule, root.name)


def _label_affectnet(
    frame: pd.DataFrame, label: str, classes: Sequence[str], rule: Mapping[str, str] | None, source: str
) -> TrainingTable:
    must_be_known(label, ("expression", "valence"), "label of AffectNet")
    if label == "expression":
        return label_images(frame, label=label, classes=classes, rule=rule or AFFECTNET_RULE, source=source)
    frame = frame.assign(valence=frame["valence"].where(frame["valence"] != _NO_VALENCE, 0.0))
    return label_images(frame, label=label, classes=classes, source=source)


def _number(file: Path) -> float:
    if not file.is_file():
        message = f"No annotation {str(file)!r} for its image of AffectNet. Add it."
        raise FileNotFoundError(message)
    with reading(file, "An annotation is one number", then="Replace the file."), file.open("rb") as opened:
        number = float(str(np.load(opened, allow_pickle=False)))
    if not np.isfinite(number):
        message = f"The annotation {str(file)!r} is {number}, not a finite number. Replace the file."
        raise ValueError(message)
    return number


def _must_be_a_folder(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_dir():
        message = f"No such folder: {str(path)!r}. Check the path of the faces."
        raise FileNotFoundError(message)
    return path


KINDS: dict[str, Callable[..., TrainingTable]] = {
    "table": read_training,
    "folder": read_image_folder,
    "affectnet-csv": read_affectnet_csv,
    "affectnet-npy": read_affectnet_npy,
}


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images of a training table, ready for a network in any order; made by `open_pictures`."""

    table: TrainingTable
    preprocessing: Preprocessing
    inputs: Tensor | None  # (image, 3, row, column), if all fit into memory; else they are read as they come
    skipped: tuple[str, ...] = ()  # files that could not be read and were left out

    def batches(self, order: Sequence[int] | np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield the images in an order, the next batch being read while one is used."""
        parts = [np.asarray(order[start : start + batch]) for start in range(0, len(order), batch)]
        if self.inputs is not None:
            for rows in parts:
                yield rows, self.inputs[torch.from_numpy(rows)]
            return
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures") as pool:
            waiting = [pool.submit(self._read, row) for row in parts[0]]
            for number, rows in enumerate(parts):
                following = (
                    [pool.submit(self._read, row) for row in parts[number + 1]] if number + 1 < len(parts) else []
                )
                yield rows, torch.stack([image.result() for image in waiting])
                waiting = following

    def _read(self, row: int) -> Tensor:
        return read_input(self.table, int(row), self.preprocessing)


def open_pictures(table: TrainingTable, preprocessing: Preprocessing, *, skip_unreadable: bool = False) -> Pictures:
    """Look at every image of a table once, and keep all of them in memory if they fit.

    Looking first means that a broken image is named before an hour of training, not in its midst.
    """
    fits = len(table) * 3 * preprocessing.crop**2 * 4 <= MOST_BYTES

    def look(row: int) -> Tensor | str | None:
        try:
            image = read_input(table, row, preprocessing)
        except (ValueError, FileNotFoundError) as error:
            return f"{table.table['stimulus'].iloc[row]}: {str(error).rstrip('.')}"
        return image if fits else None

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures") as pool:
        images = list(pool.map(look, range(len(table))))
    faults = [fault for fault in images if isinstance(fault, str)]
    if faults and not skip_unreadable:
        message = (
            f"Cannot read {len(faults)} of {len(table)} training images: {first_of(faults, '; ')}. To leave "
            "them out, set skip_unreadable."
        )
        raise ValueError(message)
    good = [row for row, image in enumerate(images) if not isinstance(image, str)]
    bad = tuple(str(table.table["file"].iloc[row]) for row in range(len(table)) if isinstance(images[row], str))
    inputs = [image for image in images if isinstance(image, Tensor)]
    readable = table.take(good) if bad else table
    return Pictures(readable, preprocessing, torch.stack(inputs) if inputs else None, bad)


def read_input(table: TrainingTable, row: int, preprocessing: Preprocessing) -> Tensor:
    """Read one image of a table as a network's input: its face alone, where the table gives a box."""
    line = table.table.iloc[row]
    image = read_image(Path(str(line["file"])))
    if "face" in table.table.columns:
        left, top, right, bottom = (round(float(value)) for value in str(line["face"]).split())
        if not (0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]):
            message = (
                f"The face {left} {top} {right} {bottom} lies outside its image: {line['file']!r} is "
                f"{image.shape[1]} x {image.shape[0]} pixels. Fix the table."
            )
            raise ValueError(message)
        image = image[top:bottom, left:right]
    return preprocess(image, preprocessing)


def vary(inputs: Tensor, augmentation: Augmentation, draws: np.ndarray) -> Tensor:
    """Vary a batch of inputs: mirrored, moved, turned, brighter or darker, as drawn."""
    u = torch.from_numpy(draws).to(inputs)  # seven numbers in 0-1 for each image, drawn before it was read
    either = 2 * u - 1
    angle = torch.deg2rad(either[:, 1] * augmentation.rotate)
    scale = 1 + either[:, 2] * augmentation.scale
    mirror = 1 - 2 * (u[:, 0] < augmentation.flip).to(inputs)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    across = torch.stack([cosine * mirror, -sine, 2 * either[:, 3] * augmentation.shift], dim=1)
    down = torch.stack([sine * mirror, cosine, 2 * either[:, 4] * augmentation.shift], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), list(inputs.shape), align_corners=False)
    moved = functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
    contrast = (1 + either[:, 5] * augmentation.contrast)[:, None, None, None]
    return moved * contrast + (either[:, 6] * augmentation.brightness)[:, None, None, None]


def draw_variations(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """Draw how each image of an epoch is varied, whatever batches it will come in."""
    return rng_from(seed, "augmentation", epoch).random((count, 7), dtype=np.float32)
