"""Which stages a study comes to, told from its file alone: what a run that was stopped has yet to do."""

from rsa_face.study.config import Study
from rsa_face.study.faces import WHOLE
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import networks_of


def planned_stages(study: Study) -> list[str]:
    """Name the stages that a run of a study comes to, in order.

    Stages that depend on what is found, or on how many people and faces there are, are not among them: a plan
    promises nothing that might be left out.

    Parameters
    ----------
    study : Study
        From `load_study`.

    Returns
    -------
    list of str
        As the manifest records them.
    """
    called = [section.called for section in networks_of(study)]
    asked, answers = study.inference, study.psychophysics is not None
    compared = study.human is not None
    drawn = compared and bool(asked.resample) and asked.network in called
    baseline = [asked.baseline] if drawn and asked.baseline in called and asked.baseline != asked.network else []
    others = [name for name in called if baseline and name not in (asked.network, asked.baseline)]
    plan = {
        "masked faces": any(name != WHOLE for name in study.stimuli.occlusion or ()),
        "human RDMs": compared,
        **{f"training of {name}": study.training is not None for name in called},
        "scores on held-out faces": study.training is not None and study.training.held_out is not None,
        **{f"RDMs of {name}": True for name in called},
        "RDMs of all networks": True,
        "comparison": compared,
        **{f"{asked.network} minus {name}": True for name in (*baseline, *others)},
        "localization": drawn,
        "psychometric curves": answers,
        "saliency": study.saliency is not None,
        "agreement": compared and study.saliency is not None,
        "figures": True,
    }
    return [name for name, comes in plan.items() if comes]


def note_plan(study: Study, manifest: Manifest) -> None:
    """Keep in the manifest which stages a run has yet to come to, where some have never been done.

    Parameters
    ----------
    study : Study
        From `load_study`.
    manifest : Manifest
        Where it is kept, as `begun`, until the run is through.
    """
    stages = planned_stages(study)
    done = {name for name, entry in manifest.read()["stages"].items() if not entry.get("aside")}
    if not done.issuperset(stages):
        manifest.note(begun={"name": study.name, "stages": stages})
