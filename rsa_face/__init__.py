"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.activations.extract import extract as extract
    from rsa_face.activations.store import open_activations as open_activations
    from rsa_face.activations.streaming import stream_rdms as stream_rdms
    from rsa_face.networks.zoo import build_network as build_network
    from rsa_face.provenance import load as load
    from rsa_face.provenance import save as save
    from rsa_face.rdms.align import align_stimuli as align_stimuli
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.dissimilarity import compute_rdms as compute_rdms
    from rsa_face.rdms.toolbox import from_rsatoolbox as from_rsatoolbox
    from rsa_face.rdms.toolbox import to_rsatoolbox as to_rsatoolbox
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli
    from rsa_face.training.loop import train_valence as train_valence
    from rsa_face.training.settings import TrainingSettings as TrainingSettings
    from rsa_face.training.tables import read_training as read_training

_HOME = {
    "StimulusSet": "stimuli.catalogue",
    "TrainingSettings": "training.settings",
    "align_stimuli": "rdms.align",
    "build_network": "networks.zoo",
    "compute_rdms": "rdms.dissimilarity",
    "extract": "activations.extract",
    "from_rsatoolbox": "rdms.toolbox",
    "load": "provenance",
    "open_activations": "activations.store",
    "read_stimuli": "stimuli.catalogue",
    "read_training": "training.tables",
    "save": "provenance",
    "shared_stimuli": "rdms.align",
    "stream_rdms": "activations.streaming",
    "to_rsatoolbox": "rdms.toolbox",
    "train_valence": "training.loop",
}

__all__ = [
    "StimulusSet",
    "TrainingSettings",
    "align_stimuli",
    "build_network",
    "compute_rdms",
    "extract",
    "from_rsatoolbox",
    "load",
    "open_activations",
    "read_stimuli",
    "read_training",
    "save",
    "shared_stimuli",
    "stream_rdms",
    "to_rsatoolbox",
    "train_valence",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
