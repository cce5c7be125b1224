"""Run a study from its file: stimuli, networks, RDMs, people, comparison, figures; what is up to date stays."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import xarray as xr

from rsa_face.activations.extract import extract
from rsa_face.activations.streaming import stream_rdms
from rsa_face.config import NetworkSection, Study
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.saving import save_figure
from rsa_face.figures.style import figure_style
from rsa_face.human.behaviour import read_human
from rsa_face.inference.layerwise import compare_layers
from rsa_face.manifest import Manifest
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_file, load, save, write_beside
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.dissimilarity import compute_rdms
from rsa_face.schema import RDM, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.images import Preprocessing

log = logging.getLogger(__name__)


def run_study(study: Study, *, progress: bool = True, say: Callable[[str], None] = log.info) -> Path:
    """Run the stages of a study in order, each only if what it rests on has changed.

    A stage's outputs are written beside their place and moved in, and recorded in ``manifest.json`` with the
    content hashes of what they were made from: inputs, parameters and the package's own code. Stopped at any
    moment, the next run goes on with the stage that was not finished.

    Parameters
    ----------
    study : Study
        From `load_study`.
    progress : bool
        Whether to show bars.
    say : callable
        Told, in a line, what each stage does.

    Returns
    -------
    Path
        The output folder: ``layers.csv``, ``layers.nc``, ``rdms.nc``, ``human_rdms.nc``, ``stimuli.csv``,
        ``manifest.json`` and ``figures/``.

    Raises
    ------
    ValueError
        If the stimuli, networks and human data do not fit each other; what does not is named.
    """
    manifest = Manifest(study.output, say)
    stimuli = read_stimuli(study.stimuli.table)
    write_stimuli(study, stimuli)
    human = judge_stimuli(study, stimuli, manifest)
    rdms = measure_layers(study, stimuli, manifest, progress=progress)
    result = compare(study, rdms, human, manifest, progress=progress)
    draw_figures(study, stimuli, result, rdms, human, manifest)
    manifest.note(study=study.model_dump(mode="json"), name=study.name)
    return study.output


def write_stimuli(study: Study, stimuli: StimulusSet) -> None:
    """Keep the stimulus table with the results, its files by their full paths.

    Parameters
    ----------
    study : Study
        Where to.
    stimuli : StimulusSet
        Which.
    """
    with write_beside(study.output / "stimuli.csv") as beside:
        stimuli.table.to_csv(beside, index=False)


def judge_stimuli(study: Study, stimuli: StimulusSet, manifest: Manifest) -> xr.DataArray | None:
    """Read the human data as one RDM for each participant.

    Parameters
    ----------
    study : Study
        Its `human` section.
    stimuli : StimulusSet
        All stimuli; those the data are about are chosen by the section's `where`.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    DataArray, dims (participant, stimulus_i, stimulus_j), or None
        None where the study has no human data.
    """
    human = study.human
    if human is None:
        return None
    about = stimuli.select(**human.where) if human.where else stimuli
    options = dict(human.options)
    ids = options.pop("ids", None)
    layout = options.pop("layout", None)

    def read() -> None:
        array = read_human(
            human.table, kind=human.kind, options=options or None, layout=layout, stimuli=about.ids, ids=ids
        )
        save(array, study.output / "human_rdms.nc")

    inputs = {"table": hash_file(human.table), "human": human.model_dump(mode="json"), "ids": about.ids}
    manifest.stage("human RDMs", read, inputs=inputs, outputs=["human_rdms.nc"])
    return cast("xr.DataArray", load(study.output / "human_rdms.nc"))


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
    for section in study.networks:
        file = f"rdms/{section.called.replace('/', '-')}.nc"
        inputs = {
            "stimuli": seen,
            "network": section.model_dump(mode="json"),
            "weights": hash_file(section.weights) if Path(section.weights).is_file() else section.weights,
            "layers": study.activations.layers,
            "dtype": study.activations.dtype,
            "batch": study.activations.batch,
            "measure": study.rdms.measure,
        }
        make = _rdms_of(study, section, stimuli, file, progress)
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
        Over the same stimuli in the same order, by the same measure.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        In the order given; attr `untrained` names every network that rests on random weights.
    """
    joined = xr.concat(rdms, RDM, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    untrained = {name for array in rdms for name in array.attrs.get("untrained", [])}
    joined.attrs["untrained"] = sorted(untrained)
    return joined


def compare(
    study: Study, rdms: xr.DataArray, human: xr.DataArray | None, manifest: Manifest, *, progress: bool
) -> xr.Dataset | None:
    """Compare every layer with every participant, over the stimuli that were judged.

    Parameters
    ----------
    study : Study
        Its `inference` section.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    manifest : Manifest
        Where the stage is recorded.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Dataset or None
        The comparison, also written to ``layers.nc`` and, as a table, ``layers.csv``.
    """
    if human is None:
        return None
    asked = study.inference
    about = rdms if study.human is None or not study.human.where else select_stimuli(rdms, stimulus_ids(human))

    def make() -> None:
        result = compare_layers(
            about,
            human,
            comparison=asked.comparison,
            resample=asked.resample,
            draws=asked.draws,
            seed=asked.seed,
            groups=asked.groups,
            progress=progress,
        )
        save(result, study.output / "layers.nc")
        with write_beside(study.output / "layers.csv") as beside:
            tabulate(result).to_csv(beside, index=False, float_format="%.6g")

    inputs = {
        "rdms": manifest.hash_of("rdms.nc"),
        "human": manifest.hash_of("human_rdms.nc"),
        "inference": asked.model_dump(mode="json"),
    }
    manifest.stage("comparison", make, inputs=inputs, outputs=["layers.nc", "layers.csv"])
    return cast("xr.Dataset", load(study.output / "layers.nc"))


def tabulate(result: xr.Dataset) -> pd.DataFrame:
    """Return a comparison as a table, a row for each layer.

    Parameters
    ----------
    result : Dataset
        From `compare_layers`.

    Returns
    -------
    DataFrame
        Network, layer, depth, similarity, and what else the result holds for each layer: interval, p values; the
        noise ceiling on every row.
    """
    columns: dict[str, Any] = {name: result[name].values for name in ("network", "layer", "depth", "order")}
    for name, variable in result.data_vars.items():
        if variable.dims == (RDM,):
            columns[str(name)] = variable.values
        elif variable.dims == (RDM, "bound"):
            columns |= {f"{name}_{bound}": variable.sel(bound=bound).values for bound in result["bound"].values}
        elif name == "noise_ceiling":
            columns |= {f"{name}_{bound}": float(variable.sel(bound=bound)) for bound in result["bound"].values}
    said: Mapping[str, Any] = {key: result.attrs.get(key) for key in ("comparison", "simulated")}
    return pd.DataFrame({**columns, **said})


def draw_figures(
    study: Study,
    stimuli: StimulusSet,
    result: xr.Dataset | None,
    rdms: xr.DataArray,
    human: xr.DataArray | None,
    manifest: Manifest,
) -> None:
    """Draw the layer curve and the RDMs, as PDF and PNG, each with the numbers it shows.

    Parameters
    ----------
    study : Study
        Where to.
    stimuli : StimulusSet
        For the pictures on the margins.
    result : Dataset or None
        From `compare_layers`.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    manifest : Manifest
        Where the stage is recorded.
    """
    names = ["layers", "rdms"] if result is not None else ["rdms"]
    shown = rdms if human is None else select_stimuli(rdms, stimulus_ids(human))

    def draw() -> None:
        with figure_style():
            if result is not None:
                save_figure(cast("Any", plot_layers(result).figure), study.output / "figures" / "layers")
            axes = plot_rdms(shown, human=human, stimuli=stimuli)
            save_figure(cast("Any", axes.figure), study.output / "figures" / "rdms")

    inputs = {name: manifest.hash_of(name) for name in ("rdms.nc", *(("layers.nc",) if result is not None else ()))}
    outputs = [f"figures/{name}.{ending}" for name in names for ending in ("pdf", "png")]
    manifest.stage("figures", draw, inputs=inputs, outputs=outputs)


def _rdms_of(
    study: Study, section: NetworkSection, stimuli: StimulusSet, file: str, progress: bool
) -> Callable[[], None]:
    asked = study.activations
    layers = asked.layers if isinstance(asked.layers, str) else list(asked.layers)

    def make() -> None:
        network = _build(section)
        if asked.store is None:
            rdms = stream_rdms(
                [network],
                stimuli,
                measure=study.rdms.measure,
                layers=layers,
                device=asked.device,
                batch=asked.batch,
                progress=progress,
            )
        else:
            store = asked.store / f"{section.called.replace('/', '-')}.zarr"
            tree = extract(
                [network],
                stimuli,
                store,
                layers=layers,
                device=asked.device,
                batch=asked.batch,
                dtype=asked.dtype,
                progress=progress,
            )
            rdms = compute_rdms(tree, measure=study.rdms.measure)
        save(rdms, study.output / file)

    return make


def _build(section: NetworkSection) -> Network:
    return build_network(
        section.name,
        weights=section.weights,
        seed=section.seed,
        classes=section.classes,
        attention=section.attention.model_dump() if section.attention else None,
        preprocessing=Preprocessing(**section.preprocessing.model_dump()),
        label=section.label,
    )
