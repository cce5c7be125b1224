"""The inference of a study: layers against people, networks against each other, and where one turns human-like."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_table
from rsa_face.inference.contrasts import contrast_layers
from rsa_face.inference.localization import localize
from rsa_face.inference.resampling import UngroupedWarning, choose_groups, describe_groups
from rsa_face.inference.rsa import add_partial, compare_layers, correct_layers, held_out_similarity, to_frame
from rsa_face.provenance import save
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.controls import control_rdms
from rsa_face.safety import one_part, path_in
from rsa_face.schema import LAYER, NETWORK, RDM, STIMULUS_I, stimulus_ids
from rsa_face.study.graph import Run
from rsa_face.study.sections import NetworkSection


def compare(run: Run) -> None:
    """Compare every layer with every participant, over the stimuli that were judged.

    The planned family is every layer of the study: p values are corrected over it. Where controls are named, what
    remains of the similarity given them stands beside it.
    """
    inference, human = run.study.inference, run.array("human_rdms.nc")
    rdms, left_out = varying(judged(run))
    for name in left_out:
        run.say(f"left out: {name} has the same dissimilarity for every pair, so nothing can be compared with it")
    _say_groups(run, human)
    result = compare_layers(
        rdms,
        human,
        comparison=inference.comparison,
        resample=inference.resample,
        draws=inference.draws,
        seed=inference.seed,
        groups=inference.groups,
        cluster=run.study.cluster,
        progress=run.progress,
    )
    result = correct_layers(result, rdms=rdms, human=human, method=inference.method)
    if inference.controls:
        controls = select_stimuli(control_rdms(run.stimuli, inference.controls), stimulus_ids(human))
        result = add_partial(result, rdms=rdms, human=human, controls=controls)
    save(result.assign_attrs(left_out=left_out), run.folder / "layers.nc")
    write_table(to_frame(result), run.folder / "layers.csv")


def _say_groups(run: Run, human: xr.DataArray) -> None:
    """Say what is drawn together, and what it means where stimuli that belong together are not."""
    inference = run.study.inference
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UngroupedWarning)
        groups = choose_groups(human, inference.groups)
    for warning in caught:
        run.say(f"warning: {warning.message}")
    if inference.resample not in (None, "participant"):
        run.say(f"stimuli are drawn {describe_groups(human, groups)}")


def judged(run: Run) -> xr.DataArray:
    """Return the layer RDMs over the stimuli that the human data are about, in their order if some were chosen."""
    section = run.study.human
    if section is None or not section.where:
        return run.array("rdms.nc")
    return select_stimuli(run.array("rdms.nc"), stimulus_ids(run.array("human_rdms.nc")))


def varying(rdms: xr.DataArray) -> tuple[xr.DataArray, list[str]]:
    """Leave out layers whose dissimilarity is the same for every pair, and name them.

    The two outputs of a network that gives one answer to every face have a correlation distance of 0 throughout.
    """
    upper = np.triu_indices(rdms.sizes[STIMULUS_I], k=1)
    constant = np.array([np.ptp(values[upper]) == 0 for values in rdms.values])
    left_out = [str(name) for name in rdms[RDM].values[constant]]
    if constant.all():
        message = f"No layer's RDM varies: {left_out}. Check the weights."
        raise ValueError(message)
    return rdms.isel({RDM: ~constant}), left_out


def why_no_contrast(run: Run, section: NetworkSection) -> str:
    """Say why two networks cannot be contrasted: layers that do not vary are left out."""
    networks = run.dataset("layers.nc")[NETWORK].values
    constant = [name for name in (run.study.inference.network, section.called) if name not in networks]
    return f"the contrast with {section.called}, since no layer of {constant[0]} varies" if constant else ""


def why_no_peak(run: Run) -> str:
    """Say why no layer of the network in question can be found: layers that do not vary are left out."""
    name = run.study.inference.network
    varies = name in run.dataset("layers.nc")[NETWORK].values
    return "" if varies else f"where a network turns human-like, since no layer of {name} varies"


def contrast_with_baseline(run: Run, section: NetworkSection) -> None:
    """Subtract the baseline from the network in question at each matched layer."""
    _contrast(run, section, "contrast")


def contrast_with_other(run: Run, section: NetworkSection) -> None:
    """Subtract another network from the one in question at each matched layer."""
    _contrast(run, section, f"contrast_{one_part(section.called)}")


def _contrast(run: Run, section: NetworkSection, stem: str) -> None:
    inference = run.study.inference
    contrast = contrast_layers(
        run.dataset("layers.nc"),
        network=inference.network,
        baseline=section.called,
        cluster_test="draws",
        seed=inference.seed,
    )
    save(contrast, path_in(run.folder, stem, "The contrast", suffix=".nc"))
    write_table(tabulate_contrast(contrast), path_in(run.folder, stem, "The contrast", suffix=".csv"))


def find_layer(run: Run) -> None:
    """Say at which layer the network in question becomes human-like, and how sure one can be.

    Beside it stands the similarity of the picked layer on what did not pick it.
    """
    inference, result = run.study.inference, run.dataset("layers.nc")
    other = inference.baseline in result[NETWORK].values and inference.baseline != inference.network
    where = localize(result, network=inference.network, baseline=inference.baseline if other else None)
    where = held_out_similarity(where, result, rdms=varying(judged(run))[0], human=run.array("human_rdms.nc"))
    save(where, run.folder / "localization.nc")


def tabulate_contrast(contrast: xr.Dataset) -> pd.DataFrame:
    """Return a contrast as a table, a row for each matched layer."""
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
