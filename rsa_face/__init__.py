"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

import warnings
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.activations.extract import extract as extract
    from rsa_face.activations.store import open_activations as open_activations
    from rsa_face.activations.stream import stream_rdms as stream_rdms
    from rsa_face.figures.layers import plot_layers as plot_layers
    from rsa_face.figures.layout import save_figure as save_figure
    from rsa_face.figures.mds import plot_mds as plot_mds
    from rsa_face.figures.networks import plot_localization as plot_localization
    from rsa_face.figures.psychometric import plot_psychometric as plot_psychometric
    from rsa_face.figures.rdms import plot_rdms as plot_rdms
    from rsa_face.figures.study import plot_study as plot_study
    from rsa_face.figures.style import figure_style as figure_style
    from rsa_face.human.read import read_human as read_human
    from rsa_face.human.reliability import assess_reliability as assess_reliability
    from rsa_face.inference.ceiling import noise_ceiling as noise_ceiling
    from rsa_face.inference.localization import contrast_layers as contrast_layers
    from rsa_face.inference.localization import localize as localize
    from rsa_face.inference.rsa import RSA as RSA
    from rsa_face.inference.rsa import Result as Result
    from rsa_face.inference.rsa import compare_layers as compare_layers
    from rsa_face.inference.rsa import load as load
    from rsa_face.networks.zoo import Network as Network
    from rsa_face.networks.zoo import build_network as build_network
    from rsa_face.provenance import save as save
    from rsa_face.psychophysics.choices import network_choices as network_choices
    from rsa_face.psychophysics.choices import read_choices as read_choices
    from rsa_face.psychophysics.psychometric import fit_psychometric as fit_psychometric
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.controls import control_rdms as control_rdms
    from rsa_face.rdms.embedding import embed_rdm as embed_rdm
    from rsa_face.rdms.geometry import compare_networks as compare_networks
    from rsa_face.rdms.measures import compute_rdms as compute_rdms
    from rsa_face.rdms.toolbox import from_rsatoolbox as from_rsatoolbox
    from rsa_face.rdms.toolbox import to_rsatoolbox as to_rsatoolbox
    from rsa_face.saliency.maps import saliency as saliency
    from rsa_face.schema import COMPARISONS as COMPARISONS
    from rsa_face.schema import MEASURES as MEASURES
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli
    from rsa_face.stimuli.occlusion import occlude as occlude
    from rsa_face.stimuli.preprocessing import Preprocessing as Preprocessing
    from rsa_face.study.config import load_study as load_study
    from rsa_face.study.example import example as example
    from rsa_face.study.folder import read_results as read_results
    from rsa_face.study.graph import run_study as run_study
    from rsa_face.training.loop import train_valence as train_valence
    from rsa_face.training.settings import TrainingSettings as TrainingSettings

_HOME = {
    "COMPARISONS": "schema",
    "MEASURES": "schema",
    "Network": "networks.zoo",
    "Preprocessing": "stimuli.preprocessing",
    "RSA": "inference.rsa",
    "Result": "inference.rsa",
    "StimulusSet": "stimuli.catalogue",
    "TrainingSettings": "training.settings",
    "assess_reliability": "human.reliability",
    "build_network": "networks.zoo",
    "compare_layers": "inference.rsa",
    "compare_networks": "rdms.geometry",
    "compute_rdms": "rdms.measures",
    "contrast_layers": "inference.localization",
    "control_rdms": "rdms.controls",
    "embed_rdm": "rdms.embedding",
    "example": "study.example",
    "extract": "activations.extract",
    "figure_style": "figures.style",
    "fit_psychometric": "psychophysics.psychometric",
    "from_rsatoolbox": "rdms.toolbox",
    "load": "inference.rsa",
    "load_study": "study.config",
    "localize": "inference.localization",
    "network_choices": "psychophysics.choices",
    "noise_ceiling": "inference.ceiling",
    "occlude": "stimuli.occlusion",
    "open_activations": "activations.store",
    "plot_layers": "figures.layers",
    "plot_localization": "figures.networks",
    "plot_mds": "figures.mds",
    "plot_psychometric": "figures.psychometric",
    "plot_rdms": "figures.rdms",
    "plot_study": "figures.study",
    "read_choices": "psychophysics.choices",
    "read_human": "human.read",
    "read_results": "study.folder",
    "read_stimuli": "stimuli.catalogue",
    "run_study": "study.graph",
    "saliency": "saliency.maps",
    "save": "provenance",
    "save_figure": "figures.layout",
    "shared_stimuli": "rdms.align",
    "stream_rdms": "activations.stream",
    "to_rsatoolbox": "rdms.toolbox",
    "train_valence": "training.loop",
}
"""Where each public name lives."""

_FORMER_HOME = {
    "Options": "activations.extract",
    "add_partial": "inference.rsa",
    "align_stimuli": "rdms.align",
    "audit": "activations.capture",
    "compare_rdms": "inference.comparisons",
    "correct_layers": "inference.rsa",
    "describe_store": "activations.store",
    "error_consistency": "psychophysics.likeness",
    "fetch_dataset": "human.datasets",
    "fit_readout": "training.evaluation",
    "held_out_similarity": "inference.rsa",
    "human_likeness": "psychophysics.likeness",
    "load_batch": "activations.batch",
    "partition_variance": "inference.variance",
    "plot_contrast": "figures",
    "plot_networks": "figures",
    "plot_rdm_similarity": "figures",
    "plot_reliability": "figures",
    "plot_saliency": "figures",
    "read_training": "training.data",
    "relate_measures": "psychophysics.likeness",
    "relate_rdms": "rdms.embedding",
    "reliability_table": "human.reliability",
    "render_faces": "stimuli.faces",
    "reweight_layer": "inference.variance",
    "saliency_regions": "saliency.regions",
    "shuffle_layers": "inference.permutation",
    "simulate_choices": "human.observers",
    "simulate_ratings": "human.observers",
    "to_rsatoolbox_result": "rdms.toolbox",
    "verify_store": "activations.store",
}
"""Where names live that stood here before and leave in the next version."""

_NAMESPACES = ("figures",)
"""Packages whose own names are reached through this one: `rsa_face.figures.plot_contrast`."""

__all__ = ["__version__"]  # and what `_HOME` and `_NAMESPACES` name
__all__ += [*_HOME, *_NAMESPACES]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name == "__version__":
        return _version()
    if name in _FORMER_HOME:
        home = f"rsa_face.{_FORMER_HOME[name]}"
        message = f"rsa_face.{name} leaves the top level in the next version. Use `from {home} import {name}`."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), name)
    if name in _NAMESPACES:
        return import_module(f"rsa_face.{name}")
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    """Return the version of the installed package; of a bare checkout, that none is installed."""
    try:
        return metadata.version("rsa-face")
    except metadata.PackageNotFoundError:
        return "0+unknown"
