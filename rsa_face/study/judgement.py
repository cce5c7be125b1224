"""The human data of a study, as one RDM for each participant."""

import warnings

import xarray as xr

from rsa_face.human.read import read_human
from rsa_face.inference.ceiling import refuse_one_participant
from rsa_face.inference.comparisons import check_people
from rsa_face.inference.resampling import AUTO, GROUP_FACTOR, UngroupedWarning, choose_groups, group_members
from rsa_face.provenance import save
from rsa_face.schema import STIMULUS, STIMULUS_I, must_be_known, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.graph import Run


def read_people(run: Run) -> None:
    """Read the human data as one RDM for each participant, with the factor that stimuli are grouped by.

    Layers must be comparable with them: what cannot be is refused here, before anything is trained.
    """
    section = run.study.human
    assert section is not None
    about = run.stimuli.select(**section.where) if section.where else run.stimuli
    options = dict(section.options)
    ids, layout = options.pop("ids", None), options.pop("layout", None)
    human = read_human(
        section.table, kind=section.kind, options=options or None, layout=layout, stimuli=about.ids, ids=ids
    )
    human = _grouped(human, about, run.study.inference.groups)
    refuse_one_participant(human)
    check_people(human)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UngroupedWarning)  # said where they are drawn
        group_members(human, choose_groups(human, run.study.inference.groups))
    save(human, run.folder / "human_rdms.nc")


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
