"""A figure draws a labelled array and computes nothing. Each loads when used: `rsa_face.figures.plot_layers`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.figures.agreement import plot_agreement as plot_agreement
    from rsa_face.figures.agreement import plot_reliability as plot_reliability
    from rsa_face.figures.layers import plot_layers as plot_layers
    from rsa_face.figures.mds import plot_mds as plot_mds
    from rsa_face.figures.networks import plot_contrast as plot_contrast
    from rsa_face.figures.networks import plot_localization as plot_localization
    from rsa_face.figures.networks import plot_networks as plot_networks
    from rsa_face.figures.psychometric import plot_psychometric as plot_psychometric
    from rsa_face.figures.rdms import plot_geometry as plot_geometry
    from rsa_face.figures.rdms import plot_rdm_similarity as plot_rdm_similarity
    from rsa_face.figures.rdms import plot_rdms as plot_rdms
    from rsa_face.figures.saliency import plot_saliency as plot_saliency
    from rsa_face.figures.study import plot_study as plot_study
    from rsa_face.figures.training import plot_training as plot_training

_HOME = {
    "plot_agreement": "agreement",
    "plot_contrast": "networks",
    "plot_geometry": "rdms",
    "plot_layers": "layers",
    "plot_localization": "networks",
    "plot_mds": "mds",
    "plot_networks": "networks",
    "plot_psychometric": "psychometric",
    "plot_rdm_similarity": "rdms",
    "plot_rdms": "rdms",
    "plot_reliability": "agreement",
    "plot_saliency": "saliency",
    "plot_study": "study",
    "plot_training": "training",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    """Load a figure from the module it lives in."""
    if name not in _HOME:
        message = f"module 'rsa_face.figures' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.figures.{_HOME[name]}"), name)
