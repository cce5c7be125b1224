"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.inference.ceiling import noise_ceiling as noise_ceiling
    from rsa_face.inference.comparisons import compare_rdms as compare_rdms
    from rsa_face.inference.contrasts import contrast_layers as contrast_layers
    from rsa_face.inference.families import correct_layers as correct_layers
    from rsa_face.inference.layerwise import compare_layers as compare_layers
    from rsa_face.inference.localization import localize as localize
    from rsa_face.inference.nested import held_out_similarity as held_out_similarity
    from rsa_face.inference.partial import add_partial as add_partial
    from rsa_face.inference.permutation import shuffle_layers as shuffle_layers
    from rsa_face.inference.unique import partition_variance as partition_variance
    from rsa_face.inference.unique import reweight_layer as reweight_layer
    from rsa_face.provenance import load as load
    from rsa_face.provenance import save as save
    from rsa_face.rdms.align import align_stimuli as align_stimuli
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.controls import control_rdms as control_rdms
    from rsa_face.rdms.toolbox_result import to_rsatoolbox_result as to_rsatoolbox_result
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli

_HOME = {
    "StimulusSet": "stimuli.catalogue",
    "add_partial": "inference.partial",
    "align_stimuli": "rdms.align",
    "compare_layers": "inference.layerwise",
    "compare_rdms": "inference.comparisons",
    "contrast_layers": "inference.contrasts",
    "control_rdms": "rdms.controls",
    "correct_layers": "inference.families",
    "held_out_similarity": "inference.nested",
    "load": "provenance",
    "localize": "inference.localization",
    "noise_ceiling": "inference.ceiling",
    "partition_variance": "inference.unique",
    "read_stimuli": "stimuli.catalogue",
    "reweight_layer": "inference.unique",
    "save": "provenance",
    "shared_stimuli": "rdms.align",
    "shuffle_layers": "inference.permutation",
    "to_rsatoolbox_result": "rdms.toolbox_result",
}

__all__ = [
    "StimulusSet",
    "add_partial",
    "align_stimuli",
    "compare_layers",
    "compare_rdms",
    "contrast_layers",
    "control_rdms",
    "correct_layers",
    "held_out_similarity",
    "load",
    "localize",
    "noise_ceiling",
    "partition_variance",
    "read_stimuli",
    "reweight_layer",
    "save",
    "shared_stimuli",
    "shuffle_layers",
    "to_rsatoolbox_result",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
