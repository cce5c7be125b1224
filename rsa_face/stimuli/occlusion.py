"""Faces with the eyes, the nose or the mouth masked, to find out what their judgement rests on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from rsa_face.safety import first_of, must_be_file_names, path_in, writable_folder, write_beside
from rsa_face.schema import OCCLUSIONS, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet, open_picture, read_stimuli

REGIONS = tuple(name for name in OCCLUSIONS if name != "none")
# Where aligned square photographs have their features, if the table does not say: left, top, right, bottom as
# fractions of the image. The bars of Ying, Li & Chen 2023 (arXiv 2310.13674): columns 52 to 171 of 224, rows 70 to
# 99 (eyes), 120 to 149 (nose), 169 to 199 (mouth), last pixel included.
DEFAULT_REGIONS = {
    "eyes": (52 / 224, 70 / 224, 172 / 224, 100 / 224),
    "nose": (52 / 224, 120 / 224, 172 / 224, 150 / 224),
    "mouth": (52 / 224, 169 / 224, 172 / 224, 200 / 224),
}
FILLS = ("gray", "blur")
_MID_GRAY = 128
_BLUR = 0.06  # standard deviation of the blur, as a fraction of the image's width


def occlude(stimuli: StimulusSet, regions: Sequence[str], out_dir: str | Path, *, fill: str = "gray") -> StimulusSet:
    """Write copies of faces with a region masked, one for each region, and the table of all of them.

    The whole faces stay in the table, where they lie, with `occlusion` ``none``. Regions come from the table's
    columns `eyes`, `nose` and `mouth` (``left top right bottom`` in pixels, right and bottom excluded); a square
    image without them gets `DEFAULT_REGIONS`, which fit faces aligned as in most emotion databases.

    Parameters
    ----------
    stimuli : StimulusSet
        Whole faces. Not changed.
    regions : sequence of str
        Among ``eyes``, ``nose`` and ``mouth``.
    out_dir : str or Path
        The folder for the masked images and ``stimuli.csv``; made if need be.
    fill : str
        ``gray``: flat mid-gray; ``blur``: the region itself, blurred until it shows no feature.

    Returns
    -------
    StimulusSet
        Whole faces, then masked ones with ids ``<id>_<region>`` and the factor `occlusion`.

    Raises
    ------
    ValueError
        If a region or fill is unknown, a region lies outside its image, an image without region columns is not
        square, the stimuli are masked already or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> import rsa_face as rf
    >>> faces = rf.read_stimuli(rf.load_study("demo").stimuli.table).select(identity="face01", level=[-1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     occlude(faces, ["eyes"], folder).ids
    ['face01_sad100', 'face01_happy100', 'face01_sad100_eyes', 'face01_happy100_eyes']
    """
    if not regions:
        message = f"No region to mask. Choose among {', '.join(REGIONS)}."
        raise ValueError(message)
    for region in regions:
        must_be_known(region, REGIONS, "region")
    must_be_known(fill, FILLS, "fill")
    _check_whole(stimuli, regions)
    boxes = region_boxes(stimuli, regions)
    must_be_file_names(stimuli.ids, "stimulus to be masked", "the table")
    folder = writable_folder(out_dir)
    tables = [stimuli.table.assign(occlusion="none")]
    for region in dict.fromkeys(regions):
        masked = stimuli.table.assign(occlusion=region)
        masked["stimulus"] = [f"{stimulus}_{region}" for stimulus in stimuli.ids]
        masked["file"] = [path_in(folder, name, "The stimulus", suffix=".png").name for name in masked["stimulus"]]
        tables.append(masked)
        for source, name, box in zip(stimuli.files, masked["stimulus"], boxes[region], strict=True):
            with write_beside(path_in(folder, str(name), "The stimulus", suffix=".png")) as beside:
                _masked(source, box, fill).save(beside)
    table = folder / "stimuli.csv"
    with write_beside(table) as beside:
        pd.concat(tables).to_csv(beside, index=False, lineterminator="\n")
    return read_stimuli(table)


def region_boxes(stimuli: StimulusSet, regions: Sequence[str]) -> dict[str, list[tuple[int, int, int, int]]]:
    """Return the box of every region in every image."""
    boxes: dict[str, list[tuple[int, int, int, int]]] = {region: [] for region in regions}
    faults = []
    sizes = [_size_of(file) for file in stimuli.files]
    for region in boxes:
        given = stimuli.table[region] if region in stimuli.table.columns else [None] * len(stimuli)
        for stimulus, size, text in zip(stimuli.ids, sizes, given, strict=True):
            try:
                boxes[region].append(_box(region, text, size))
            except ValueError as error:
                faults.append(f"{stimulus!r}: {error}")
    if faults:
        message = (
            f"Regions missing, or outside their images: {first_of(faults, '; ')}. Correct the table's columns "
            "eyes, nose and mouth ('left top right bottom' in pixels)."
        )
        raise ValueError(message)
    return boxes


def contact_sheet(stimuli: StimulusSet, path: str | Path, *, columns: int = 9) -> Path:
    """Draw all images of a stimulus table on one sheet, in its order."""
    if columns < 1:
        message = f"columns is {columns}: a contact sheet has 1 or more."
        raise ValueError(message)
    images = []
    for file in stimuli.files:
        with open_picture(file) as opened:
            images.append(opened.convert("RGB"))
    width, height = (max(image.size[side] for image in images) for side in (0, 1))
    gray = (_MID_GRAY,) * 3
    sheet = Image.new("RGB", (width * min(columns, len(images)), height * -(-len(images) // columns)), gray)
    for place, image in enumerate(images):
        sheet.paste(image, (place % columns * width, place // columns * height))
    path = Path(path)
    with write_beside(path) as beside:
        sheet.save(beside, format="PNG")
    return path


def _check_whole(stimuli: StimulusSet, regions: Sequence[str]) -> None:
    if "occlusion" in stimuli.factors and set(stimuli.table["occlusion"]) != {"none"}:
        masked = sorted(set(stimuli.table["occlusion"]) - {"none"})
        message = f'Faces are masked already: occlusion {masked}. Select occlusion="none" first.'
        raise ValueError(message)
    twins = sorted({f"{stimulus}_{region}" for stimulus in stimuli.ids for region in regions} & set(stimuli.ids))
    if twins:
        message = f"Masked faces would be called <id>_<region>, as are {first_of(twins)} in the table. Rename these."
        raise ValueError(message)


def _box(region: str, text: object, size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    if text is None or pd.isna(text):  # type: ignore[call-overload]  # any cell of a table
        if width != height:
            message = f"the table gives no {region}, and the image is {width} x {height}, not square"
            raise ValueError(message)
        left, top, right, bottom = (round(part * width) for part in DEFAULT_REGIONS[region])
        return left, top, right, bottom
    try:
        left, top, right, bottom = (int(word) for word in str(text).split())
    except ValueError:
        message = f"{region} is {text!r}, not four whole numbers"
        raise ValueError(message) from None
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        message = f"{region} is {text!r}, in an image of {width} x {height}"
        raise ValueError(message)
    return left, top, right, bottom


def _size_of(file: Path) -> tuple[int, int]:
    with open_picture(file) as opened:
        return opened.size


def _masked(file: Path, box: tuple[int, int, int, int], fill: str) -> Image.Image:
    with open_picture(file) as opened:
        image = opened.convert("L" if opened.mode in ("L", "LA", "1", "I;16", "I") else "RGB")
    if fill == "blur":
        blurred = image.filter(ImageFilter.GaussianBlur(_BLUR * image.width))
        image.paste(blurred.crop(box), box[:2])
    else:
        pixels = np.array(image)
        pixels[box[1] : box[3], box[0] : box[2]] = _MID_GRAY
        image = Image.fromarray(pixels)
    return image
