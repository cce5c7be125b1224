"""The human data of a study, as one RDM for each participant."""

from typing import cast

import xarray as xr

from rsa_face.config import Study
from rsa_face.human.behaviour import read_human
from rsa_face.manifest import Manifest
from rsa_face.provenance import hash_file, load, save
from rsa_face.stimuli.catalogue import StimulusSet


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
