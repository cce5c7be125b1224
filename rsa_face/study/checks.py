"""What a study asks for is held to being possible before anything is trained for it."""

from rsa_face.activations.capture import resolve_device
from rsa_face.cluster import find_distributed
from rsa_face.networks.weights import HUB, find_hub
from rsa_face.psychophysics.choices import read_choices
from rsa_face.rdms.controls import check_controls
from rsa_face.schema import PARTICIPANT
from rsa_face.stimuli.occlusion import REGIONS, region_boxes
from rsa_face.study.graph import Run
from rsa_face.study.stages import can_answer
from rsa_face.training.data import must_not_share_faces, must_show
from rsa_face.training.settings import HAPPY, SAD


def check_study(run: Run) -> None:
    """Refuse a device, cluster, control, choices, faces or regions that cannot be had; stimuli are shown already."""
    study = run.study
    resolve_device(study.activations.device)
    if study.cluster is not None:
        find_distributed(study.cluster)
    for weights in {network.weights for network in study.networks if network.weights.startswith(HUB)}:
        find_hub(weights)
    check_controls(run.stimuli, study.inference.controls)
    if study.psychophysics is not None and PARTICIPANT not in read_choices(study.psychophysics.table):
        message = (
            f"{study.psychophysics.table.name} has no column participant. A study takes people's choices and "
            "asks its networks itself. Name people's choices, or remove `psychophysics`."
        )
        raise ValueError(message)
    if study.saliency is not None:
        _check_saliency(run)
    if study.training is not None and study.training.held_out is not None:
        must_show(run.held_out_faces, (SAD, HAPPY), "the held-out table")
        must_not_share_faces(run.training_faces, run.held_out_faces)


def _check_saliency(run: Run) -> None:
    if not can_answer(run.study):
        message = (
            "Saliency needs networks that have learnt happy and sad, but the study has no training and networks "
            "without a file of weights. Add `training`, or remove `saliency`."
        )
        raise ValueError(message)
    region_boxes(run.saliency_faces, REGIONS)
