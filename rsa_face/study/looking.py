"""Where the networks of a study look, and whether that, their choices and their geometry agree."""

from pathlib import Path
from typing import Any, cast

import xarray as xr

from rsa_face.figures.agreement import agreement_table, correlation_table
from rsa_face.files import write_table
from rsa_face.provenance import load, save
from rsa_face.psychophysics.agreement import relate_measures
from rsa_face.saliency.stage import write_saliency
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.answering import LIKENESS, built, looked_at, weights_of
from rsa_face.study.comparing import COMPARISON
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest

SALIENCY, AGREEMENT = "saliency.nc", "agreement.nc"


def look_where(study: Study, stimuli: StimulusSet, manifest: Manifest) -> xr.Dataset | None:
    """Map what the networks' answers rest on.

    Parameters
    ----------
    study : Study
        Its `saliency` section.
    stimuli : StimulusSet
        With regions.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset or None
        Shares by region of every face, also in ``saliency.nc``; None where the study does not ask.
    """
    asked = study.saliency
    if asked is None:
        return None
    faces = looked_at(study, stimuli)

    def make() -> list[Path]:
        options = asked.model_dump(include={"layer", "method", "answer", "by_layer"})
        return write_saliency(built(study), faces, study.output, **options)

    inputs = {"faces": faces.content_hash(), "asked": asked.model_dump(mode="json"), **weights_of(study, manifest)}
    manifest.stage("saliency", make, inputs=inputs, outputs=[SALIENCY, "saliency.csv"])
    return cast("xr.Dataset", load(study.output / SALIENCY))


def relate(
    study: Study,
    result: xr.Dataset | None,
    curves: dict[str, xr.Dataset],
    looked: xr.Dataset | None,
    manifest: Manifest,
) -> xr.Dataset | None:
    """Say whether the networks that are like people in geometry are so in their choices, and where they look.

    Parameters
    ----------
    study : Study
        Where to.
    result : Dataset or None
        From `compare`.
    curves : dict of str to Dataset
        From `fit_curves`.
    looked : Dataset or None
        From `look_where`.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (network, quantity) and (quantity, quantity_other), or None
        From `relate_measures`; also in ``agreement.nc``, as a table of networks in ``agreement.csv`` and of pairs of
        measures in ``agreement_ranks.csv``. None without a comparison, or with nothing beside it.
    """
    likeness = curves.get(LIKENESS)
    if result is None or (likeness is None and looked is None):
        return None
    rests_on: dict[str, Any] = {COMPARISON: result, f"{LIKENESS}.nc": likeness, SALIENCY: looked}

    def make() -> None:
        table = relate_measures(result, likeness, looked, seed=study.inference.seed)
        save(table, study.output / AGREEMENT)
        write_table(agreement_table(table), study.output / "agreement.csv")
        write_table(correlation_table(table), study.output / "agreement_ranks.csv")

    inputs = {file: manifest.hash_of(file) for file, part in rests_on.items() if part is not None}
    outputs = [AGREEMENT, "agreement.csv", "agreement_ranks.csv"]
    manifest.stage("agreement", make, inputs={**inputs, "seed": study.inference.seed}, outputs=outputs)
    return cast("xr.Dataset", load(study.output / AGREEMENT))
