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
from rsa_face.rdms.measures import (
    Moments,
    block_moments,
    check_measures,
    dissimilarities,
    general_measure,
    measure_of,
    merge_moments,
    product_threads,
)
from rsa_face.schema import (
    DEPTH,
    LAYER,
    MEASURE,
    MEASURES,
    NETWORK,
    ORDER,
    OTHER_MEASURES,
    RDM,
    STIMULUS,
    STIMULUS_I,
    STIMULUS_J,
    must_be_known,
)
from rsa_face.untrusted import reading

_GROUP_VALUES = 2**28  # what one worker of a cluster takes at a time


def compute_rdms(
    tree: xr.DataTree,
    *,
    measure: str | Mapping[str, str] = "correlation",
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
    correlation: that is an error, not a row of NaN. A measure that cannot vary over a layer's few features is not
    used there: under correlation, the two outputs of a two-class network take the absolute difference of their
    difference, since the correlation of two features is +1 or -1.

    Parameters
    ----------
    tree : DataTree
        From `extract` or `open_activations`; nodes ``/<network>/<layer>`` with ``activation``. Not changed.
    measure : str or mapping of str to str
        What makes the RDM: ``correlation``, ``euclidean``, ``cosine``, ``difference`` (of one or two outputs),
        ``mahalanobis`` or ``crossnobis``. The last two are for repeated presentations, are rsatoolbox's, and need
        each layer in memory and a features x features matrix. Or measures by layer, ``{"fc8": "euclidean"}``, also
        as ``network/layer``; the other layers take the one under ``default``, correlation if there is none.
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
        Coords `network`, `layer`, `depth`, `order` and `measure` on rdm; the stimuli's factors on stimulus_i; attrs
        `measure` and its `definition`, those of most layers, and `other_measures`, each layer that has another.

    Raises
    ------
    ValueError
        If a measure, a layer that one is set for, or the engine is unknown, a measure that is set for a layer cannot
        vary in it, a layer has a constant pattern or a value that is not finite (layer and stimulus are named), or
        the memory does not suffice.
    """
    must_be_known(engine, ("gram", "rsatoolbox"), "engine")
    nodes = sorted(tree.leaves, key=lambda node: (node.attrs["place"], node.attrs[ORDER]))
    labels = [{str(key): value for key, value in node.attrs.items()} for node in nodes]
    check_measures(measure, [(label[NETWORK], label[LAYER]) for label in labels])
    layers = [_Layer.of(node, measure) for node in nodes]
    labels = [{**label, MEASURE: layer.measure} for label, layer in zip(labels, layers, strict=True)]
    stimuli: Mapping[Any, Any] = tree.root.to_dataset().coords
    general = general_measure(measure)
    if MEASURES[general].repeated:
        from rsa_face.rdms.toolbox import calc_noise_rdm, condition_coords

        grouped = condition_coords(stimuli, conditions, folds, {layer.measure for layer in layers})
        rdms = [_named(layer, calc_noise_rdm, layer.values(), grouped, layer.measure, memory) for layer in layers]
        return label_rdms(np.stack(rdms), labels, grouped.coords, measure=general, conditions=conditions)
    if engine == "rsatoolbox":
        each: Iterator[np.ndarray] = (_named(layer, _toolbox_rdm, layer) for layer in layers)
    else:
        each = _gram_rdms(layers, memory, cluster)
    count = layers[0].shape[0]
    values = np.empty((len(layers), count, count))  # stacked in the end, they would lie here twice
    for place, rdm in enumerate(each):
        values[place] = rdm
    return label_rdms(values, labels, stimuli, measure=general)


def label_rdms(
    values: np.ndarray, labels: list[dict[str, Any]], stimuli: Any, *, measure: str, **attrs: Any
) -> xr.DataArray:
    """Name the dims of layer RDMs, of which `labels` says network, layer, depth, order and the measure that made it.

    `stimuli` holds the ids under ``stimulus``, and the factors; `measure` is that of all layers but those that say
    otherwise, `attrs` what else to keep with the array.
    """
    ids = np.asarray(stimuli[STIMULUS], dtype=object)
    coords: dict[str, Any] = {
        RDM: np.array([f"{label[NETWORK]}/{label[LAYER]}" for label in labels], dtype=object),
        STIMULUS_I: ids,
        STIMULUS_J: ids,
    }
    coords |= {name: (RDM, [label[name] for label in labels]) for name in (NETWORK, LAYER, DEPTH, ORDER, MEASURE)}
    factors = [str(name) for name in stimuli if str(name) != STIMULUS]
    coords |= {name: (STIMULUS_I, _as_plain(stimuli[name])) for name in factors}
    untrained = sorted({str(label[NETWORK]) for label in labels if label.get("untrained")})
    attrs = {"untrained": untrained, **attrs}
    described = {"measure": measure, "definition": MEASURES[measure].definition, **attrs}
    rdms = xr.DataArray(values, coords, (RDM, STIMULUS_I, STIMULUS_J), name="dissimilarity", attrs=described)
    return mark_measures(rdms)


def mark_measures(rdms: xr.DataArray) -> xr.DataArray:
    """Return layer RDMs whose attr `other_measures` names each layer that another measure made than most."""
    general = rdms.attrs.get("measure")
    others = [
        f"{label}: {measure}"
        for label, measure in zip(rdms[RDM].values, rdms[MEASURE].values.astype(str), strict=True)
        if measure != general
    ]
    return rdms.assign_attrs({OTHER_MEASURES: others})


@dataclass(frozen=True)
class _Layer:
    """A layer's activations, read where they lie when they are needed."""

    name: str
    measure: str
    ids: list[str]
    shape: tuple[int, ...]
    itemsize: int
    step: int  # channels that are stored, and so read, together
    read: Callable[[int, int], np.ndarray]
    source: str | None  # the zarr array, for workers that read it themselves

    @classmethod
    def of(cls, node: xr.DataTree, measure: str | Mapping[str, str]) -> "_Layer":
        activation = node.to_dataset()["activation"]
        chunks = activation.encoding.get("chunks") or (1, 1)
        store = activation.encoding.get("source") or node.root.encoding.get("source")
        store = store and str(Path(store).absolute())  # workers do not share this process's folder
        network, layer = str(node.attrs[NETWORK]), str(node.attrs[LAYER])
        name = f"{network}/{layer}"
        return cls(
            name=name,
            measure=measure_of(measure, network=network, layer=layer, features=prod(activation.shape[1:])),
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


def _toolbox_rdm(layer: _Layer) -> np.ndarray:
    from rsa_face.rdms.toolbox import calc_rdm

    if MEASURES[layer.measure].most:  # rsatoolbox has no measure of few outputs
        return dissimilarities(block_moments(layer.values(), layer.measure), layer.measure, layer.ids)
    return calc_rdm(layer.values(), layer.measure)


def _gram_rdms(layers: Sequence[_Layer], memory: float, cluster: str | None) -> Iterator[np.ndarray]:
    cuts = [_groups(layer, memory) for layer in layers]
    if cluster is None:
        with product_threads() as pool:
            for layer, groups in zip(layers, cuts, strict=True):
                moments = merge_moments(_sum_slabs(layer.read, slabs, layer.measure, pool) for slabs in groups)
                yield _named(layer, dissimilarities, moments, layer.measure, layer.ids)
        return
    homeless = [layer.name for layer in layers if layer.source is None]
    if homeless:
        message = f"Layers must lie in a store to be read by a cluster, but {homeless[:8]} do not. Leave cluster out."
        raise ValueError(message)
    items = [
        (layer.source, slabs, layer.measure) for layer, groups in zip(layers, cuts, strict=True) for slabs in groups
    ]
    with connect(cluster) as client, closing(map_in_order(client, _moments_at, items)) as parts:
        for layer, groups in zip(layers, cuts, strict=True):
            moments = merge_moments(next(parts) for _ in groups)
            yield _named(layer, dissimilarities, moments, layer.measure, layer.ids)


def _groups(layer: _Layer, memory: float) -> list[list[tuple[int, int]]]:
    stimuli, channels = layer.shape[:2]
    if MEASURES[layer.measure].most:
        return [[(0, channels)]]  # a few outputs, which belong together
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
