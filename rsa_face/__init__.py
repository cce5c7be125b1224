"""Find where in a network face perception becomes human-like.

The public names are listed below and loaded when first used, so that importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_face.provenance import load as load
    from rsa_face.provenance import save as save
    from rsa_face.rdms.align import align_stimuli as align_stimuli
    from rsa_face.rdms.align import shared_stimuli as shared_stimuli
    from rsa_face.rdms.controls import control_rdms as control_rdms
    from rsa_face.stimuli.catalogue import StimulusSet as StimulusSet
    from rsa_face.stimuli.catalogue import read_stimuli as read_stimuli

_HOME = {
    "StimulusSet": "stimuli.catalogue",
    "align_stimuli": "rdms.align",
    "control_rdms": "rdms.controls",
    "load": "provenance",
    "read_stimuli": "stimuli.catalogue",
    "save": "provenance",
    "shared_stimuli": "rdms.align",
}

__all__ = [
    "StimulusSet",
    "align_stimuli",
    "control_rdms",
    "load",
    "read_stimuli",
    "save",
    "shared_stimuli",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"rsa_face.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
