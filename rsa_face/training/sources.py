"""Training faces as others keep them: a folder for each class, and AffectNet's own annotation files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rsa_face.schema import must_be_known
from rsa_face.stimuli.catalogue import find_images
from rsa_face.training.settings import HAPPY, SAD
from rsa_face.training.tables import TrainingTable, label_images, read_training
from rsa_face.untrusted import reading

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# AffectNet's codes (Mollahosseini, Hasani & Mahoor 2019, 10.1109/TAFFC.2017.2740923): 1 happy, 2 sad. Its other
# expressions are neither, and left out; -2 stands for a valence nobody gave.
AFFECTNET_RULE = {"1": HAPPY, "2": SAD}
_NO_VALENCE = -2
_BOX = ("face_x", "face_y", "face_width", "face_height")


def read_faces(
    path: str | Path,
    *,
    kind: str = "table",
    label: str = "valence",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read training faces of any kind.

    Parameters
    ----------
    path : str or Path
        A table, or a folder.
    kind : {"table", "folder", "affectnet-csv", "affectnet-npy"}
        How the faces are kept: see `read_training`, `read_image_folder`, `read_affectnet_csv` and
        `read_affectnet_npy`.
    label : str
        What holds the class.
    classes : sequence of str
        The network's outputs, in order.
    rule : mapping of str to str, optional
        Which class each value of the label belongs to.

    Returns
    -------
    TrainingTable
        With classes, and what else is known.

    Raises
    ------
    FileNotFoundError
        If the table, the folder or images are missing.
    ValueError
        If the kind is unknown, or what is read is not of it.
    """
    must_be_known(kind, KINDS, "kind of training faces")
    return KINDS[kind](path, label=label, classes=classes, rule=rule)


def read_image_folder(
    path: str | Path,
    *,
    label: str = "class",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read a folder that holds one folder of images for each class.

    Parameters
    ----------
    path : str or Path
        The folder; the names of the folders in it are the labels.
    label : str
        What to call the labels in an error.
    classes : sequence of str
        The network's outputs, in order.
    rule : mapping of str to str, optional
        Which class each folder belongs to; folders it does not name are left out and counted.

    Returns
    -------
    TrainingTable
        Sorted by file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no images, or a folder is no class.
    """
    root = _must_be_a_folder(path)
    files = sorted(file for file in root.glob("*/**/*") if file.suffix.lower() in _IMAGES)
    if not files:
        message = f"A training folder must hold a folder of images for each class, but {str(root)!r} does not."
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
    """Read an annotation file of AffectNet's first release; only the face within its box is used.

    Parameters
    ----------
    path : str or Path
        The csv, with `subDirectory_filePath`, the box and `expression`, `valence`, `arousal`; its images lie in
        its own folder.
    label : {"expression", "valence"}
        ``expression``: happy and sad by their codes. ``valence``: above 0 happy, below 0 sad.
    classes : sequence of str
        The network's outputs, in order.
    rule : mapping of str to str, optional
        Which class each expression's code belongs to, if other than 1 happy and 2 sad.

    Returns
    -------
    TrainingTable
        In the file's order, with `face`, `expression`, `valence` and `arousal`. It names no identities.

    Raises
    ------
    FileNotFoundError
        If the file or images are missing.
    ValueError
        If columns are missing, or a class has no image.
    """
    path = Path(path)
    if not path.is_file():
        message = f"An annotation file must exist to be read, but there is no file {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    with reading(path, "AffectNet's annotations must be a CSV file in UTF-8", then="Get it anew."):
        frame = pd.read_csv(path, encoding="utf-8-sig", compression=None)
    lacking = [name for name in ("subDirectory_filePath", *_BOX, "expression") if name not in frame.columns]
    if lacking:
        message = (
            f"AffectNet's annotations must have their own columns, but {path.name} lacks {lacking}. It has "
            f"{list(frame.columns)}. For another table use kind table."
        )
        raise ValueError(message)
    if frame.empty:
        message = f"AffectNet's annotations must name images, but {path.name} has no rows. Get it anew."
        raise ValueError(message)
    left, top, width, height = (frame[name] for name in _BOX)
    with reading(path, "AffectNet's boxes of faces must be whole numbers", then="Mend or remove those lines."):
        sides = pd.concat([left, top, left + width, top + height], axis=1).astype(int).astype(str)
    kept = frame.assign(
        file=find_images(frame["subDirectory_filePath"].tolist(), path),
        stimulus=frame["subDirectory_filePath"].astype(str),
        face=sides.agg(" ".join, axis=1),
    )
    return _label_affectnet(kept, label, classes, rule, path.name)


def read_affectnet_npy(
    path: str | Path,
    *,
    label: str = "expression",
    classes: Sequence[str] = (SAD, HAPPY),
    rule: Mapping[str, str] | None = None,
) -> TrainingTable:
    """Read a set of AffectNet's second release: a folder ``images`` and one of ``annotations``, files by number.

    Parameters
    ----------
    path : str or Path
        The folder of both, ``train_set`` or ``val_set``: ``images/7.jpg`` belongs to ``annotations/7_exp.npy``
        and ``7_val.npy``. The images show the face alone. The files are read without unpickling.
    label : {"expression", "valence"}
        As in `read_affectnet_csv`.
    classes : sequence of str
        The network's outputs, in order.
    rule : mapping of str to str, optional
        As in `read_affectnet_csv`.

    Returns
    -------
    TrainingTable
        Sorted by number, with `expression` and `valence`. It names no identities.

    Raises
    ------
    FileNotFoundError
        If a folder, or an annotation, is missing.
    ValueError
        If an annotation is not a number.
    """
    root = _must_be_a_folder(path)
    images = sorted(file for file in (root / "images").glob("*") if file.suffix.lower() in _IMAGES)
    if not images:
        message = f"A set of AffectNet must have images and annotations, but {str(root)!r} has no images. Check it."
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
        message = f"Every image of AffectNet must have its annotations, but there is no {str(file)!r}. Add it."
        raise FileNotFoundError(message)
    with reading(file, "An annotation must be one number", then="Replace the file."), file.open("rb") as opened:
        number = float(str(np.load(opened, allow_pickle=False)))
    if not np.isfinite(number):
        message = f"An annotation must be one number, but {str(file)!r} holds {number}. Replace the file."
        raise ValueError(message)
    return number


def _must_be_a_folder(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_dir():
        message = f"A folder of faces must exist to be read, but there is no folder {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    return path


KINDS: dict[str, Callable[..., TrainingTable]] = {
    "table": read_training,
    "folder": read_image_folder,
    "affectnet-csv": read_affectnet_csv,
    "affectnet-npy": read_affectnet_npy,
}
