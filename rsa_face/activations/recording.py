"""How activations are recorded: precision, pooling, projection, and the forward pass that fits the memory."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.random_projection import SparseRandomProjection, johnson_lindenstrauss_min_dim
from torch import Tensor

from rsa_face.activations.capture import capture
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.provenance import rng_from
from rsa_face.schema import must_be_known

log = logging.getLogger(__name__)

POOLS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "none": None,
    "mean": lambda output: output.mean(dim=(2, 3)) if output.ndim == 4 else output.clone(),
}
LOSSES = {
    "float32": "none",
    "float16": "11 significant bits: values are off by up to 4.9e-4 of themselves; none beyond 65,504",
    "bfloat16": "8 significant bits: values are off by up to 3.9e-3 of themselves; kept as float32 that compresses",
}


@dataclass(frozen=True)
class Options:
    """How activations are computed and kept, beyond the layers and the batch.

    Parameters
    ----------
    chunk : int
        Stimuli in one file of the store.
    pool : {"none", "mean"}
        ``mean`` keeps one value a channel: the mean over space.
    projection : int, optional
        Keep this many seeded sparse random projections of each layer that has more features (Li, Hastie & Church
        2006, 10.1145/1150402.1150436). Euclidean distances survive within a stated error; correlations roughly.
    seed : int
        For the projections.
    autocast : bool
        Whether torch computes in bfloat16 where it deems that safe: faster on a GPU, values good to 2-3 digits.
    channels_last : bool
        Whether maps lie in memory with channels last: faster on some machines, equal to float32 rounding.
    """

    chunk: int = 256
    pool: str = "none"
    projection: int | None = None
    seed: int = 0
    autocast: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        must_be_known(self.pool, POOLS, "pool")
        if self.chunk < 1 or (self.projection is not None and self.projection < 1):
            message = f"Chunk and projection must be 1 or more, but are {self.chunk} and {self.projection}."
            raise ValueError(message)

    def record(self) -> dict[str, Any]:
        """Return the options as a plain dict, for attrs and manifests.

        Returns
        -------
        dict
            By parameter name.
        """
        return asdict(self)


def record_batch(network: Network, layers: Sequence[Layer], inputs: Tensor, options: Options) -> dict[str, Tensor]:
    """Run one batch through a network; where a GPU's memory is too small, in halves.

    Parameters
    ----------
    network : Network
        On the inputs' device.
    layers : sequence of Layer
        What to record.
    inputs : Tensor, shape (stimulus, 3, row, column)
        The batch.
    options : Options
        Pooling, autocast, channels_last.

    Returns
    -------
    dict of str to Tensor
        By layer name.

    Raises
    ------
    torch.OutOfMemoryError
        If a single stimulus does not fit.
    """
    ordered = inputs.contiguous(memory_format=torch.channels_last) if options.channels_last else inputs
    try:
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=options.autocast):
            return capture(network, layers, ordered, keep=POOLS[options.pool])
    except torch.OutOfMemoryError:
        if len(inputs) == 1:
            raise
        log.warning(
            "%s: %d stimuli at once exceed the GPU's memory; running them in halves", network.name, len(inputs)
        )
    half = (len(inputs) + 1) // 2
    parts = [record_batch(network, layers, part, options) for part in (inputs[:half], inputs[half:])]
    return {layer.name: torch.cat([part[layer.name] for part in parts]) for layer in layers}


def as_stored(values: Tensor, layer: str, ids: Sequence[str], *, dtype: str, options: Options) -> np.ndarray:
    """Turn what a layer computed into the array that is kept.

    Parameters
    ----------
    values : Tensor, shape (stimulus, ...)
        One batch of a layer. Not changed.
    layer : str
        Its name.
    ids : sequence of str
        The stimuli of the batch.
    dtype : {"float32", "float16", "bfloat16"}
        Precision kept.
    options : Options
        Projection and its seed.

    Returns
    -------
    ndarray, shape (stimulus, ...)
        float32 or float16.

    Raises
    ------
    ValueError
        If a value is not finite, or becomes infinite in float16; the layer and the stimulus are named.
    """
    kept = values.to("cpu", torch.float32)
    if dtype == "bfloat16":
        kept = kept.to(torch.bfloat16).to(torch.float32)
    array = kept.contiguous().numpy()
    if options.projection is not None and array[0].size > options.projection:
        with np.errstate(invalid="ignore", over="ignore"):
            flat = array.reshape(len(array), -1)
            array = np.ascontiguousarray(_projection(layer, flat.shape[1], options)(flat), dtype=np.float32)
    if dtype == "float16":
        with np.errstate(over="ignore"):
            array = array.astype(np.float16)
    _must_be_finite(array, layer, ids, dtype)
    return array


def projection_error(stimuli: int, components: int) -> float:
    """Return the relative error within which projections keep all squared distances.

    The bound of Johnson and Lindenstrauss, as given by Dasgupta & Gupta (2003, 10.1002/rsa.10073).

    Parameters
    ----------
    stimuli : int
        How many there are.
    components : int
        How many projections.

    Returns
    -------
    float
        In (0, 1); 1 where nothing can be promised.

    Examples
    --------
    >>> round(projection_error(100, 4096), 2)
    0.1
    """
    errors = np.linspace(0.01, 0.99, 99)
    needed = johnson_lindenstrauss_min_dim(max(stimuli, 2), eps=errors)
    within = errors[np.asarray(needed) <= components]
    return float(within[0]) if len(within) else 1.0


def describe_recording(stimuli: int, dtype: str, options: Options) -> Mapping[str, Any]:
    """Return the loss that precision and projection bring, in words.

    Parameters
    ----------
    stimuli : int
        How many there are.
    dtype : str
        Precision kept.
    options : Options
        The rest.

    Returns
    -------
    dict of str to str
        ``loss``, and ``projection_error`` where there is a projection.
    """
    said = {"loss": LOSSES[dtype]}
    if options.projection is not None:
        error = projection_error(stimuli, options.projection)
        said["projection_error"] = f"squared distances within {error:.0%} of themselves (Johnson-Lindenstrauss)"
    return said


def _projection(layer: str, features: int, options: Options) -> Callable[[np.ndarray], Any]:
    transform: Callable[[np.ndarray], Any] = _fitted(layer, features, options.projection or 1, options.seed).transform
    return transform


@cache
def _fitted(layer: str, features: int, components: int, seed: int) -> SparseRandomProjection:
    state = int(rng_from(seed, "projection", layer).integers(2**31))
    return SparseRandomProjection(components, random_state=state).fit(np.zeros((1, features), np.float32))


def _must_be_finite(array: np.ndarray, layer: str, ids: Sequence[str], dtype: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum(dtype=np.float32)):
            return
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        where = ids[int(np.argmin(finite))]
        message = f"Activations must be finite in {dtype}, but {layer!r} is not for {where!r}. Check the weights."
        raise ValueError(message)
