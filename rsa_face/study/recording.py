"""What a study records of its networks: the RDM of every layer, weighed features, and where they look."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.activations.extract import Options, extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.inference.variance import pick_in_folds, reweight_layer
from rsa_face.memory import available_memory
from rsa_face.networks.zoo import Network
from rsa_face.provenance import save
from rsa_face.rdms.measures import compute_rdms, mark_measures, must_hold_rdms
from rsa_face.safety import one_part, path_in, write_table
from rsa_face.saliency.maps import LAST, average_gate, gate_openings, saliency_at
from rsa_face.saliency.regions import (
    average_layer,
    average_regions,
    join_layers,
    main_layers_with_space,
    saliency_regions,
)
from rsa_face.saliency.regions import join_networks as join_regions
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, RDM, STIMULUS, origin_of, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.comparing import FOLDS, judged, varying
from rsa_face.study.config import NetworkSection, layers_of, networks_of
from rsa_face.study.graph import Run
from rsa_face.study.networks import build, built, note_weights
from rsa_face.study.stages import measures_of, store_of

_MOST_FACES = 8
_AT_A_TIME = 32


def measure_network(run: Run, section: NetworkSection) -> None:
    """Make the RDM of every layer of a network."""
    path = path_in(run.folder / "rdms", one_part(section.called), "The network name", suffix=".nc")
    save(rdms_of(run, section), path)


def rdms_of(run: Run, section: NetworkSection) -> xr.DataArray:
    """Return the RDM of every layer of a network, by the study's measure."""
    study, recorded, store = run.study, run.study.activations, store_of(run.study, section)
    layers = layers_of(study, section)
    measure = measures_of(study, section)
    stimuli = run.stimuli.select(**recorded.where) if recorded.where else run.stimuli
    network = build(run, section)
    if study.training is None:
        note_weights(network, run)
    if store is None:
        return stream_rdms(
            [network],
            stimuli,
            measure=measure,
            layers=layers,
            pool=recorded.pool,
            device=recorded.device,
            batch=recorded.batch,
            progress=run.progress,
        )
    memory = available_memory() / 2**31  # half of it, in GiB
    must_hold_rdms(len(stimuli), len(network.select(layers)), memory)  # before hours of extraction
    tree = extract(
        [network],
        stimuli,
        store,
        layers=layers,
        device=recorded.device,
        batch=recorded.batch,
        dtype=recorded.dtype,
        options=Options(pool=recorded.pool),
        cluster=study.cluster,
        progress=run.progress,
    )
    return compute_rdms(tree, measure=measure, memory=memory, cluster=study.cluster)


def join_networks(run: Run) -> None:
    """Put the RDMs of all networks into one file."""
    files = [f"rdms/{one_part(section.called)}.nc" for section in networks_of(run.study)]
    save(join_rdms([run.array(file) for file in files]), run.folder / "rdms.nc")


def join_rdms(rdms: list[xr.DataArray]) -> xr.DataArray:
    """Put the layer RDMs of several networks, over the same stimuli in the same order, into one array."""
    joined = xr.concat(
        [_with_whole_names(array) for array in rdms],
        RDM,
        join="exact",
        coords="minimal",
        compat="equals",
        combine_attrs="drop_conflicts",
    )
    joined.attrs |= origin_of(*(array.attrs for array in rdms))
    return mark_measures(joined)


def _with_whole_names(rdms: xr.DataArray) -> xr.DataArray:
    # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
    return rdms.assign_coords(
        {name: (RDM, coord.values.astype(object)) for name, coord in rdms.coords.items()
         if coord.dims == (RDM,) and coord.dtype.kind == "U"}
    )  # fmt: skip


def reweight_peak(run: Run) -> None:
    """Weigh the features of the layer that is most like people, and test that on other stimuli and participants.

    The layer is picked again for each division, without the stimuli and participants that are left out.
    """
    inference, human = run.study.inference, run.array("human_rdms.nc")
    section = next(section for section in networks_of(run.study) if section.called == inference.network)
    rdms = varying(judged(run))[0]
    rdms = rdms.isel({RDM: rdms[NETWORK].values.astype(str) == section.called})
    folds: dict[str, Any] = {
        "comparison": inference.comparison, "folds": FOLDS, "seed": inference.seed, "groups": inference.groups
    }  # fmt: skip
    layer_of = dict(zip(rdms[RDM].values.astype(str).tolist(), rdms[LAYER].values.astype(str), strict=True))
    picked = [str(layer_of[name]) for name in pick_in_folds(rdms, human, **folds)]
    often = Counter(picked).most_common()
    table = run.stimuli.table
    stimuli = StimulusSet(table[table[STIMULUS].isin(stimulus_ids(human))].reset_index(drop=True))
    with tempfile.TemporaryDirectory(dir=run.folder) as folder:
        store, layers = Path(folder) / "peak.zarr", [name for name, _ in often]
        options = Options(pool=run.study.activations.pool)
        tree = extract([build(run, section)], stimuli, store, layers=layers, options=options)
        activations = {str(leaf.name): leaf.dataset["activation"].load() for leaf in tree.leaves}
    weighed = reweight_layer(activations, human, picked=picked, **folds)
    weighed = weighed.assign_attrs(network=section.called, layer=often[0][0])
    save(weighed, run.folder / "reweighted.nc")
    means = weighed.mean(PARTICIPANT)
    row = {
        "network": section.called,
        "layer": often[0][0],
        "picked": ", ".join(f"{name} {times}" for name, times in often),
        "raw": float(means["raw"]),
        "reweighted": float(means["reweighted"]),
    }
    write_table(pd.DataFrame([row]), run.folder / "reweighted.csv")


def map_saliency(run: Run) -> list[Path]:
    """Map what the networks' answers rest on, and write the shares of each region."""
    section = run.study.saliency
    assert section is not None
    options = section.model_dump(include={"layer", "method", "answer", "by_layer"})
    return write_saliency(built(run), run.saliency_faces, run.folder, **options)


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
    """Make the maps of every network, and write their shares by region and the maps of a few faces.

    Maps of all faces are large and quickly made again; their shares are what is analysed.
    """
    out = Path(out)
    faces = faces or example_faces(stimuli)
    files = dict(zip(stimuli.ids, map(str, stimuli.files), strict=True))
    regions, maps, layers, gates = [], [], [], []
    for network in networks:
        mapped = [layer, *(main_layers_with_space(network) if by_layer else [])]
        shares, shown = _saliency_of(network, stimuli, mapped, faces, method=method, answer=answer)
        regions.append(shares[0])
        maps.append(shown.assign_coords(file=(STIMULUS, [files[face] for face in faces])))
        layers += [average_layer(one, network) for one in shares[1:]]
        gates += _write_gate(network, stimuli, out)
    joined = join_regions(regions)
    write_table(average_regions(joined), out / "saliency.csv")
    written = [save(joined, out / "saliency.nc"), out / "saliency.csv"]
    if len({one.shape for one in maps}) == 1:
        written.append(save(join_maps(maps), out / "saliency_maps.nc"))
    if layers:
        written.append(save(join_layers(layers), out / "saliency_layers.nc"))
    return [*written, *gates]


def join_maps(maps: list[xr.DataArray]) -> xr.DataArray:
    """Put the maps of several networks, of the same faces and size, into one array."""
    names, layers = (
        np.array([str(one.attrs.get(key, key)) for one in maps], dtype=object) for key in (NETWORK, LAYER)
    )
    joined = xr.concat(maps, NETWORK, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    joined = joined.assign_coords({NETWORK: names, LAYER: (NETWORK, layers)})
    joined.attrs |= origin_of(*(one.attrs for one in maps))
    joined.attrs["all_zero"] = [
        f"{name}: {face}"
        for name, one in zip(joined[NETWORK].values, maps, strict=True)
        for face in one.attrs.get("all_zero", [])
    ]
    return joined


def example_faces(stimuli: StimulusSet) -> list[str]:
    """Pick faces to show: of one identity, the two ends of the morph under each occlusion."""
    table = stimuli.table
    if "identity" in table:
        table = table[table["identity"] == table["identity"].iloc[0]]
    if "level" in table:
        table = table[table["level"].isin([table["level"].min(), table["level"].max()])]
    return [str(value) for value in table["stimulus"][:_MOST_FACES]]


def _saliency_of(
    network: Network,
    stimuli: StimulusSet,
    layers: Sequence[str | Sequence[str]],
    faces: list[str],
    *,
    method: str,
    answer: str,
) -> tuple[list[xr.Dataset], xr.DataArray]:
    """Return the shares at each layer and the first layer's maps of some faces.

    A few stimuli are taken at a time: maps of all layers of all faces are large.
    """
    parts: list[list[xr.Dataset]] = [[] for _ in layers]
    maps: list[xr.DataArray] = []
    for start in range(0, len(stimuli), _AT_A_TIME):
        some = StimulusSet(stimuli.table.iloc[start : start + _AT_A_TIME].reset_index(drop=True))
        made = saliency_at(network, some, layers=layers, method=method, answer=answer)
        for part, one in zip(parts, made, strict=True):
            part.append(saliency_regions(one, some))
        maps.append(made[0].sel({STIMULUS: [face for face in faces if face in set(some.ids)]}))
    shares = [_join_faces(part) for part in parts]
    shown = xr.concat(maps, STIMULUS, combine_attrs="override").sel({STIMULUS: faces})
    return shares, shown.assign_attrs(all_zero=[face for face in shares[0].attrs["all_zero"] if face in faces])


def _join_faces(parts: list[xr.Dataset]) -> xr.Dataset:
    joined = xr.concat(parts, STIMULUS, data_vars="minimal", coords="minimal", compat="override", join="exact",
                       combine_attrs="override")  # fmt: skip
    return joined.assign_attrs(all_zero=[face for part in parts for face in part.attrs["all_zero"]])


def _write_gate(network: Network, stimuli: StimulusSet, out: Path) -> list[Path]:
    if not any(one.kind == "gate" for one in network.layers):
        return []
    openings = gate_openings(network, stimuli)
    stem = f"saliency_gate_{one_part(network.name)}"
    table, array = (path_in(out, stem, "The network name", suffix=suffix) for suffix in (".csv", ".nc"))
    write_table(average_gate(openings), table)
    return [save(openings, array), table]
