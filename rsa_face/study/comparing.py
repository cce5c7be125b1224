"""The inference of a study: layers against people, networks against each other, and where one turns human-like."""

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_table
from rsa_face.inference.contrasts import contrast_layers
from rsa_face.inference.localization import localize
from rsa_face.inference.resampling import AUTO, GROUP_FACTOR, UngroupedWarning, choose_groups, describe_groups
from rsa_face.inference.rsa import add_partial, compare_layers, correct_layers, held_out_similarity, to_frame
from rsa_face.provenance import hash_file, load, save
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.controls import control_rdms
from rsa_face.safety import one_part, path_in
from rsa_face.schema import LAYER, RDM, STIMULUS_I, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest

COMPARISON, LOCALIZATION = "layers.nc", "localization.nc"


def compare(
    study: Study,
    stimuli: StimulusSet,
    rdms: xr.DataArray,
    human: xr.DataArray | None,
    manifest: Manifest,
    *,
    progress: bool,
) -> xr.Dataset | None:
    """Compare every layer with every participant, over the stimuli that were judged.

    The planned family is every layer of the study: p values are corrected over it. Where controls are named, what
    remains of the similarity given them stands beside it.

    Parameters
    ----------
    study : Study
        Its `inference` section.
    stimuli : StimulusSet
        For the controls.
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
    about, left_out = varying(judged(study, rdms, human))
    for name in left_out:
        manifest.say(
            f"left out: {name} has the same dissimilarity for every pair, so nothing can be compared with it"
        )

    def make() -> None:
        _say_groups(human, asked.groups, asked.resample, manifest)
        result = compare_layers(
            about,
            human,
            comparison=asked.comparison,
            resample=asked.resample,
            draws=asked.draws,
            seed=asked.seed,
            groups=asked.groups,
            cluster=study.cluster,
            progress=progress,
        )
        result = correct_layers(result, rdms=about, human=human, method=asked.method)
        if asked.controls:
            given = select_stimuli(control_rdms(stimuli, asked.controls), stimulus_ids(human))
            result = add_partial(result, rdms=about, human=human, controls=given)
        save(result.assign_attrs(left_out=left_out), study.output / COMPARISON)
        write_table(to_frame(result), study.output / "layers.csv")

    inputs = {
        "rdms": manifest.hash_of("rdms.nc"),
        "human": manifest.hash_of("human_rdms.nc"),
        "stimuli": stimuli.content_hash() if asked.controls else None,
        "groups": None if asked.groups is None else factor_of(human, asked.groups),
        "control files": {str(name): hash_file(name) for name in asked.controls if Path(name).is_file()},
        "inference": asked.model_dump(mode="json", exclude={"network", "baseline"}),
    }
    manifest.stage("comparison", make, inputs=inputs, outputs=[COMPARISON, "layers.csv"])
    return cast("xr.Dataset", load(study.output / COMPARISON))


def judged(study: Study, rdms: xr.DataArray, human: xr.DataArray) -> xr.DataArray:
    """Return the layer RDMs over the stimuli that the human data are about.

    Parameters
    ----------
    study : Study
        Its `human` section says which, by `where`; without it, all stimuli must have been judged.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        In the human RDMs' order, if some were chosen.
    """
    if study.human is None or not study.human.where:
        return rdms
    return select_stimuli(rdms, stimulus_ids(human))


def _say_groups(human: xr.DataArray, groups: str | None, resample: str | None, manifest: Manifest) -> None:
    """Say what is drawn together, and what it means where stimuli that belong together are not."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UngroupedWarning)
        chosen = choose_groups(human, groups)
    for warning in caught:
        manifest.say(f"warning: {warning.message}")
    if resample not in (None, "participant"):
        manifest.say(f"stimuli are drawn {describe_groups(human, chosen)}")


def factor_of(human: xr.DataArray, groups: str) -> list[str] | None:
    """Return what stimuli are drawn by: the value of each, in order; None where human RDMs do not know it."""
    name = GROUP_FACTOR if groups == AUTO else groups
    return [str(value) for value in human[name].values] if name in human.coords else None


def varying(rdms: xr.DataArray) -> tuple[xr.DataArray, list[str]]:
    """Leave out layers whose dissimilarity is the same for every pair, and name them.

    The two outputs of a network that gives one answer to every face have a correlation distance of 0 throughout.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs. Not changed.

    Returns
    -------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Those that vary.
    left_out : list of str
        The names of the others.

    Raises
    ------
    ValueError
        If no layer's varies.
    """
    upper = np.triu_indices(rdms.sizes[STIMULUS_I], k=1)
    constant = np.array([np.ptp(values[upper]) == 0 for values in rdms.values])
    left_out = [str(name) for name in rdms[RDM].values[constant]]
    if constant.all():
        message = f"A layer's RDM must vary to be compared, but none of {left_out} does. Check the weights."
        raise ValueError(message)
    return rdms.isel({RDM: ~constant}), left_out


def contrast_networks(study: Study, result: xr.Dataset | None, manifest: Manifest) -> dict[str, xr.Dataset]:
    """Subtract every other network from the one in question at each matched layer, its baseline first.

    Parameters
    ----------
    study : Study
        Its `inference` section: `network` and `baseline`.
    result : Dataset or None
        From `compare`.
    manifest : Manifest
        Where the stages are recorded.

    Returns
    -------
    dict of str to Dataset, dims (layer, bound)
        By the network that was subtracted; also in ``contrast.nc`` (the baseline) and ``contrast_<network>.nc``.
        Empty where nothing was resampled, or the network or baseline is not among the study's, which is said.
    """
    asked = study.inference
    names = _networks_in(result)
    _say_without(study, result, manifest)
    if result is None or asked.network not in names or asked.baseline not in names or asked.network == asked.baseline:
        return {}
    others = [asked.baseline, *(name for name in names if name not in (asked.network, asked.baseline))]
    contrasts = {}
    for other in others:
        stem = "contrast" if other == asked.baseline else f"contrast_{one_part(other)}"

        def make(other: str = other, stem: str = stem) -> None:
            contrast = contrast_layers(
                result, network=asked.network, baseline=other, cluster="draws", seed=asked.seed
            )
            save(contrast, path_in(study.output, stem, "The contrast", suffix=".nc"))
            write_table(tabulate_contrast(contrast), path_in(study.output, stem, "The contrast", suffix=".csv"))

        inputs = {"layers": manifest.hash_of(COMPARISON), "network": asked.network, "baseline": other}
        outputs = [f"{stem}.nc", f"{stem}.csv"]
        manifest.stage(f"{asked.network} minus {other}", make, inputs=inputs, outputs=outputs)
        contrasts[other] = cast("xr.Dataset", load(study.output / f"{stem}.nc"))
    return contrasts


def find_layer(
    study: Study, rdms: xr.DataArray, human: xr.DataArray | None, result: xr.Dataset | None, manifest: Manifest
) -> xr.Dataset | None:
    """Say at which layer the network in question becomes human-like, and how sure one can be.

    Parameters
    ----------
    study : Study
        Its `inference` section: `network` and `baseline`.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    result : Dataset or None
        From `compare`.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (target, layer), or None
        From `localize`, with the similarity of the picked layer on what did not pick it; also in
        ``localization.nc``. None where nothing was resampled, or the network is not among the study's.
    """
    asked = study.inference
    names = _networks_in(result)
    if result is None or human is None or asked.network not in names:
        return None
    baseline = asked.baseline if asked.baseline in names and asked.baseline != asked.network else None

    def make() -> None:
        where = localize(result, network=asked.network, baseline=baseline)
        where = held_out_similarity(where, result, rdms=varying(judged(study, rdms, human))[0], human=human)
        save(where, study.output / LOCALIZATION)

    inputs = {"layers": manifest.hash_of(COMPARISON), "network": asked.network, "baseline": baseline}
    manifest.stage("localization", make, inputs=inputs, outputs=[LOCALIZATION])
    return cast("xr.Dataset", load(study.output / LOCALIZATION))


def tabulate_contrast(contrast: xr.Dataset) -> pd.DataFrame:
    """Return a contrast as a table, a row for each matched layer.

    Parameters
    ----------
    contrast : Dataset, dims (layer, bound)
        From `contrast_layers`.

    Returns
    -------
    DataFrame
        The two networks, their matched layers, the difference, its intervals and p values.
    """
    named = {name: contrast.attrs[name] for name in ("network", "baseline")}
    columns: dict[str, Any] = {LAYER: contrast[LAYER].values}
    columns |= {str(name): coord.values for name, coord in contrast.coords.items()
                if coord.dims == (LAYER,) and name != LAYER}  # fmt: skip
    for name, variable in contrast.data_vars.items():
        if variable.dims == (LAYER,):
            columns[str(name)] = variable.values
        elif variable.dims == (LAYER, "bound"):
            columns |= {f"{name}_{bound}": variable.sel(bound=bound).values for bound in contrast["bound"].values}
    return pd.DataFrame({**named, **columns})


def _say_without(study: Study, result: xr.Dataset | None, manifest: Manifest) -> None:
    """Say what is left out of what the study asks of the network in question and its baseline, and why."""
    asked, names = study.inference, _networks_in(result)
    named = asked.model_fields_set & {"network", "baseline"}
    if result is not None and named and not names:
        said = "where a network turns human-like, since nothing is resampled (inference: resample)"
        manifest.say(f"left out: {said}")
    for key, what in (("network", "where a network turns human-like"), ("baseline", "the contrast with a baseline")):
        wanted = getattr(asked, key)
        if names and wanted not in names:
            manifest.say(f"left out: {what}, since no network is called {wanted!r} (inference: {key})")
    if asked.network == asked.baseline:
        manifest.say(
            f"left out: the contrast with a baseline, since {asked.network!r} is its own (inference: baseline)"
        )


def _networks_in(result: xr.Dataset | None) -> list[str]:
    if result is None or "similarity_draws" not in result:
        return []
    return list(dict.fromkeys(result["network"].values.astype(str).tolist()))
