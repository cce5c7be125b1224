"""A figure draws a labelled array and computes nothing: `rsa_face.figures.plot_contrast` and its siblings."""

from rsa_face.figures.agreement import plot_agreement, plot_reliability
from rsa_face.figures.behaviour import plot_psychometric, plot_training
from rsa_face.figures.embedding import plot_mds
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.multiverse import plot_multiverse
from rsa_face.figures.networks import plot_contrast, plot_localization, plot_networks, plot_seeds, plot_study
from rsa_face.figures.people import plot_people
from rsa_face.figures.planning import plot_plan, plot_recovery, plot_stability
from rsa_face.figures.rdms import plot_geometry, plot_rdm_similarity, plot_rdms
from rsa_face.figures.saliency import plot_saliency

__all__ = [
    "plot_agreement",
    "plot_contrast",
    "plot_geometry",
    "plot_layers",
    "plot_localization",
    "plot_mds",
    "plot_multiverse",
    "plot_networks",
    "plot_people",
    "plot_plan",
    "plot_psychometric",
    "plot_rdm_similarity",
    "plot_rdms",
    "plot_recovery",
    "plot_reliability",
    "plot_saliency",
    "plot_seeds",
    "plot_stability",
    "plot_study",
    "plot_training",
]
