"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.inference.ceiling import noise_ceiling as noise_ceiling
    from rsa_face.inference.comparisons import compare_rdms as compare_rdms
    from rsa_face.inference.layerwise import compare_layers as compare_layers
    from rsa_face.provenance import load as load
    from rsa_face.provenance import save as save
    from rsa_face.rdms.align import align_stimuli as align_stimuli
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.toolbox_result import to_rsatoolbox_result as to_rsatoolbox_result
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli

_HOME = {
    "StimulusSet": "stimuli.catalogue",
    "align_stimuli": "rdms.align",
    "compare_layers": "inference.layerwise",
    "compare_rdms": "inference.comparisons",
    "load": "provenance",
    "noise_ceiling": "inference.ceiling",
    "read_stimuli": "stimuli.catalogue",
    "save": "provenance",
    "shared_stimuli": "rdms.align",
    "to_rsatoolbox_result": "rdms.toolbox_result",
}

__all__ = [
    "StimulusSet",
    "align_stimuli",
    "compare_layers",
    "compare_rdms",
    "load",
    "noise_ceiling",
    "read_stimuli",
    "save",
    "shared_stimuli",
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
