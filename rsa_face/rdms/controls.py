"""Control RDMs: what any system would find different between two images, from their pixels and their factors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from rsa_face.provenance import load
from rsa_face.rdms.align import select_stimuli
from rsa_face.safety import first_of, must_be_a, reading
from rsa_face.schema import (
    RDM,
    STIMULUS_I,
    STIMULUS_J,
    check_rdms,
    must_be_known,
    repeated,
    warn_implausible_rdms,
)
from rsa_face.stimuli.catalogue import open_picture

PIXELS = "pixels"
FILE_ENDINGS = (".nc", ".csv")


class StimulusTable(Protocol):
    """What a control RDM needs to know of stimuli: their ids, image files and factors (a `StimulusSet` has it)."""

    @property
    def ids(self) -> list[str]:
        """The stimulus ids, in order."""

    @property
    def files(self) -> list[Path]:
        """The image files, in order."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a stimulus, one column a factor."""


def control_rdms(
    stimuli: StimulusTable,
    names: Sequence[str | Path],
    *,
    distance: str = "euclidean",
    size: int = 64,
    categorical: Sequence[str] = ("identity", "occlusion"),
) -> xr.DataArray:
    """Return one RDM for each control: pixels, factors of the stimulus table, or RDMs on file.

    A morph from sad to happy changes pixels, level and every network layer together; without these RDMs beside
    the layers', a layer that only copies the image looks human-like.

    Parameters
    ----------
    stimuli : StimulusSet
        The stimuli, or any object with `ids`, `files` and `table`. Not changed.
    names : sequence of str or Path
        ``"pixels"``; the name of a factor; or a file ending in ``.nc`` (as `save` writes it) or ``.csv`` (a square
        table whose first line and first column hold the stimulus ids). A numeric factor such as `level` gives the
        absolute difference in its own units, any other 0 for the same and 1 for different values.
    distance : str
        Of the pixels: ``"euclidean"`` (root mean square difference of grey levels, 0 to 1) or ``"correlation"``
        (1 - r, 0 to 2).
    size : int
        Side to which images are brought before their pixels are compared, in pixels: grey levels (ITU-R 601
        luma), antialiased bilinear, aspect ratio not kept.
    categorical : sequence of str
        Factors that are names even where they are written as numbers.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        The controls in the order named, with the factors of the table along `stimulus_i`; no value is missing.

    Raises
    ------
    ValueError
        If a name is no factor, a factor lacks a value, a control is the same for all pairs, an image cannot be
        read, or a file lacks a stimulus or holds a missing value.
    FileNotFoundError
        If an RDM file or image is missing.

    Examples
    --------
    >>> import rsa_face as rf
    >>> controls = control_rdms(rf.example("demo").stimuli, ["level", "identity"])
    >>> controls["rdm"].values.tolist()
    ['level', 'identity']
    """
    must_be_a(getattr(stimuli, "table", stimuli), pd.DataFrame, "Stimuli (`read_stimuli`) are needed first")
    if not names:
        message = "No control is named. Name pixels, a factor of the table, or a file."
        raise ValueError(message)
    check_controls(stimuli, names)
    must_be_known(distance, DISTANCES, "distance of the pixels")
    controls = [
        control
        for name in names
        for control in _made(stimuli, name, distance=distance, size=size, categorical=categorical)
    ]
    labels = [label for label, _ in controls]
    if repeated(labels):
        message = f"Controls named more than once: {repeated(labels)}. Name each once."
        raise ValueError(message)
    _must_vary(controls)
    rdms = xr.DataArray(
        np.stack([values for _, values in controls]),
        dims=(RDM, STIMULUS_I, STIMULUS_J),
        coords={RDM: labels, STIMULUS_I: stimuli.ids, STIMULUS_J: stimuli.ids},
        name="control",
        attrs={"kind": "control", "pixel_distance": distance, "pixel_size": size},
    )
    factors = [str(name) for name in stimuli.table.columns if name not in ("stimulus", "file")]
    return check_rdms(
        rdms.assign_coords({name: (STIMULUS_I, stimuli.table[name].to_numpy()) for name in factors}),
        along=RDM,
        name="control RDMs",
    )


def _root_mean_square(images: Float[np.ndarray, "stimulus pixel"]) -> Float[np.ndarray, " pair"]:
    return np.asarray(pdist(images, "euclidean") / np.sqrt(images.shape[1]), dtype=float)


def _one_minus_r(images: Float[np.ndarray, "stimulus pixel"]) -> Float[np.ndarray, " pair"]:
    return np.asarray(np.clip(pdist(images, "correlation"), 0.0, 2.0), dtype=float)


DISTANCES: dict[str, Callable[[Any], Any]] = {"euclidean": _root_mean_square, "correlation": _one_minus_r}


def check_controls(stimuli: StimulusTable, names: Sequence[str | Path]) -> None:
    """Hold the names of controls to being pixels, factors or files, before anything is computed for them."""
    factors = [str(column) for column in stimuli.table.columns if column not in ("stimulus", "file")]
    for name in names:
        if str(name) not in (PIXELS, *factors) and Path(name).suffix.lower() not in FILE_ENDINGS:
            message = (
                f"Unknown control {str(name)!r}. Name pixels, a factor of the stimulus table ({factors}), or a file "
                f"ending in {' or '.join(FILE_ENDINGS)}."
            )
            raise ValueError(message)


def _made(
    stimuli: StimulusTable, name: str | Path, *, distance: str, size: int, categorical: Sequence[str]
) -> list[tuple[str, Float[np.ndarray, "stimulus stimulus"]]]:
    if str(name) in stimuli.table.columns and str(name) not in ("stimulus", "file"):
        return [(str(name), _factor_differences(stimuli, str(name), named=str(name) in categorical))]
    if str(name) == PIXELS:
        images = np.stack([_grey_levels(file, size) for file in stimuli.files]).reshape(len(stimuli.ids), -1)
        flat = [stimulus for stimulus, image in zip(stimuli.ids, images, strict=True) if np.ptp(image) == 0]
        if distance == "correlation" and flat:
            message = f"Images of one grey cannot be correlated: {first_of(flat)}. Use euclidean."
            raise ValueError(message)
        return [(PIXELS, np.asarray(squareform(DISTANCES[distance](images)), dtype=float))]
    rdms = select_stimuli(_read_rdms(Path(name)), stimuli.ids)
    labels = [str(label) for label in rdms[RDM].values]
    warn_implausible_rdms(rdms, Path(name).name)
    return list(zip(labels, np.asarray(rdms.values, dtype=float), strict=True))


def _factor_differences(stimuli: StimulusTable, name: str, *, named: bool) -> Float[np.ndarray, "stimulus stimulus"]:
    column = stimuli.table[name]
    absent = [stimulus for stimulus, missing in zip(stimuli.ids, column.isna(), strict=True) if missing]
    if absent:
        message = f"The factor {name!r} has no value for {first_of(absent)}. Add it, or leave the control out."
        raise ValueError(message)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and not named:
        values = column.to_numpy(dtype=float)
        return np.asarray(np.abs(values[:, None] - values[None, :]), dtype=float)
    codes, _ = pd.factorize(column)
    return np.asarray(codes[:, None] != codes[None, :], dtype=float)


def _grey_levels(file: Path, size: int) -> Float[np.ndarray, "size size"]:
    with open_picture(file) as image:
        wide = image.mode.startswith("I")
        grey = image.convert("F") if wide else image.convert("L").convert("F")
    small = np.asarray(grey.resize((size, size), Image.Resampling.BILINEAR), dtype=float)
    return small / (65535.0 if wide else 255.0)


def _read_rdms(path: Path) -> xr.DataArray:
    if path.suffix.lower() == ".csv":
        return _read_square_table(path)
    rdms = load(path)
    if not isinstance(rdms, xr.DataArray):
        message = f"{path.name} holds several arrays ({list(rdms)}), not one of RDMs. Save one of them."
        raise ValueError(message)
    if RDM not in rdms.dims:
        rdms = rdms.expand_dims({RDM: [path.stem]})
    if set(rdms.dims) != {RDM, STIMULUS_I, STIMULUS_J}:
        message = (
            f"{path.name} has the dims {rdms.dims}. Save an array with the dims ({RDM}, {STIMULUS_I}, {STIMULUS_J})."
        )
        raise ValueError(message)
    return check_rdms(rdms.transpose(RDM, STIMULUS_I, STIMULUS_J), along=RDM, name=path.name)


def _read_square_table(path: Path) -> xr.DataArray:
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the path of the control RDM."
        raise FileNotFoundError(message)
    with reading(path, "A control RDM is a square table of numbers", then="Write it again."):
        frame = pd.read_csv(path, index_col=0, encoding="utf-8-sig", compression=None)
        values = frame.to_numpy(dtype=float)
    if values.shape[0] != values.shape[1]:
        message = (
            f"The table in {path.name} is not square: {values.shape[0]} rows, {values.shape[1]} columns. Its first "
            "line and first column hold the stimulus ids."
        )
        raise ValueError(message)
    above, beside = ([str(label) for label in labels] for labels in (frame.index, frame.columns))
    coords = {RDM: [path.stem], STIMULUS_I: above, STIMULUS_J: beside}
    rdms = xr.DataArray(values[None], dims=(RDM, STIMULUS_I, STIMULUS_J), coords=coords)
    return check_rdms(rdms, along=RDM, name=path.name)


def _must_vary(controls: list[tuple[str, Float[np.ndarray, "stimulus stimulus"]]]) -> None:
    faults = []
    for label, values in controls:
        off = values[np.triu_indices(values.shape[0], 1)]
        if np.isnan(off).any():
            faults.append(f"{label!r} lacks {int(np.isnan(off).sum())} of {off.size} pairs")
        elif off.size == 0 or np.ptp(off) <= 1e-12 * np.abs(off).max(initial=0.0):
            faults.append(f"{label!r} has the same dissimilarity for every pair")
    if faults:
        message = f"Controls that tell no pairs of stimuli apart: {first_of(sorted(faults), '; ')}. Leave them out."
        raise ValueError(message)
