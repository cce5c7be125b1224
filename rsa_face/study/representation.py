"""The RDM of every layer of a study's networks, streamed or by way of an activation store."""

from collections.abc import Callable
from typing import cast

import xarray as xr

from rsa_face.activations.extract import extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.provenance import load, save
from rsa_face.rdms.measures import (
    GENERAL,
    compute_rdms,
    general_measure,
    layers_with_their_own,
    mark_measures,
    measures_among,
)
from rsa_face.safety import one_part, path_in
from rsa_face.schema import RDM
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, networks_of, note_weights, start_of, trained_file
from rsa_face.study.sections import NetworkSection


def measure_layers(study: Study, stimuli: StimulusSet, manifest: Manifest, *, progress: bool) -> xr.DataArray:
    """Make the RDM of every layer, one network after another, each built only if it must run.

    Parameters
    ----------
    study : Study
        Its `networks`, `activations` and `rdms` sections.
    stimuli : StimulusSet
        What the networks look at.
    manifest : Manifest
        Where each network's stage is recorded.
    progress : bool
        Whether to show bars.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        Of all networks, also written to ``rdms.nc``.
    """
    files = []
    seen = stimuli.content_hash()
    for section in networks_of(study):
        file = f"rdms/{one_part(section.called)}.nc"
        inputs = {
            "stimuli": seen,
            **start_of(section),
            "trained": manifest.hash_of(trained_file(section)) if study.training else None,
            "layers": study.activations.layers,
            "dtype": study.activations.dtype,
            "batch": study.activations.batch,
            "measure": _measure(study, section),
        }
        make = _rdms_of(study, section, stimuli, manifest, file, progress=progress)
        manifest.stage(f"RDMs of {section.called}", make, inputs=inputs, outputs=[file])
        files.append(file)

    def join() -> None:
        save(join_rdms([cast("xr.DataArray", load(study.output / file)) for file in files]), study.output / "rdms.nc")

    hashes = {file: manifest.hash_of(file) for file in files}
    manifest.stage("RDMs of all networks", join, inputs=hashes, outputs=["rdms.nc"])
    return cast("xr.DataArray", load(study.output / "rdms.nc"))


def join_rdms(rdms: list[xr.DataArray]) -> xr.DataArray:
    """Put the layer RDMs of several networks into one array.

    Parameters
    ----------
    rdms : list of DataArray, dims (rdm, stimulus_i, stimulus_j)
        Over the same stimuli in the same order, by the same measure but for single layers.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        In the order given; attr `untrained` names every network that rests on random weights.
    """
    joined = xr.concat(
        [_with_whole_names(array) for array in rdms],
        RDM,
        join="exact",
        coords="minimal",
        compat="equals",
        combine_attrs="drop_conflicts",
    )
    untrained = {name for array in rdms for name in array.attrs.get("untrained", [])}
    joined.attrs["untrained"] = sorted(untrained)
    return mark_measures(joined)


def _measure(study: Study, section: NetworkSection) -> dict[str, str]:
    asked = study.rdms.measure
    measures = {**layers_with_their_own(asked), GENERAL: general_measure(asked)}
    return measures_among(measures, [(section.called, layer) for layer in section.layers])


def _with_whole_names(rdms: xr.DataArray) -> xr.DataArray:
    # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
    return rdms.assign_coords(
        {name: (RDM, coord.values.astype(object)) for name, coord in rdms.coords.items()
         if coord.dims == (RDM,) and coord.dtype.kind == "U"}
    )  # fmt: skip


def _rdms_of(
    study: Study, section: NetworkSection, stimuli: StimulusSet, manifest: Manifest, file: str, *, progress: bool
) -> Callable[[], None]:
    asked = study.activations
    layers = asked.layers if isinstance(asked.layers, str) else list(asked.layers)

    def make() -> None:
        network = build(study, section)
        if study.training is None:
            note_weights(network, manifest)
        if asked.store is None and study.cluster is None:
            rdms = stream_rdms(
                [network],
                stimuli,
                measure=_measure(study, section),
                layers=layers,
                device=asked.device,
                batch=asked.batch,
                progress=progress,
            )
        else:
            folder = asked.store or study.output / "stores"
            store = path_in(folder, one_part(section.called), "The network name", suffix=".zarr")
            tree = extract(
                [network],
                stimuli,
                store,
                layers=layers,
                device=asked.device,
                batch=asked.batch,
                dtype=asked.dtype,
                cluster=study.cluster,
                progress=progress,
            )
            rdms = compute_rdms(tree, measure=_measure(study, section), cluster=study.cluster)
        save(rdms, study.output / file)

    return make
