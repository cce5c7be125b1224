"""Where the networks of one study look, as files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from rsa_face.networks.zoo import Network
from rsa_face.provenance import save
from rsa_face.safety import one_part, path_in, write_table
from rsa_face.saliency.maps import LAST, average_gate, gate_openings, saliency_at
from rsa_face.saliency.regions import (
    average_layer,
    average_regions,
    join_layers,
    join_networks,
    main_layers_with_space,
    saliency_regions,
)
from rsa_face.schema import LAYER, NETWORK, STIMULUS, origin_of
from rsa_face.stimuli.catalogue import StimulusSet

_MOST_FACES = 8
_AT_A_TIME = 32


def write_saliency(
    networks: Iterable[Network],
    stimuli: StimulusSet,
    out: str | Path,
    *,
    layer: str | Sequence[str] = LAST,
    method: str = "gradcam",
    answer: str = "happy",
    faces: list[str] | None = None,
    by_layer: bool = False,
) -> list[Path]:
    """Make the maps of every network, and keep their shares by region and the maps of a few faces.

    Maps of all faces are large and quickly made again; their shares are what is analysed.
    """
    out = Path(out)
    kept = faces or example_faces(stimuli)
    files_of = dict(zip(stimuli.ids, stimuli.files, strict=True))
    files_of_kept = [str(files_of[face]) for face in kept]
    regions, maps, layers, written = [], [], [], []
    for network in networks:
        asked = [layer, *(main_layers_with_space(network) if by_layer else [])]
        each = _measure(network, stimuli, asked, kept, method=method, answer=answer)
        regions.append(each.regions[0])
        maps.append(each.kept.assign_coords(file=(STIMULUS, files_of_kept)))
        layers += [average_layer(one, network) for one in each.regions[1:]]
        written += _write_gate(network, stimuli, out)
    joined = join_networks(regions)
    write_table(average_regions(joined), out / "saliency.csv")
    files = [save(joined, out / "saliency.nc"), out / "saliency.csv"]
    if len({one.shape for one in maps}) == 1:
        files.append(save(join_maps(maps), out / "saliency_maps.nc"))
    if layers:
        files.append(save(join_layers(layers), out / "saliency_layers.nc"))
    return [*files, *written]


def join_maps(maps: list[xr.DataArray]) -> xr.DataArray:
    """Put the maps of several networks, of the same faces and size, into one array."""
    names = np.array([str(one.attrs.get("network", "network")) for one in maps], dtype=object)
    joined = xr.concat(maps, NETWORK, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    layers = np.array([str(one.attrs.get("layer", "")) for one in maps], dtype=object)
    joined = joined.assign_coords({NETWORK: names, LAYER: (NETWORK, layers)})
    joined.attrs |= origin_of(*(one.attrs for one in maps))
    joined.attrs["all_zero"] = [
        f"{name}: {face}" for name, one in zip(names, maps, strict=True) for face in one.attrs.get("all_zero", [])
    ]
    return joined


def example_faces(stimuli: StimulusSet) -> list[str]:
    """Pick faces to show: of one identity, the two ends of the morph under each occlusion."""
    table = stimuli.table
    if "identity" in table:
        table = table[table["identity"] == table["identity"].iloc[0]]
    if "level" not in table:
        return [str(value) for value in table["stimulus"][:_MOST_FACES]]
    ends = table[table["level"].isin([table["level"].min(), table["level"].max()])]
    return [str(value) for value in ends["stimulus"][:_MOST_FACES]]


@dataclass(frozen=True, eq=False)
class _Measured:
    regions: list[xr.Dataset]
    kept: xr.DataArray


def _measure(
    network: Network,
    stimuli: StimulusSet,
    layers: Sequence[str | Sequence[str]],
    kept: list[str],
    *,
    method: str,
    answer: str,
) -> _Measured:
    """Measure the shares at each layer, a few faces at a time: maps of all layers of all faces are large."""
    parts: list[list[xr.Dataset]] = [[] for _ in layers]
    maps: list[xr.DataArray] = []
    for start in range(0, len(stimuli), _AT_A_TIME):
        some = StimulusSet(stimuli.table.iloc[start : start + _AT_A_TIME].reset_index(drop=True))
        made = saliency_at(network, some, layers=layers, method=method, answer=answer)
        for place, one in enumerate(made):
            parts[place].append(saliency_regions(one, some))
        maps.append(made[0].sel({STIMULUS: [name for name in kept if name in set(some.ids)]}))
    regions = [_joined_faces(part) for part in parts]
    together = xr.concat(maps, STIMULUS, combine_attrs="override").sel({STIMULUS: kept})
    zero = [name for name in regions[0].attrs["all_zero"] if name in kept]
    return _Measured(regions, together.assign_attrs(all_zero=zero))


def _joined_faces(parts: list[xr.Dataset]) -> xr.Dataset:
    joined = xr.concat(parts, STIMULUS, data_vars="minimal", coords="minimal", compat="override", join="exact",
                       combine_attrs="override")  # fmt: skip
    return joined.assign_attrs(all_zero=[name for part in parts for name in part.attrs["all_zero"]])


def _write_gate(network: Network, stimuli: StimulusSet, out: Path) -> list[Path]:
    if not any(one.kind == "gate" for one in network.layers):
        return []
    openings = gate_openings(network, stimuli)
    stem = f"saliency_gate_{one_part(network.name)}"
    table, array = (path_in(out, stem, "The network name", suffix=suffix) for suffix in (".csv", ".nc"))
    write_table(average_gate(openings), table)
    return [save(openings, array), table]
