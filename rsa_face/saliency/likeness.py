"""How alike two saliency maps are: of two networks, or of a network and people, beside people among themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy import stats
from scipy.ndimage import gaussian_filter

from rsa_face.safety import read_table
from rsa_face.saliency.maps import COLUMN, ROW
from rsa_face.saliency.regions import Frame
from rsa_face.schema import BOUND, BOUNDS, PARTICIPANT, STIMULUS, must_be_known
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


_BETTER_LOW = ("kl",)


def map_agreement(
    maps: xr.DataArray, people: xr.DataArray, *, by: str = "correlation", blur: float | None = None
) -> xr.Dataset:
    """Compare a network's maps with where each person looked, beside how well people predict each other.

    Single fixations say little, so that each person's are blurred. What a network can reach is bounded by how much
    people differ: each person is compared with the mean map of the others (lower bound), and with that of all, the
    person included (upper bound), as in the noise ceiling of RDMs.

    Parameters
    ----------
    maps : DataArray, dims (stimulus, row, column)
        A network's maps. Not changed.
    people : DataArray, dims (participant, stimulus, row, column)
        Where each of two people or more looked, 0 or more: what `read_human_maps` returns of a table with the column
        `participant`. A map of zeros means that the person did not see the face. Not changed.
    by : str
        ``"correlation"``, ``"nss"`` or ``"kl"``; of ``kl`` the smaller is the more alike, and it has no share.
    blur : float, optional
        SD of the Gaussian by which people's maps are blurred, in pixels; a twentieth of the map's width if not given.

    Returns
    -------
    Dataset, dims (stimulus, bound)
        `likeness` (stimulus,), mean over the people who saw the face; `ceiling` (stimulus, bound); `share`, the one
        over the lower bound, of the means over faces; `share_interval` (bound,), Fieller's over faces, at 95 %;
        `people` (stimulus,), how many saw it. Faces that fewer than two people saw are left out, and counted.

    Raises
    ------
    ValueError
        If the maps do not fit each other, or no face was seen by two people.

    References
    ----------
    Bylinskii et al. 2019, 10.1109/TPAMI.2018.2815601 (measures, and people as their own ceiling); Fieller 1954,
    10.1111/j.2517-6161.1954.tb00159.x.

    Examples
    --------
    >>> rng, dims = np.random.default_rng(0), ("participant", "stimulus", "row", "column")
    >>> seen = rng.random((1, 6, 20, 20)) ** 4
    >>> people = xr.DataArray(seen + 0.5 * rng.random((5, 6, 20, 20)), {"stimulus": list("abcdef")}, dims)
    >>> network = people.mean("participant") + 0.2
    >>> agreement = map_agreement(network, people, blur=0.0)
    >>> bool(agreement["share"] > 1), bool((agreement["ceiling"][:, 0] <= agreement["likeness"]).all())
    (True, True)
    """
    must_be_known(by, LIKENESSES, "likeness of maps")
    compare_maps(maps, people.max(PARTICIPANT), by=by)  # refuses maps that do not fit
    ids = [str(value) for value in maps[STIMULUS].values if value in people[STIMULUS].values]
    each = people.sel({STIMULUS: ids}).transpose(STIMULUS, PARTICIPANT, ROW, COLUMN).values.astype(float)
    sigma = each.shape[-1] / 20 if blur is None else blur
    if sigma < 0:
        message = f"blur={blur} is below 0. Give the SD of a Gaussian in pixels, 0 for none."
        raise ValueError(message)
    saw = np.asarray(each.any(axis=(2, 3)))
    used = np.flatnonzero(saw.sum(axis=1) >= 2)
    if not used.size:
        message = (
            f"None of {len(ids)} faces was seen by two people, so that people cannot be held against each other."
        )
        raise ValueError(message)
    network = _flat(maps.sel({STIMULUS: ids}))
    values = np.array([_face_against_people(network[n], each[n][saw[n]], LIKENESSES[by], sigma) for n in used])
    share, interval = np.nan, np.full(2, np.nan)
    known = values[np.isfinite(values).all(axis=1)]
    if by not in _BETTER_LOW and len(known) >= 3:
        share, interval = _share(known[:, 0], known[:, 1])
    attrs = {"by": by, "blur": float(sigma), "left_out": maps.sizes[STIMULUS] - len(used), "confidence": 0.95}
    return xr.Dataset(
        {
            "likeness": (STIMULUS, values[:, 0]),
            "ceiling": ((STIMULUS, BOUND), values[:, 1:]),
            "people": (STIMULUS, saw[used].sum(axis=1)),
            "share": share,
            "share_interval": (BOUND, interval),
        },
        {STIMULUS: [ids[n] for n in used], BOUND: list(BOUNDS)},
        {**attrs, "network": maps.attrs.get("network", ""), "source": people.attrs.get("source", "")},
    )


def _face_against_people(
    network: Array, each: Float[Array, "participant row column"], alike: Callable[[Array, Array], Array], sigma: float
) -> list[float]:
    """Return how alike each person's map is to the network's, to the mean of the others, and to that of all."""
    blurred = gaussian_filter(each, (0, sigma, sigma), mode="constant").reshape(len(each), -1)
    # every person weighs the same, however long they looked
    blurred = blurred / blurred.sum(axis=1, keepdims=True)
    total = blurred.sum(axis=0)
    others = (total - blurred) / (len(blurred) - 1)
    guesses = [np.tile(network, (len(blurred), 1)), others, np.tile(total / len(blurred), (len(blurred), 1))]
    return [float(np.mean(alike(guess, blurred))) for guess in guesses]


def _share(
    likeness: Float[Array, " stimulus"], lower: Float[Array, " stimulus"]
) -> tuple[float, Float[Array, " bound"]]:
    """Return the ratio of two means over the same faces, with Fieller's interval; infinite where it has no end."""
    n, means = len(likeness), np.array([likeness.mean(), lower.mean()])
    variance = np.cov(likeness, lower) / n
    t = stats.t.ppf(0.975, n - 1)
    # the shares s for which mean(likeness - s lower) is not significantly different from 0
    a = means[1] ** 2 - t**2 * variance[1, 1]
    b = means[0] * means[1] - t**2 * variance[0, 1]
    c = means[0] ** 2 - t**2 * variance[0, 0]
    root = b**2 - a * c
    if a <= 0 or root < 0:
        return float(means[0] / means[1]), np.array([-np.inf, np.inf])
    return float(means[0] / means[1]), (b + np.array([-1, 1]) * np.sqrt(root)) / a


def read_human_maps(path: str | Path, stimuli: StimulusSet, maps: xr.DataArray) -> xr.DataArray:
    """Read where people look, in the frame of a network's maps; each person by themself where the table names them.

    Then the first dimension is `participant`, and a face that somebody did not look at is 0 throughout.
    """
    path = Path(path)
    ids = [str(value) for value in maps[STIMULUS].values]
    files = dict(zip(stimuli.ids, stimuli.files, strict=True))
    frames = {stimulus: Frame.of(files[stimulus], maps.attrs["preprocessing"]) for stimulus in ids}
    if path.suffix.lower() not in (".csv", ".tsv"):
        bright = read_image(path).mean(axis=2)
        maps_of_all = np.stack([np.maximum(frame.bring(bright), 0) for frame in frames.values()])
        return _human(maps_of_all, ids, path, 0)
    table = _fixations(path, ids)
    people = sorted(table[PARTICIPANT].unique())
    counts = {stimulus: np.zeros((max(len(people), 1), frame.crop, frame.crop)) for stimulus, frame in frames.items()}
    outside = 0
    for stimulus, x, y, weight, person in table.itertuples(index=False):
        frame = frames[stimulus]
        row, column = (
            int(np.floor(at * frame.resized[side] / frame.size[side] - round((frame.resized[side] - frame.crop) / 2)))
            for side, at in enumerate((y, x))
        )
        if 0 <= row < frame.crop and 0 <= column < frame.crop:
            counts[stimulus][people.index(person), row, column] += weight
        else:
            outside += 1
    fixated = [stimulus for stimulus in ids if counts[stimulus].any()]
    if not fixated:
        message = f"None of the {len(table)} fixations in {path.name} lies within a face. Check x and y."
        raise ValueError(message)
    values = np.stack([counts[stimulus] for stimulus in fixated], axis=1)
    if people == [""]:
        return _human(values[0], fixated, path, outside)
    each = [_human(value, fixated, path, outside) for value in values]
    return xr.concat(each, pd.Index(people, name=PARTICIPANT), combine_attrs="override")


def _fixations(path: Path, ids: list[str]) -> pd.DataFrame:
    table = read_table(path, "table of fixations", dtype={"stimulus": str, PARTICIPANT: str})
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
    if PARTICIPANT not in table:
        table = table.assign(participant="")
    return table[table["stimulus"].isin(ids)][["stimulus", "x", "y", "weight", PARTICIPANT]]


def _human(values: Float[Array, "stimulus row column"], ids: list[str], path: Path, outside: int) -> xr.DataArray:
    attrs = {"source": path.name, "outside": outside}
    return xr.DataArray(values, {STIMULUS: ids}, (STIMULUS, ROW, COLUMN), name="human_saliency", attrs=attrs)


def _flat(maps: xr.DataArray) -> Array:
    return maps.transpose(STIMULUS, ROW, COLUMN).values.reshape(maps.sizes[STIMULUS], -1).astype(float)


def _centred(flat: Array) -> Array:
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))
