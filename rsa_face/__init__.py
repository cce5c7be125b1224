"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.activations.batch import load_batch as load_batch
    from rsa_face.activations.capture import audit as audit
    from rsa_face.activations.extract import Options as Options
    from rsa_face.activations.extract import extract as extract
    from rsa_face.activations.store import describe_store as describe_store
    from rsa_face.activations.store import open_activations as open_activations
    from rsa_face.activations.store import verify_store as verify_store
    from rsa_face.activations.stream import stream_rdms as stream_rdms
    from rsa_face.figures.contrast import plot_contrast as plot_contrast
    from rsa_face.figures.layers import plot_layers as plot_layers
    from rsa_face.figures.localization import plot_localization as plot_localization
    from rsa_face.figures.mds import plot_mds as plot_mds
    from rsa_face.figures.networks import plot_networks as plot_networks
    from rsa_face.figures.psychometric import plot_psychometric as plot_psychometric
    from rsa_face.figures.rdm_similarity import plot_rdm_similarity as plot_rdm_similarity
    from rsa_face.figures.rdms import plot_rdms as plot_rdms
    from rsa_face.figures.reliability import plot_reliability as plot_reliability
    from rsa_face.figures.saliency import plot_saliency as plot_saliency
    from rsa_face.figures.saving import save_figure as save_figure
    from rsa_face.figures.study import plot_study as plot_study
    from rsa_face.figures.style import figure_style as figure_style
    from rsa_face.human.datasets import fetch_dataset as fetch_dataset
    from rsa_face.human.observers import simulate_choices as simulate_choices
    from rsa_face.human.observers import simulate_ratings as simulate_ratings
    from rsa_face.human.read import read_human as read_human
    from rsa_face.human.reliability import assess_reliability as assess_reliability
    from rsa_face.human.reliability import reliability_table as reliability_table
    from rsa_face.inference.ceiling import noise_ceiling as noise_ceiling
    from rsa_face.inference.comparisons import compare_rdms as compare_rdms
    from rsa_face.inference.contrasts import contrast_layers as contrast_layers
    from rsa_face.inference.localization import localize as localize
    from rsa_face.inference.permutation import shuffle_layers as shuffle_layers
    from rsa_face.inference.rsa import add_partial as add_partial
    from rsa_face.inference.rsa import compare_layers as compare_layers
    from rsa_face.inference.rsa import correct_layers as correct_layers
    from rsa_face.inference.rsa import held_out_similarity as held_out_similarity
    from rsa_face.inference.rsa import load as load
    from rsa_face.inference.unique import partition_variance as partition_variance
    from rsa_face.inference.unique import reweight_layer as reweight_layer
    from rsa_face.networks.zoo import build_network as build_network
    from rsa_face.provenance import save as save
    from rsa_face.psychophysics.agreement import relate_measures as relate_measures
    from rsa_face.psychophysics.choices import network_choices as network_choices
    from rsa_face.psychophysics.choices import read_choices as read_choices
    from rsa_face.psychophysics.likeness import error_consistency as error_consistency
    from rsa_face.psychophysics.likeness import human_likeness as human_likeness
    from rsa_face.psychophysics.psychometric import fit_psychometric as fit_psychometric
    from rsa_face.rdms.align import align_stimuli as align_stimuli
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.controls import control_rdms as control_rdms
    from rsa_face.rdms.embedding import embed_rdm as embed_rdm
    from rsa_face.rdms.embedding import relate_rdms as relate_rdms
    from rsa_face.rdms.measures import compute_rdms as compute_rdms
    from rsa_face.rdms.toolbox import from_rsatoolbox as from_rsatoolbox
    from rsa_face.rdms.toolbox import to_rsatoolbox as to_rsatoolbox
    from rsa_face.rdms.toolbox import to_rsatoolbox_result as to_rsatoolbox_result
    from rsa_face.saliency.maps import saliency as saliency
    from rsa_face.saliency.regions import saliency_regions as saliency_regions
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli
    from rsa_face.stimuli.faces import render_faces as render_faces
    from rsa_face.stimuli.occlusion import occlude as occlude
    from rsa_face.study.config import load_study as load_study
    from rsa_face.study.folder import read_results as read_results
    from rsa_face.study.graph import run_study as run_study
    from rsa_face.training.loop import train_valence as train_valence
    from rsa_face.training.readout import fit_readout as fit_readout
    from rsa_face.training.settings import TrainingSettings as TrainingSettings
    from rsa_face.training.tables import read_training as read_training

_HOME = {
    "Options": "activations.extract",
    "StimulusSet": "stimuli.catalogue",
    "TrainingSettings": "training.settings",
    "add_partial": "inference.rsa",
    "align_stimuli": "rdms.align",
    "assess_reliability": "human.reliability",
    "audit": "activations.capture",
    "build_network": "networks.zoo",
    "compare_layers": "inference.rsa",
    "compare_rdms": "inference.comparisons",
    "compute_rdms": "rdms.measures",
    "contrast_layers": "inference.contrasts",
    "control_rdms": "rdms.controls",
    "correct_layers": "inference.rsa",
    "describe_store": "activations.store",
    "embed_rdm": "rdms.embedding",
    "error_consistency": "psychophysics.likeness",
    "extract": "activations.extract",
    "fetch_dataset": "human.datasets",
    "figure_style": "figures.style",
    "fit_psychometric": "psychophysics.psychometric",
    "fit_readout": "training.readout",
    "from_rsatoolbox": "rdms.toolbox",
    "held_out_similarity": "inference.rsa",
    "human_likeness": "psychophysics.likeness",
    "load": "inference.rsa",
    "load_batch": "activations.batch",
    "load_study": "study.config",
    "localize": "inference.localization",
    "network_choices": "psychophysics.choices",
    "noise_ceiling": "inference.ceiling",
    "occlude": "stimuli.occlusion",
    "open_activations": "activations.store",
    "partition_variance": "inference.unique",
    "plot_contrast": "figures.contrast",
    "plot_layers": "figures.layers",
    "plot_localization": "figures.localization",
    "plot_mds": "figures.mds",
    "plot_networks": "figures.networks",
    "plot_psychometric": "figures.psychometric",
    "plot_rdm_similarity": "figures.rdm_similarity",
    "plot_rdms": "figures.rdms",
    "plot_reliability": "figures.reliability",
    "plot_saliency": "figures.saliency",
    "plot_study": "figures.study",
    "read_choices": "psychophysics.choices",
    "read_human": "human.read",
    "read_results": "study.folder",
    "read_stimuli": "stimuli.catalogue",
    "read_training": "training.tables",
    "relate_measures": "psychophysics.agreement",
    "relate_rdms": "rdms.embedding",
    "reliability_table": "human.reliability",
    "render_faces": "stimuli.faces",
    "reweight_layer": "inference.unique",
    "run_study": "study.graph",
    "saliency": "saliency.maps",
    "saliency_regions": "saliency.regions",
    "save": "provenance",
    "save_figure": "figures.saving",
    "shared_stimuli": "rdms.align",
    "shuffle_layers": "inference.permutation",
    "simulate_choices": "human.observers",
    "simulate_ratings": "human.observers",
    "stream_rdms": "activations.stream",
    "to_rsatoolbox": "rdms.toolbox",
    "to_rsatoolbox_result": "rdms.toolbox",
    "train_valence": "training.loop",
    "verify_store": "activations.store",
}

__all__ = [
    "Options",
    "StimulusSet",
    "TrainingSettings",
    "add_partial",
    "align_stimuli",
    "assess_reliability",
    "audit",
    "build_network",
    "compare_layers",
    "compare_rdms",
    "compute_rdms",
    "contrast_layers",
    "control_rdms",
    "correct_layers",
    "describe_store",
    "embed_rdm",
    "error_consistency",
    "extract",
    "fetch_dataset",
    "figure_style",
    "fit_psychometric",
    "fit_readout",
    "from_rsatoolbox",
    "held_out_similarity",
    "human_likeness",
    "load",
    "load_batch",
    "load_study",
    "localize",
    "network_choices",
    "noise_ceiling",
    "occlude",
    "open_activations",
    "partition_variance",
    "plot_contrast",
    "plot_layers",
    "plot_localization",
    "plot_mds",
    "plot_networks",
    "plot_psychometric",
    "plot_rdm_similarity",
    "plot_rdms",
    "plot_reliability",
    "plot_saliency",
    "plot_study",
    "read_choices",
    "read_human",
    "read_results",
    "read_stimuli",
    "read_training",
    "relate_measures",
    "relate_rdms",
    "reliability_table",
    "render_faces",
    "reweight_layer",
    "run_study",
    "saliency",
    "saliency_regions",
    "save",
    "save_figure",
    "shared_stimuli",
    "shuffle_layers",
    "simulate_choices",
    "simulate_ratings",
    "stream_rdms",
    "to_rsatoolbox",
    "to_rsatoolbox_result",
    "train_valence",
    "verify_store",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
