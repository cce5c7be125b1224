"""The human data of a study, as one RDM for each participant."""

import warnings
from typing import cast

import xarray as xr

from rsa_face.human.read import read_human
from rsa_face.inference.ceiling import refuse_one_participant
from rsa_face.inference.comparisons import check_people
from rsa_face.inference.resampling import AUTO, GROUP_FACTOR, UngroupedWarning, choose_groups, group_members
from rsa_face.provenance import hash_file, load, save
from rsa_face.schema import STIMULUS, STIMULUS_I, must_be_known, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest


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
        With the factor that stimuli are grouped by, along `stimulus_i`. None where the study has no human data.

    Raises
    ------
    ValueError
        If the human data are at fault, or layers cannot be compared with them: told before anything is trained.
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
    judged = _grouped(cast("xr.DataArray", load(study.output / "human_rdms.nc")), about, study.inference.groups)
    refuse_one_participant(judged)
    check_people(judged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UngroupedWarning)  # said where they are drawn
        group_members(judged, choose_groups(judged, study.inference.groups))
    return judged


def _grouped(human: xr.DataArray, about: StimulusSet, groups: str | None) -> xr.DataArray:
    """Add the factor that stimuli are, or could be, drawn by."""
    if groups in (None, AUTO):
        if GROUP_FACTOR not in about.factors:
            return human
        factor = GROUP_FACTOR
    else:
        factor = str(groups)
    if factor in human.coords:
        return human
    must_be_known(factor, about.factors, "factor that inference groups by")
    of_each = about.table.set_index(STIMULUS)[factor].loc[stimulus_ids(human)]
    return human.assign_coords({factor: (STIMULUS_I, of_each.to_numpy(dtype=object))})
