"""How alike two saliency maps are: of two networks, or of a network and people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from rsa_face.safety import read_table
from rsa_face.saliency.maps import COLUMN, ROW
from rsa_face.saliency.regions import Frame
from rsa_face.schema import STIMULUS, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_image

Array = np.ndarray
_EDGE = 1e-12


def _correlation(maps: Array, target: Array) -> Array:
    first, second = (_centred(one) for one in (maps, target))
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(size > 0, size, np.nan))


def _scanpath(maps: Array, target: Array) -> Array:
    centred = _centred(maps)
    spread = centred.std(axis=1, keepdims=True)
    z = centred / np.where(spread > 0, spread, np.nan)
    weight = target.sum(axis=1)
    return np.asarray((z * target).sum(axis=1) / np.where(weight > 0, weight, np.nan))


def _divergence(maps: Array, target: Array) -> Array:
    totals = [one.sum(axis=1, keepdims=True) for one in (maps, target)]
    q, p = (one / np.where(total > 0, total, np.nan) for one, total in zip((maps, target), totals, strict=True))
    return np.asarray((p * np.log(_EDGE + p / (q + _EDGE))).sum(axis=1))


LIKENESSES: dict[str, Callable[[Array, Array], Array]] = {
    "correlation": _correlation,
    "nss": _scanpath,
    "kl": _divergence,
}


def compare_maps(maps: xr.DataArray, target: xr.DataArray, *, by: str = "correlation") -> xr.DataArray:
    """Compare each face's map with a target: another network's map, or people's.

    Bylinskii et al. 2019, 10.1109/TPAMI.2018.2815601; Peters et al. 2005, 10.1016/j.visres.2005.03.019.
    """
    must_be_known(by, LIKENESSES, "likeness of maps")
    ids = [str(value) for value in maps[STIMULUS].values]
    with_target = {str(value) for value in target[STIMULUS].values}
    shared = [stimulus for stimulus in ids if stimulus in with_target]
    shapes = [(one.sizes[ROW], one.sizes[COLUMN]) for one in (maps, target)]
    faults = [] if shared else ["no face is shared"]
    faults += [] if shapes[0] == shapes[1] else [f"their sizes are {shapes[0]} and {shapes[1]}"]
    faults += [f"the target has {float(target.min()):.3g} in it"] if bool((target < 0).any()) else []
    if faults:
        message = f"Maps cannot be compared: {'; '.join(faults)}. Give maps of the same faces and size, 0 or more."
        raise ValueError(message)
    first, second = (_flat(one.sel({STIMULUS: shared})) for one in (maps, target))
    coords = {name: coord.sel({STIMULUS: shared}) for name, coord in maps.coords.items() if coord.dims == (STIMULUS,)}
    attrs = {"by": by, "left_out": len(ids) - len(shared), "network": maps.attrs.get("network", "")}
    return xr.DataArray(LIKENESSES[by](first, second), coords, (STIMULUS,), name=f"map_{by}", attrs=attrs)


def read_human_maps(path: str | Path, stimuli: StimulusSet, maps: xr.DataArray) -> xr.DataArray:
    """Read where people look, in the frame of a network's maps."""
    path = Path(path)
    ids = [str(value) for value in maps[STIMULUS].values]
    files = dict(zip(stimuli.ids, stimuli.files, strict=True))
    frames = {stimulus: Frame.of(files[stimulus], maps.attrs["preprocessing"]) for stimulus in ids}
    if path.suffix.lower() not in (".csv", ".tsv"):
        bright = read_image(path).mean(axis=2)
        maps_of_all = np.stack([np.maximum(frame.bring(bright), 0) for frame in frames.values()])
        return _human(maps_of_all, ids, path, 0)
    table = _fixations(path, ids)
    counts = {stimulus: np.zeros((frame.crop, frame.crop)) for stimulus, frame in frames.items()}
    outside = 0
    for stimulus, x, y, weight in table.itertuples(index=False):
        frame = frames[stimulus]
        row, column = (
            int(np.floor(at * frame.resized[side] / frame.size[side] - round((frame.resized[side] - frame.crop) / 2)))
            for side, at in enumerate((y, x))
        )
        if 0 <= row < frame.crop and 0 <= column < frame.crop:
            counts[stimulus][row, column] += weight
        else:
            outside += 1
    fixated = [stimulus for stimulus in ids if counts[stimulus].any()]
    if not fixated:
        message = f"None of the {len(table)} fixations in {path.name} lies within a face. Check x and y."
        raise ValueError(message)
    return _human(np.stack([counts[stimulus] for stimulus in fixated]), fixated, path, outside)


def _fixations(path: Path, ids: list[str]) -> pd.DataFrame:
    table = read_table(path, "table of fixations", dtype={"stimulus": str})
    lacking = [name for name in ("x", "y") if name not in table]
    columns = [name for name in ("x", "y", "duration") if name in table]
    numbers = {name: pd.to_numeric(table[name], errors="coerce").astype(float) for name in columns}
    wrong = [
        name
        for name, values in numbers.items()
        if not np.isfinite(values).all() or (name == "duration" and (values < 0).any())
    ]
    if lacking or wrong:
        what = f"No columns {lacking}" if lacking else f"Values that are not numbers, or below 0, in columns {wrong}"
        message = (
            f"{what} in {path.name}, which has {list(table.columns)}. Give x and y in pixels, and a duration of 0 or "
            "more if any."
        )
        raise ValueError(message)
    table = table.assign(**numbers, weight=numbers.get("duration", 1.0))
    if "stimulus" not in table:
        table = table.merge(pd.DataFrame({"stimulus": ids}), how="cross")
    return table[table["stimulus"].isin(ids)][["stimulus", "x", "y", "weight"]]


def _human(values: Float[Array, "stimulus row column"], ids: list[str], path: Path, outside: int) -> xr.DataArray:
    attrs = {"source": path.name, "outside": outside}
    return xr.DataArray(values, {STIMULUS: ids}, (STIMULUS, ROW, COLUMN), name="human_saliency", attrs=attrs)


def _flat(maps: xr.DataArray) -> Array:
    return maps.transpose(STIMULUS, ROW, COLUMN).values.reshape(maps.sizes[STIMULUS], -1).astype(float)


def _centred(flat: Array) -> Array:
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))
