"""What a study records of its networks: the RDM of every layer, weighed features, and where they look."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from rsa_face.activations.extract import extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.inference.variance import pick_in_folds, reweight_layer
from rsa_face.provenance import save
from rsa_face.rdms.measures import compute_rdms, mark_measures
from rsa_face.safety import one_part, path_in, write_table
from rsa_face.saliency.stage import write_saliency
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, RDM, STIMULUS, origin_of, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.comparing import FOLDS, judged, varying
from rsa_face.study.config import NetworkSection, layers_of, networks_of
from rsa_face.study.graph import Run
from rsa_face.study.networks import build, built, note_weights
from rsa_face.study.stages import measures_of


def measure_network(run: Run, section: NetworkSection) -> None:
    """Make the RDM of every layer of a network."""
    study, recorded, plain = run.study, run.study.activations, one_part(section.called)
    layers = layers_of(study, section)
    measure = measures_of(study, section)
    stimuli = run.stimuli.select(**recorded.where) if recorded.where else run.stimuli
    network = build(run, section)
    if study.training is None:
        note_weights(network, run)
    if recorded.store is None and study.cluster is None:
        rdms = stream_rdms(
            [network],
            stimuli,
            measure=measure,
            layers=layers,
            device=recorded.device,
            batch=recorded.batch,
            progress=run.progress,
        )
    else:
        tree = extract(
            [network],
            stimuli,
            path_in(recorded.store or run.folder / "stores", plain, "The network name", suffix=".zarr"),
            layers=layers,
            device=recorded.device,
            batch=recorded.batch,
            dtype=recorded.dtype,
            cluster=study.cluster,
            progress=run.progress,
        )
        rdms = compute_rdms(tree, measure=measure, cluster=study.cluster)
    save(rdms, path_in(run.folder / "rdms", plain, "The network name", suffix=".nc"))


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
        tree = extract([build(run, section)], stimuli, store, layers=layers)
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
