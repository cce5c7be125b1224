"""How much of a network's saliency lies on the eyes, the nose and the mouth."""

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from rsa_face.saliency.frame import Frame
from rsa_face.saliency.maps import ROW
from rsa_face.schema import LAYER, NETWORK, STIMULUS
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.occlusion import REGIONS, region_boxes

REGION = "region"
Array = np.ndarray


def saliency_regions(maps: xr.DataArray, stimuli: StimulusSet, *, regions: tuple[str, ...] = REGIONS) -> xr.Dataset:
    """Measure the share of each face's saliency in each region, and along its height.

    A large region gathers more of any map: `enrichment` divides by the region's share of the input, so that 1 is
    what a map without any preference has. A map that is 0 everywhere has no shares; it is NaN and named.

    Parameters
    ----------
    maps : DataArray, dims (stimulus, row, column)
        From `saliency`. Not changed.
    stimuli : StimulusSet
        With the maps' stimuli, whose table has the regions, in pixels of the image files.
    regions : tuple of str
        Among ``eyes``, ``nose`` and ``mouth``.

    Returns
    -------
    Dataset, dims (network, stimulus, region) and (network, stimulus, row)
        `proportion`, 0-1; `enrichment`, proportion over area; `area` of each region (stimulus, region), as a share
        of the input; `elsewhere`, the share in no region; `profile`, the share in each row, top to bottom;
        `total`, the sum of the map. `network` has one value, so that networks are joined along it.

    Raises
    ------
    ValueError
        If a region has no area or lies outside what the network sees, or a map's stimulus is not in the table.
    """
    ids = [str(value) for value in maps[STIMULUS].values]
    lacking = [stimulus for stimulus in ids if stimulus not in set(stimuli.ids)]
    if lacking:
        message = f"Maps must be of stimuli in the table, but {lacking[:20]} are not. Pass the table they come from."
        raise ValueError(message)
    table = stimuli.table.set_index("stimulus").loc[ids].reset_index()
    shown = StimulusSet(table)
    covers = _covers(maps, shown, regions)
    shares = share_of_maps(maps.values.astype(float), covers)
    area = covers.mean(axis=(2, 3))
    dims = (NETWORK, STIMULUS)
    coords = {name: coord for name, coord in maps.coords.items() if coord.dims == (STIMULUS,)}
    found = xr.Dataset(
        {
            "proportion": ((*dims, REGION), shares["proportion"][None]),
            "enrichment": ((*dims, REGION), (shares["proportion"] / area)[None]),
            "area": ((STIMULUS, REGION), area),
            "elsewhere": (dims, shares["elsewhere"][None]),
            "profile": ((*dims, ROW), shares["profile"][None]),
            "total": (dims, shares["total"][None]),
        },
        {
            **coords,
            NETWORK: [str(maps.attrs.get("network", "network"))],
            LAYER: (NETWORK, [str(maps.attrs.get("layer", ""))]),
            REGION: list(regions),
        },
    )
    kept = ("method", "answer", "untrained", "all_zero", "simulated")
    found.attrs = {name: maps.attrs[name] for name in kept if name in maps.attrs}
    return found


def share_of_maps(
    maps: Float[Array, "stimulus row column"], covers: Float[Array, "stimulus region row column"]
) -> dict[str, Array]:
    """Return the shares of maps within regions, outside them, and along their rows.

    Parameters
    ----------
    maps : ndarray, shape (stimulus, row, column)
        0 or more.
    covers : ndarray, shape (stimulus, region, row, column)
        How much of each pixel belongs to each region, 0-1.

    Returns
    -------
    dict of str to ndarray
        `proportion` (stimulus, region), `elsewhere` (stimulus), `profile` (stimulus, row), `total` (stimulus); NaN
        but for the total where a map is 0 everywhere.

    Examples
    --------
    >>> one = np.array([[[1.0, 1.0], [2.0, 0.0]]])
    >>> top = np.array([[[[1.0, 1.0], [0.0, 0.0]]]])
    >>> share_of_maps(one, top)["proportion"]
    array([[0.5]])
    """
    total = maps.sum(axis=(1, 2))
    whole = np.where(total > 0, total, np.nan)
    inside = np.einsum("srx,sgrx->sg", maps, covers)
    outside = np.clip(1 - covers.max(axis=1), 0, 1)
    return {
        "proportion": inside / whole[:, None],
        "elsewhere": (maps * outside).sum(axis=(1, 2)) / whole,
        "profile": maps.sum(axis=2) / whole[:, None],
        "total": total,
    }


def join_networks(regions: list[xr.Dataset]) -> xr.Dataset:
    """Put the shares of several networks, over the same stimuli, into one.

    Parameters
    ----------
    regions : list of Dataset
        From `saliency_regions`. Networks of other input sizes lose the profile, whose rows differ.

    Returns
    -------
    Dataset, dims (network, stimulus, region)
        ``attrs["all_zero"]`` lists ``<network>: <stimulus>``.
    """
    heights = {part.sizes[ROW] for part in regions}
    parts = [
        (part if len(heights) == 1 else part.drop_vars("profile"))
        .assign_coords({name: (NETWORK, part[name].values.astype(object)) for name in (NETWORK, LAYER)})
        .drop_vars("area")
        for part in regions
    ]
    joined = xr.concat(
        parts, NETWORK, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts"
    )
    joined["area"] = regions[0]["area"]
    joined.attrs["untrained"] = sorted({name for part in regions for name in part.attrs.get("untrained", [])})
    joined.attrs["all_zero"] = [
        f"{part[NETWORK].values[0]}: {stimulus}" for part in regions for stimulus in part.attrs.get("all_zero", [])
    ]
    return joined


def average_regions(regions: xr.Dataset, by: tuple[str, ...] = ("occlusion", "level")) -> pd.DataFrame:
    """Return the mean shares by network, occlusion, level and region, as a table.

    Parameters
    ----------
    regions : Dataset
        From `saliency_regions` or `join_networks`. Not changed.
    by : tuple of str
        Factors of the stimuli to keep apart; those that the stimuli lack are left out.

    Returns
    -------
    DataFrame
        Columns `network`, the factors, `region`, `proportion`, `enrichment`, `se` (of the proportion over faces; NaN
        for one face) and `faces`. Faces whose map is 0 everywhere are not counted.
    """
    frame = regions[["proportion", "enrichment"]].to_dataframe().reset_index().dropna(subset=["proportion"])
    keys = [NETWORK, *(name for name in by if name in frame), REGION]
    found = frame.groupby(keys, sort=False).agg(
        proportion=("proportion", "mean"),
        enrichment=("enrichment", "mean"),
        se=("proportion", "sem"),
        faces=("proportion", "size"),
    )
    return found.reset_index()


def _covers(maps: xr.DataArray, shown: StimulusSet, regions: tuple[str, ...]) -> Array:
    boxes = region_boxes(shown, regions)
    frames = [Frame.of(file, maps.attrs["preprocessing"]) for file in shown.files]
    covers = np.stack(
        [[frame.cover(boxes[region][place]) for region in regions] for place, frame in enumerate(frames)]
    )
    empty = np.argwhere(covers.sum(axis=(2, 3)) == 0)
    if len(empty):
        named = ", ".join(f"{regions[region]} of {shown.ids[place]!r}" for place, region in empty[:20])
        message = (
            f"Regions must have an area in what the network sees, but {named} has none after cropping. Correct the "
            "table, or the preprocessing."
        )
        raise ValueError(message)
    return np.asarray(covers)
