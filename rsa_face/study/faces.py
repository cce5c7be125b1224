"""The stimuli of a study: its table, and the masked copies that its occlusions ask for."""

from pathlib import Path

import pandas as pd

from rsa_face.files import write_beside
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.occlusion import occlude
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest

WHOLE = "none"
MASKED = "stimuli"


def show_stimuli(study: Study, manifest: Manifest) -> StimulusSet:
    """Read the stimuli, mask them as the study asks, and keep their table with the results.

    Parameters
    ----------
    study : Study
        Its `stimuli` section.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    StimulusSet
        Whole faces and masked ones, in the order of the section's `occlusion`; the table as it is, without one.

    Raises
    ------
    ValueError
        If masks are asked for faces that are masked already, or have no regions.
    """
    asked = study.stimuli
    stimuli = read_stimuli(asked.table)
    if asked.occlusion:
        stimuli = _mask(study, stimuli, manifest)
    with write_beside(study.output / "stimuli.csv") as beside:
        stimuli.table.to_csv(beside, index=False)
    return stimuli


def _mask(study: Study, whole: StimulusSet, manifest: Manifest) -> StimulusSet:
    asked = study.stimuli
    folder = study.output / MASKED
    regions = [name for name in asked.occlusion if name != WHOLE]
    if not regions:
        return StimulusSet(whole.table.assign(occlusion=WHOLE))
    written = [f"{MASKED}/{stimulus}_{region}.png" for region in regions for stimulus in whole.ids]
    manifest.stage(
        "masked faces",
        lambda: occlude(whole, regions, folder, fill=asked.fill),
        inputs={"stimuli": whole.content_hash(), "regions": regions, "fill": asked.fill},
        outputs=[f"{MASKED}/stimuli.csv", *written],
    )
    masked = read_stimuli(folder / "stimuli.csv")
    parts = [masked.table[masked.table["occlusion"] == name] for name in asked.occlusion]
    return StimulusSet(pd.concat(parts, ignore_index=True))


def table_of(study: Study) -> Path:
    """Return the table that holds all stimuli of a study, masked ones too.

    Parameters
    ----------
    study : Study
        Whose stimuli were shown by `show_stimuli`.

    Returns
    -------
    Path
        ``stimuli.csv`` of its output folder.
    """
    return study.output / "stimuli.csv"
