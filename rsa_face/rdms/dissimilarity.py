"""Compute RDMs from activations: every layer read once, a slab of features at a time, within a memory budget."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from rsa_face.cluster import connect, map_in_order
from rsa_face.rdms.moments import Moments, block_moments, dissimilarities, merge_moments, product_threads
from rsa_face.schema import DEPTH, LAYER, NETWORK, ORDER, RDM, STIMULUS, STIMULUS_I, STIMULUS_J, must_be_known
from rsa_face.untrusted import reading

DEFINITIONS = {
    "correlation": "1 - Pearson correlation over features",
    "euclidean": "squared Euclidean distance divided by the number of features",
    "cosine": "1 - cosine of the angle at the origin",
    "mahalanobis": "squared Euclidean distance in units of the noise, divided by the number of features",
    "crossnobis": "cross-validated mahalanobis, 0 on average where two patterns are one; may be negative",
}
GRAM = ("correlation", "euclidean", "cosine")
_GROUP_VALUES = 2**28  # what one worker of a cluster takes at a time


def compute_rdms(
    tree: xr.DataTree,
    *,
    measure: str = "correlation",
    engine: str = "gram",
    memory: float = 2.0,
    cluster: str | None = None,
    conditions: str | None = None,
    folds: str | None = None,
) -> xr.DataArray:
    """Turn every layer of an activation store into an RDM.

    The definitions are rsatoolbox's (so euclidean is squared and divided by the number of features), and so are
    the values, to 1e-6; but the order of the stimuli is the table's, whatever it is called there. A layer may be
    larger than memory: it is read once, some channels of all stimuli at a time. A constant pattern has no
    correlation: that is an error, not a row of NaN.

    Parameters
    ----------
    tree : DataTree
        From `extract` or `open_activations`; nodes ``/<network>/<layer>`` with ``activation``. Not changed.
    measure : {"correlation", "euclidean", "cosine", "mahalanobis", "crossnobis"}
        What makes the RDM. The last two are for repeated presentations, are rsatoolbox's, and need each layer in
        memory and a features x features matrix.
    engine : {"gram", "rsatoolbox"}
        Matrix products of our own, or rsatoolbox's ``calc_rdm`` (correlation and euclidean alone): the same
        values, slower and with several copies of the layer in memory.
    memory : float
        GiB that may be used at once. Less than one channel of all stimuli and two RDMs is refused.
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand layers, in pieces, to dask workers that see the store.
    conditions, folds : str, optional
        For mahalanobis and crossnobis: the factor that says what each row presents (its values become the
        stimuli), and, for crossnobis, the factor that tells the presentations apart.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        Coords `network`, `layer`, `depth`, `order` on rdm; the stimuli's factors on stimulus_i; attrs `measure`
        and its definition.

    Raises
    ------
    ValueError
        If the measure or engine is unknown, a layer has a constant pattern or a value that is not finite (layer
        and stimulus are named), or the memory does not suffice.
    """
    must_be_known(engine, ("gram", "rsatoolbox"), "engine")
    must_be_known(measure, DEFINITIONS, "measure")
    nodes = sorted(tree.leaves, key=lambda node: (node.attrs["place"], node.attrs[ORDER]))
    labels = [{str(key): value for key, value in node.attrs.items()} for node in nodes]
    stimuli: Mapping[Any, Any] = tree.root.to_dataset().coords
    layers = [_Layer.of(node) for node in nodes]
    if measure not in GRAM:
        from rsa_face.rdms.toolbox import calc_noise_rdm, condition_coords

        grouped = condition_coords(stimuli, conditions, folds, measure)
        rdms = [_named(layer, calc_noise_rdm, layer.values(), grouped, measure, memory) for layer in layers]
        return label_rdms(np.stack(rdms), labels, grouped.coords, measure=measure, conditions=conditions)
    if engine == "rsatoolbox":
        from rsa_face.rdms.toolbox import calc_rdm

        each: Iterator[np.ndarray] = (_named(layer, calc_rdm, layer.values(), measure) for layer in layers)
    else:
        each = _gram_rdms(layers, measure, memory, cluster)
    count = layers[0].shape[0]
    values = np.empty((len(layers), count, count))  # stacked in the end, they would lie here twice
    for place, rdm in enumerate(each):
        values[place] = rdm
    return label_rdms(values, labels, stimuli, measure=measure)


def label_rdms(
    values: np.ndarray, labels: list[dict[str, Any]], stimuli: Any, *, measure: str, **attrs: Any
) -> xr.DataArray:
    """Name the dims of layer RDMs.

    Parameters
    ----------
    values : ndarray, shape (rdm, stimulus, stimulus)
        Dissimilarities.
    labels : list of dict
        For each RDM, its `network`, `layer`, `depth` and `order`.
    stimuli : mapping of str to array
        The stimulus ids under ``stimulus``, and the factors.
    measure : str
        What made them.
    **attrs : object
        More to keep with the array.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        The layer RDMs.
    """
    ids = np.asarray(stimuli[STIMULUS], dtype=object)
    coords: dict[str, Any] = {
        RDM: np.array([f"{label[NETWORK]}/{label[LAYER]}" for label in labels], dtype=object),
        STIMULUS_I: ids,
        STIMULUS_J: ids,
    }
    coords |= {name: (RDM, [label[name] for label in labels]) for name in (NETWORK, LAYER, DEPTH, ORDER)}
    factors = [str(name) for name in stimuli if str(name) != STIMULUS]
    coords |= {name: (STIMULUS_I, _as_plain(stimuli[name])) for name in factors}
    untrained = sorted({str(label[NETWORK]) for label in labels if label.get("untrained")})
    attrs = {"untrained": untrained, **attrs}
    described = {"measure": measure, "definition": DEFINITIONS.get(measure, measure), **attrs}
    return xr.DataArray(values, coords, (RDM, STIMULUS_I, STIMULUS_J), name="dissimilarity", attrs=described)


@dataclass(frozen=True)
class _Layer:
    """A layer's activations, read where they lie when they are needed."""

    name: str
    ids: list[str]
    shape: tuple[int, ...]
    itemsize: int
    step: int  # channels that are stored, and so read, together
    read: Callable[[int, int], np.ndarray]
    source: str | None  # the zarr array, for workers that read it themselves

    @classmethod
    def of(cls, node: xr.DataTree) -> "_Layer":
        activation = node.to_dataset()["activation"]
        chunks = activation.encoding.get("chunks") or (1, 1)
        store = activation.encoding.get("source") or node.root.encoding.get("source")
        name = f"{node.attrs[NETWORK]}/{node.attrs[LAYER]}"
        return cls(
            name=name,
            ids=[str(value) for value in activation[STIMULUS].values],
            shape=activation.shape,
            itemsize=max(activation.dtype.itemsize, 4),
            step=int(chunks[1]),
            read=lambda start, stop: _values_of(activation[:, start:stop], name, store),
            source=f"{store}{node.path}/activation" if store else None,
        )

    def values(self) -> np.ndarray:
        return self.read(0, self.shape[1])


def _values_of(slab: xr.DataArray, layer: str, store: str | None) -> np.ndarray:
    if store is None:
        return np.asarray(slab.values)
    then = f"Run rsa-face activations remove {store}, then the same again: it is extracted anew."
    with reading(Path(store), f"Stored activations of {layer} must be whole", then=then):
        return np.asarray(slab.values)


def _gram_rdms(layers: Sequence[_Layer], measure: str, memory: float, cluster: str | None) -> Iterator[np.ndarray]:
    cuts = [_groups(layer, memory) for layer in layers]
    if cluster is None:
        with product_threads() as pool:
            for layer, groups in zip(layers, cuts, strict=True):
                moments = merge_moments(_sum_slabs(layer.read, slabs, measure, pool) for slabs in groups)
                yield _named(layer, dissimilarities, moments, measure, layer.ids)
        return
    homeless = [layer.name for layer in layers if layer.source is None]
    if homeless:
        message = f"Layers must lie in a store to be read by a cluster, but {homeless[:8]} do not. Leave cluster out."
        raise ValueError(message)
    items = [(layer.source, slabs, measure) for layer, groups in zip(layers, cuts, strict=True) for slabs in groups]
    with connect(cluster) as client, closing(map_in_order(client, _moments_at, items)) as parts:
        for layer, groups in zip(layers, cuts, strict=True):
            moments = merge_moments(next(parts) for _ in groups)
            yield _named(layer, dissimilarities, moments, measure, layer.ids)


def _groups(layer: _Layer, memory: float) -> list[list[tuple[int, int]]]:
    stimuli, channels = layer.shape[:2]
    per_channel = stimuli * prod(layer.shape[2:]) * layer.itemsize
    # two slabs (one being read, one in use), a centred copy, and three RDMs
    left = memory * 2**30 - 3 * 8 * stimuli**2
    width = int(left // (3 * per_channel)) // layer.step * layer.step
    if width < 1:
        needed = (3 * per_channel * layer.step + 3 * 8 * stimuli**2) / 2**30
        message = (
            f"The memory must hold some channels of all stimuli and three RDMs, {needed:.3g} GiB for {layer.name}, "
            f"but is {memory:g} GiB. Allow more."
        )
        raise ValueError(message)
    slabs = [(start, min(start + width, channels)) for start in range(0, channels, width)]
    together = max(_GROUP_VALUES * layer.itemsize // (per_channel * width), 1)
    return [slabs[start : start + together] for start in range(0, len(slabs), together)]


def _sum_slabs(
    read: Callable[[int, int], np.ndarray], slabs: Sequence[tuple[int, int]], measure: str, pool: Executor
) -> Moments:
    flat = (slab.reshape(len(slab), -1) for slab in _read_ahead(read, slabs))
    return merge_moments(block_moments(values, measure, pool) for values in flat)


def _read_ahead(read: Callable[[int, int], np.ndarray], slabs: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor(1, thread_name_prefix="slabs") as pool:
        following = pool.submit(read, *slabs[0])
        for slab in [*slabs[1:], None]:
            values = following.result()
            if slab is not None:
                following = pool.submit(read, *slab)
            yield values


def _moments_at(item: tuple[str, list[tuple[int, int]], str]) -> Moments:
    source, slabs, measure = item
    array: Any = zarr.open_array(source, mode="r")
    with product_threads() as pool:
        return _sum_slabs(lambda start, stop: np.asarray(array[:, start:stop]), slabs, measure, pool)


def _named(layer: _Layer, compute: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    try:
        return compute(*arguments)
    except ValueError as error:
        message = f"{layer.name}: {error}"
        raise ValueError(message) from error


def _as_plain(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype.kind in "biuf" else array.astype(object)
