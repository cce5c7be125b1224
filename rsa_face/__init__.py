"""Find where in a network face perception becomes human-like.

The public names stand in ``__init__.pyi`` and are loaded when first used, so that importing the package loads no
torch.
"""

import ast
import warnings
from importlib import import_module, metadata
from pathlib import Path
from typing import Any


def _homes(stub: Path) -> dict[str, str]:
    """Return the module that each name of a stub is imported from."""
    imports = [line for line in ast.parse(stub.read_text("utf-8")).body if isinstance(line, ast.ImportFrom)]
    return {alias.name: str(line.module) for line in imports for alias in line.names}


_HOME = _homes(Path(__file__).with_suffix(".pyi"))
"""Where each public name lives; packages whose own names are reached through this one live in it."""

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
    "load_batch": "study.batch",
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

__all__ = ["__version__"]  # and what the stub names
__all__ += [*_HOME]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name == "__version__":
        return _version()
    if name in _FORMER_HOME:
        home = f"rsa_face.{_FORMER_HOME[name]}"
        message = f"rsa_face.{name} leaves the top level in the next version. Use `from {home} import {name}`."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), name)
    if name not in _HOME:
        message = f"module 'rsa_face' has no attribute {name!r}"
        raise AttributeError(message)
    home = _HOME[name]
    return import_module(f"{home}.{name}") if home == "rsa_face" else getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    """Return the version of the installed package; of a bare checkout, that none is installed."""
    try:
        return metadata.version("rsa-face")
    except metadata.PackageNotFoundError:
        return "0+unknown"
