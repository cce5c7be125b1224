"""Where the networks of a study look, and whether that, their choices and their geometry agree."""

from pathlib import Path

from rsa_face.files import write_table
from rsa_face.provenance import save
from rsa_face.psychophysics.agreement import agreement_table, correlation_table, relate_measures
from rsa_face.saliency.stage import write_saliency
from rsa_face.study.graph import Run
from rsa_face.study.networks import built


def map_saliency(run: Run) -> list[Path]:
    """Map what the networks' answers rest on, and write the shares of each region."""
    section = run.study.saliency
    assert section is not None
    options = section.model_dump(include={"layer", "method", "answer", "by_layer"})
    return write_saliency(built(run), run.saliency_faces, run.folder, **options)


def why_no_agreement(run: Run) -> str:
    """Say why there is nothing to agree with."""
    beside = run.has("psychometric_likeness.nc") or run.has("saliency.nc")
    return "" if beside else "the agreement of measures, since there is neither saliency nor a likeness of choices"


def relate(run: Run) -> None:
    """Say whether the networks that are like people in geometry are so in their choices, and where they look."""
    likeness, saliency = run.result("psychometric_likeness.nc"), run.result("saliency.nc")
    table = relate_measures(run.dataset("layers.nc"), likeness, saliency, seed=run.study.inference.seed)
    save(table, run.folder / "agreement.nc")
    write_table(agreement_table(table), run.folder / "agreement.csv")
    write_table(correlation_table(table), run.folder / "agreement_ranks.csv")
