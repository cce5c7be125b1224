"""How much of a network's saliency lies on the eyes, the nose and the mouth, at one layer or along all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float
from torchvision.transforms.v2 import functional

from rsa_face.networks.zoo import Network
from rsa_face.safety import first_of
from rsa_face.saliency.maps import ROW, layers_with_space
from rsa_face.schema import LAYER, NETWORK, RDM, STIMULUS, origin_of
from rsa_face.stimuli.catalogue import StimulusSet, open_picture
from rsa_face.stimuli.occlusion import REGIONS, region_boxes

REGION = "region"
_UNMASKED = "none"
_ATTRS = ("method", "answer", *origin_of(), "simulated")
Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """Where the pixels of an image file lie in a network's input: height and width before and after resizing."""

    size: tuple[int, int]
    resized: tuple[int, int]
    crop: int

    @classmethod
    def of(cls, file: str | Path, preprocessing: Mapping[str, object]) -> Self:
        """Return the frame of an image file."""
        with open_picture(file) as opened:
            width, height = opened.size
            turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        height, width = (width, height) if turned else (height, width)
        resize, crop = preprocessing["resize"], int(str(preprocessing["crop"]))
        if isinstance(resize, int):
            short, long = sorted((height, width))
            other = int(resize * long / short)
            resized = (resize, other) if height <= width else (other, resize)
        else:
            resized = (int(resize[0]), int(resize[1]))  # type: ignore[index]  # a pair, as recorded
        return cls((height, width), resized, crop)

    def cover(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return how much of each input pixel a box of the file covers."""
        left, top, right, bottom = box
        return np.outer(self._span(top, bottom, 0), self._span(left, right, 1))

    def bring(self, values: np.ndarray) -> np.ndarray:
        """Return values given for the pixels of the file in those of the input."""
        image = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))[None]
        resized = functional.resize(image, list(self.resized), antialias=True)
        return np.asarray(functional.center_crop(resized, [self.crop, self.crop])[0].numpy())

    def _span(self, start: float, stop: float, side: int) -> np.ndarray:
        scale = self.resized[side] / self.size[side]
        cut = round((self.resized[side] - self.crop) / 2.0)
        edges = np.arange(self.crop)
        low, high = start * scale - cut, stop * scale - cut
        return np.asarray(np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1))


def saliency_regions(maps: xr.DataArray, stimuli: StimulusSet, *, regions: tuple[str, ...] = REGIONS) -> xr.Dataset:
    """Measure the share of each face's saliency in each region, and along its height.

    A large region gathers more of any map: `enrichment` divides by the region's share of the input, so that 1 is
    what a map without any preference has. A map that is 0 everywhere has no shares; it is NaN and named.
    """
    ids = [str(value) for value in maps[STIMULUS].values]
    lacking = [stimulus for stimulus in ids if stimulus not in set(stimuli.ids)]
    if lacking:
        message = f"Maps of stimuli that are not in the table: {first_of(lacking)}. Pass the table they come from."
        raise ValueError(message)
    shown = StimulusSet(stimuli.table.set_index("stimulus").loc[ids].reset_index())
    covers = _covers(maps, shown, regions)
    shares = share_of_maps(maps.values.astype(float), covers)
    area = covers.mean(axis=(2, 3))
    dims = (NETWORK, STIMULUS)
    coords = {name: coord for name, coord in maps.coords.items() if coord.dims == (STIMULUS,)}
    table = xr.Dataset(
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
    table.attrs = {name: maps.attrs[name] for name in (*_ATTRS, "all_zero") if name in maps.attrs}
    return table


def share_of_maps(
    maps: Float[Array, "stimulus row column"], covers: Float[Array, "stimulus region row column"]
) -> dict[str, Array]:
    """Return the shares of maps within regions, outside them, and along their rows."""
    total = maps.sum(axis=(1, 2))
    positive = np.where(total > 0, total, np.nan)
    inside = np.einsum("srx,sgrx->sg", maps, covers)
    outside = np.clip(1 - covers.max(axis=1), 0, 1)
    return {
        "proportion": inside / positive[:, None],
        "elsewhere": (maps * outside).sum(axis=(1, 2)) / positive,
        "profile": maps.sum(axis=2) / positive[:, None],
        "total": total,
    }


def join_networks(regions: list[xr.Dataset]) -> xr.Dataset:
    """Put the shares of several networks, over the same stimuli, into one."""
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
    joined.attrs |= origin_of(*(part.attrs for part in regions))
    joined.attrs["all_zero"] = [
        f"{part[NETWORK].values[0]}: {stimulus}" for part in regions for stimulus in part.attrs.get("all_zero", [])
    ]
    return joined


def average_regions(regions: xr.Dataset, by: tuple[str, ...] = ("occlusion", "level")) -> pd.DataFrame:
    """Return the mean shares by network, occlusion, level and region, as a table."""
    frame = regions[["proportion", "enrichment"]].to_dataframe().reset_index().dropna(subset=["proportion"])
    keys = [NETWORK, *(name for name in by if name in frame), REGION]
    means = frame.groupby(keys, sort=False).agg(
        proportion=("proportion", "mean"),
        enrichment=("enrichment", "mean"),
        se=("proportion", "sem"),
        faces=("proportion", "size"),
    )
    return means.reset_index()


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
            f"Regions outside of what the network sees, after cropping: {named}. Correct the table, or the "
            "preprocessing."
        )
        raise ValueError(message)
    return np.asarray(covers)


def main_layers_with_space(network: Network) -> list[str]:
    """Return the names of the main layers that can have maps."""
    main = {layer.name for layer in network.select("main")}
    return [layer.name for layer in layers_with_space(network) if layer.name in main]


def average_layer(regions: xr.Dataset, network: Network) -> xr.Dataset:
    """Return the mean shares of one layer, under each occlusion, labelled as the layer's RDM is."""
    name = str(regions[LAYER].values[0])
    layer = network.select([name])[0]
    faces = regions.isel({NETWORK: 0}, drop=True)
    unmasked = np.full(faces.sizes[STIMULUS], _UNMASKED)
    shown = faces["occlusion"].values.astype(str) if "occlusion" in faces.coords else unmasked
    occlusions = list(dict.fromkeys(shown.tolist()))
    rows = [_mean_of(faces.isel({STIMULUS: np.flatnonzero(shown == occlusion)})) for occlusion in occlusions]
    means = xr.concat(rows, "occlusion").assign_coords(occlusion=occlusions)
    means = means.expand_dims({RDM: [f"{network.name}/{name}"]})
    places = {NETWORK: network.name, LAYER: name, "depth": layer.depth, "order": layer.order}
    means = means.assign_coords({key: (RDM, np.array([value], dtype=object if isinstance(value, str) else None))
                                 for key, value in places.items()})  # fmt: skip
    return means.assign_attrs({key: regions.attrs[key] for key in _ATTRS if key in regions.attrs})


def join_layers(layers: list[xr.Dataset]) -> xr.Dataset:
    """Put the shares of several layers, of one network or more, into one."""
    named = [one.assign_coords({RDM: one[RDM].values.astype(object)}) for one in layers]
    joined = xr.concat(named, RDM, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    joined.attrs |= origin_of(*(one.attrs for one in layers))
    return joined


def _mean_of(part: xr.Dataset) -> xr.Dataset:
    share = part["proportion"]
    faces = share.notnull().all("region").sum(STIMULUS)
    spread = (
        share.std(STIMULUS, ddof=1) if int(faces) > 1 else xr.full_like(share.isel({STIMULUS: 0}, drop=True), np.nan)
    )
    return xr.Dataset(
        {
            "proportion": share.mean(STIMULUS),
            "enrichment": part["enrichment"].mean(STIMULUS),
            "se": spread / np.sqrt(faces),
            "faces": faces,
        }
    )
