"""RDMs of layers: which measure makes each, its arithmetic, and the way there from an activation store."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from threadpoolctl import threadpool_limits

from rsa_face.cluster import connect, map_in_order
from rsa_face.memory import bytes_of
from rsa_face.provenance import hash_content
from rsa_face.safety import first_of, hold, must_be_a, reading
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
    TRAINING_UNKNOWN,
    UNTRAINED,
    Array,
    library_of,
    must_be_known,
)

GENERAL = "default"
"""The key of a mapping of layers to measures whose measure makes all other layers' RDMs."""

DISSIMILARITY = "dissimilarity"
"""What an array of RDMs, and its variable in a file, is called."""

_SINGLE = 4  # bytes of a float32
_MOST_FEATURES = 2**13  # added up in float32 before float64 takes over
_ROWS = 128  # of a product with itself, computed at once by one thread; only the upper half is computed
_FEW = 64  # rows
_SMALL = 2**22  # values


def check_measures(measure: str | Mapping[str, str], layers: Iterable[tuple[str, str]] | None = None) -> None:
    """Refuse measures, and layers they are set for, that do not exist; all of them are named at once."""
    named = dict(measure) if isinstance(measure, Mapping) else {GENERAL: measure}
    for name in named.values():
        must_be_known(name, MEASURES, "measure")
    if layers is not None:
        pairs = list(layers)
        known = {GENERAL, *(layer for _, layer in pairs), *(f"{network}/{layer}" for network, layer in pairs)}
        unknown = sorted(map(str, set(named) - known))
        if unknown:
            names = list(dict.fromkeys(layer for _, layer in pairs))
            message = (
                f"Unknown layers in measure: {unknown}. Name layers that are recorded ({' '.join(names)}), alone or "
                f"as network/layer; {GENERAL!r} is for all others."
            )
            raise ValueError(message)
    kinds = {MEASURES[name].repeated for name in {*named.values(), general_measure(measure)}}
    if len(kinds) > 1:
        message = (
            f"Measures of single and of repeated presentations cannot be mixed: {sorted(set(named.values()))}. Their "
            f"RDMs have different stimuli; compute them one after the other (set {GENERAL!r} if it is left out)."
        )
        raise ValueError(message)


def measures_among(measures: Mapping[str, str], layers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return those of the measures set for layers of many networks that concern some layers (network and name)."""
    pairs = list(layers)
    known = {GENERAL, *(layer for _, layer in pairs), *(f"{network}/{layer}" for network, layer in pairs)}
    return {key: name for key, name in measures.items() if key in known}


def general_measure(measure: str | Mapping[str, str]) -> str:
    """Return the measure of all layers that none is set for: correlation if a mapping does not say."""
    return measure.get(GENERAL, "correlation") if isinstance(measure, Mapping) else measure


def layers_with_their_own(measure: str | Mapping[str, str]) -> dict[str, str]:
    """Return the measures that are set for single layers."""
    return {key: name for key, name in measure.items() if key != GENERAL} if isinstance(measure, Mapping) else {}


def measure_of(measure: str | Mapping[str, str], *, network: str, layer: str, features: int) -> str:
    """Return the measure that makes a layer's RDM.

    This is the one place where it is decided. A measure that cannot vary over a layer's few features is replaced by
    one that can: over two features a correlation is +1 or -1, so the output layer of a two-class network takes the
    absolute difference of the difference of its outputs, which is what its decision rests on.

    Examples
    --------
    >>> measure_of("correlation", network="alexnet", layer="fc8", features=2)
    'difference'
    >>> measure_of({"fc8": "euclidean"}, network="alexnet", layer="fc8", features=2)
    'euclidean'
    """
    named = measure if isinstance(measure, Mapping) else {}
    key = next((key for key in (f"{network}/{layer}", layer) if key in named), None)
    name = named[key] if key is not None else general_measure(measure)
    row = MEASURES[name]
    if row.most and features > row.most:
        message = (
            f"{network}/{layer}: {name!r} is defined for {row.most} features at most, and the layer has {features}. "
            "Choose another measure, or set this one for the output layer alone: measure={'fc8': ...}."
        )
        raise ValueError(message)
    if features >= row.fewest:
        return name
    if key is not None:
        message = (
            f"{network}/{layer}: {name!r} over {features} feature(s) cannot vary between pairs of stimuli. "
            f"Choose {row.instead!r} or 'euclidean' for this layer, or leave it out of measure."
        )
        raise ValueError(message)
    return row.instead


@dataclass(frozen=True)
class Moments:
    """What all dissimilarities of a layer, or of some of its features, follow from.

    `within` (stimulus, stimulus) holds inner products of the patterns less their mean in each block of features, or
    less each feature's mean over stimuli, as the measure asks; `means` (stimulus, block) those means, 0 in the second
    case; `sizes` (block,) the features in each block; `scale` (stimulus,) the largest absolute value of each pattern,
    not finite where the pattern is not.
    """

    within: np.ndarray
    means: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray


def sum_moments(blocks: Iterable[np.ndarray], measure: str) -> Moments:
    """Add up inner products over blocks of features (stimulus, feature), each block read once.

    The textbook formula (products first, means after) cancels for patterns like 100 +/- .001 and can even turn
    negative. So a pattern that lies far from 0 is centred before it is multiplied, block by block, and the block
    means are put back in float64, which is exact whatever the means (Chan, Golub & LeVeque 1983,
    10.1080/00031305.1983.10483115). A pattern that lies near 0 is left as it is: the zeros of a ReLU are exact,
    while a mean taken off them turns them into equal numbers whose rounding errors add up. Products are taken in
    the precision the values come in (float32 for a network's activations) and added up in float64; a correlation
    is off by less than 1e-6.
    """
    return merge_moments([block_moments(block, measure) for block in blocks])


@contextmanager
def product_threads() -> Iterator[Executor]:
    """Let as many threads multiply as the linear algebra library may use, each a split of its own.

    The library would cut a product according to its number of threads, and so round differently on another
    machine. Cut the same way everywhere, RDMs are equal bit for bit, whatever the number of threads or workers.
    While the pool lives, the library itself uses one thread.
    """
    with threadpool_limits(1, user_api="blas") as limits:
        threads = limits.get_original_num_threads().get("blas") or 1
        with ThreadPoolExecutor(threads, thread_name_prefix="products") as pool:
            yield pool


def block_moments(block: Array, measure: str, pool: Executor | None = None) -> Moments:
    """Return the moments of one block of features, computed where it lies: by numpy, or by torch and on its device.

    They are 0 where a pattern is not finite, which `scale` tells.
    """
    xp, row = library_of(block), MEASURES[measure]
    values = row.prepare(block if block.dtype.itemsize >= _SINGLE else xp.asarray(block, dtype=xp.float32))
    # without a copy of absolute values: a slab may be as large as memory allows
    scale = _in_numpy(xp.maximum(xp.amax(values, 1), -xp.amin(values, 1))).astype(np.float64)
    size, nothing = np.array([values.shape[1]]), np.zeros((len(values), 1))
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(values), len(values))), nothing, size, scale)
    if row.most or is_beyond_single(scale):  # a few outputs cost nothing in float64
        values = xp.asarray(values, dtype=xp.float64)
    if row.centre == "features":
        return Moments(_in_numpy(_self_products(values, values.mean(0)[None], pool)[0]), nothing, size, scale)
    mean = values.mean(1)[:, None]
    # the mean square tells how far from 0 a pattern lies, for its spread
    square = np.einsum("ij,ij->i", values, values) if xp is np else xp.linalg.vector_norm(values, dim=1) ** 2
    shift = xp.where(is_far_from_0(mean, square[:, None] / values.shape[1]), mean, 0)
    within, sums = _self_products(values, shift, pool)
    # what the shift in float32 left of the mean, taken off in float64
    rest = sums / values.shape[1]
    within -= values.shape[1] * xp.outer(rest, rest)
    return Moments(_in_numpy(within), _in_numpy(shift + rest[:, None]), size, scale)


def is_beyond_single(scale: np.ndarray) -> bool:
    """Return whether squares of some pattern's values would overflow or vanish in float32.

    Examples
    --------
    >>> is_beyond_single(np.array([0.0, 1.0])), is_beyond_single(np.array([1e-30, 1.0]))
    (False, True)
    """
    return bool(((scale > 1e15) | ((scale > 0) & (scale < 1e-15))).any())


def is_far_from_0(mean: Any, square: Any) -> Any:
    """Return which patterns are centred before they are multiplied: those whose squared mean exceeds 2 variances.

    Examples
    --------
    >>> is_far_from_0(100.0, 10_000.000_001), is_far_from_0(0.4, 0.5)
    (True, False)
    """
    return 3 * mean**2 > 2 * square


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Put the moments of several blocks of features together, in their order."""
    within: np.ndarray | None = None
    means, sizes, scales = [], [], []
    for part in parts:
        # added in the order of the blocks, so that sums are equal to the bit however they were computed
        within = part.within.copy() if within is None else np.add(within, part.within, out=within)
        means.append(part.means)
        sizes.append(part.sizes)
        scales.append(part.scale)
    assert within is not None  # a layer has features
    return Moments(within, np.hstack(means), np.hstack(sizes), np.max(np.stack(scales), axis=0))


def dissimilarities(moments: Moments, measure: str, ids: Sequence[str]) -> np.ndarray:
    """Return the RDM (stimulus, stimulus) that a layer's moments make: symmetric, 0 on the diagonal.

    A pattern that is constant (correlation), all zero (cosine) or not finite is refused, the stimuli named by `ids`.
    """
    _must_be_finite(moments, ids)
    row = MEASURES[measure]
    assert row.dissimilarity is not None  # those of repeated presentations do not come this way
    products = moments.within if row.centre == "features" else _products(moments, centred=row.centre == "patterns")
    if row.fault:
        _must_have_length(products, moments, ids, row.fault)
    rdm = row.dissimilarity(products, int(moments.sizes.sum()))
    # rounding leaves tiny asymmetries and negative distances, which no measure has
    rdm = np.maximum((rdm + rdm.T) / 2, 0)
    np.fill_diagonal(rdm, 0)
    return np.asarray(rdm)


def _self_products(values: Array, shift: Array, pool: Executor | None) -> tuple[Array, Array]:
    """Return the inner products (stimulus, stimulus) of rows less a shift, and the rows' sums, both in float64."""
    xp, count = library_of(values), len(values)
    at = {"dtype": xp.float64, "device": values.device}
    products, sums = xp.zeros((count, count), **at), xp.zeros(count, **at)
    # torch adds up products of very few rows in one long sum, which float32 has too few digits for; and what is small
    # costs little: patterns of few features (pooled ones) may differ in the last digits of float32
    kind = xp.float64 if count < _FEW or count * values.shape[1] <= _SMALL else values.dtype
    off = xp.broadcast_to(shift, values.shape) if shift.any() else None
    for first in range(0, values.shape[1], _MOST_FEATURES):
        # float32 adds up a few thousand products well; longer sums go on in float64
        part = values[:, first : first + _MOST_FEATURES]
        shifted = xp.asarray(part if off is None else part - off[:, first : first + _MOST_FEATURES], dtype=kind)
        sums += xp.sum(shifted, 1, dtype=xp.float64)

        def fill(start: int, shifted: Array = shifted) -> None:
            products[start : start + _ROWS, start:] += shifted[start : start + _ROWS] @ shifted[start:].T

        for _ in (map if pool is None else pool.map)(fill, range(0, count, _ROWS)):
            pass
    # only the upper half was computed: it is mirrored block by block, without a second array of that size
    for start in range(0, count, _ROWS):
        stop = start + _ROWS
        square = products[start:stop, start:stop]
        square[...] = xp.triu(square) + xp.triu(square, 1).T
        products[stop:, start:stop] = products[start:stop, stop:].T
    return products, sums


def _in_numpy(array: Array) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())


def _products(moments: Moments, *, centred: bool) -> np.ndarray:
    means = moments.means
    if centred:
        means = means - (means @ moments.sizes / moments.sizes.sum())[:, None]
    # what the blocks' means add to the inner products: exact, since means and sizes are in float64
    return np.asarray(moments.within + (means * moments.sizes) @ means.T)


def _must_have_length(products: np.ndarray, moments: Moments, ids: Sequence[str], fault: str) -> None:
    flat = np.diagonal(products) <= moments.sizes.sum() * (1e-12 * moments.scale) ** 2
    if flat.any():
        named = [stimulus for stimulus, bad in zip(ids, flat, strict=True) if bad]
        message = (
            f"Patterns are {fault} for {len(named)} of {len(ids)} stimuli: {first_of(named)}. Leave this layer out, "
            "or choose the euclidean measure."
        )
        raise ValueError(message)


def _must_be_finite(moments: Moments, ids: Sequence[str]) -> None:
    bad = ~np.isfinite(moments.scale)
    if bad.any():
        named = [stimulus for stimulus, wrong in zip(ids, bad, strict=True) if wrong]
        message = f"Activations are not finite for {first_of(named)}. Check the weights."
        raise ValueError(message)


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
    out: str | Path | None = None,
    dtype: str = "float32",
    tile: int = 2048,
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
        GiB that may be used at once, by each process: the RDMs of all layers, three more of one layer, and some
        channels of all stimuli. Less is refused before anything is read.
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand layers, in pieces, to dask workers that see the store.
    conditions, folds : str, optional
        For mahalanobis and crossnobis: the factor that says what each row presents (its values become the
        stimuli), and, for crossnobis, the factor that tells the presentations apart.
    out : str or Path, optional
        A ``.zarr`` folder to write the RDMs to, for those larger than memory: tile by tile, in any number of
        processes, and where it was interrupted the same call goes on.
    dtype : {"float32", "float64"}
        In which precision tiles are kept.
    tile : int
        Rows and columns of a tile. Each takes the memory of twelve times as many numbers as it has.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        In memory, or with `out` in dask's chunks, read from the disk when used (`open_rdms`). Coords `network`,
        `layer`, `depth`, `order` and `measure` on rdm; the stimuli's factors on stimulus_i; attrs `measure` and its
        `definition`, those of most layers, and `other_measures`, each layer that has another.

    Raises
    ------
    ValueError
        If a measure, a layer that one is set for, or the engine is unknown, a measure that is set for a layer cannot
        vary in it, a layer has a constant pattern or a value that is not finite (layer and stimulus are named), or
        the memory does not suffice.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> attrs = {"network": "mine", "layer": "fc", "depth": 1.0, "order": 0, "place": 0, "untrained": True}
    >>> activation = (("stimulus", "feature"), np.eye(3, 8, dtype="float32"))
    >>> layer = xr.Dataset({"activation": activation}, {"stimulus": ["a", "b", "c"]}, attrs)
    >>> root = xr.Dataset(coords={"stimulus": ["a", "b", "c"]})
    >>> compute_rdms(xr.DataTree.from_dict({"/": root, "/mine/fc": layer}), measure="euclidean")[0].values.round(2)
    array([[0.  , 0.25, 0.25],
           [0.25, 0.  , 0.25],
           [0.25, 0.25, 0.  ]])
    """
    memory = bytes_of(memory) / 2**30
    must_be_known(engine, ("gram", "rsatoolbox"), "engine")
    must_be_a(tree, xr.DataTree, "Activations (`extract`, `open_activations`) are needed here")
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
    if out is not None:
        return _in_tiles(Path(out), layers, labels, stimuli, general, memory, cluster, (dtype, tile))
    _must_fit(layers, memory)
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
    values: Any, labels: list[dict[str, Any]], stimuli: Any, *, measure: str, **attrs: Any
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
    # by name: a store lists them in another order each time, and files of equal content should be equal
    factors = sorted(str(name) for name in stimuli if str(name) != STIMULUS)
    coords |= {name: (STIMULUS_I, _as_plain(stimuli[name])) for name in factors}
    kinds = (UNTRAINED, TRAINING_UNKNOWN)
    origin = {kind: sorted({str(label[NETWORK]) for label in labels if label.get(kind)}) for kind in kinds}
    attrs = {**origin, **attrs}
    described = {"measure": measure, "definition": MEASURES[measure].definition, **attrs}
    rdms = xr.DataArray(values, coords, (RDM, STIMULUS_I, STIMULUS_J), name=DISSIMILARITY, attrs=described)
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
    then = f"Run rsa-face activations remove {store}, then the same command again: it is extracted again."
    with reading(Path(store), f"The stored activations of {layer} are damaged", then=then):
        return np.asarray(slab.values)


def _toolbox_rdm(layer: _Layer) -> np.ndarray:
    from rsa_face.rdms.toolbox import calc_rdm

    if MEASURES[layer.measure].most:  # rsatoolbox has no measure of few outputs
        return dissimilarities(block_moments(layer.values(), layer.measure), layer.measure, layer.ids)
    return calc_rdm(layer.values(), layer.measure)


def _gram_rdms(layers: Sequence[_Layer], memory: float, cluster: str | None) -> Iterator[np.ndarray]:
    left = memory - 8 * layers[0].shape[0] ** 2 * len(layers) / 2**30  # beside the result
    cuts = [_groups(layer, left) for layer in layers]
    if cluster is None:
        with product_threads() as pool:
            for layer, groups in zip(layers, cuts, strict=True):
                moments = merge_moments(_sum_slabs(layer.read, slabs, layer.measure, pool) for slabs in groups)
                yield _named(layer, dissimilarities, moments, layer.measure, layer.ids)
        return
    _must_be_stored(layers, "Leave cluster out")
    items = [
        (layer.source, slabs, layer.measure) for layer, groups in zip(layers, cuts, strict=True) for slabs in groups
    ]
    with connect(cluster) as client, closing(map_in_order(client, _moments_at, items)) as parts:
        for layer, groups in zip(layers, cuts, strict=True):
            moments = merge_moments(next(parts) for _ in groups)
            yield _named(layer, dissimilarities, moments, layer.measure, layer.ids)


def rdm_bytes(stimuli: int, layers: int) -> int:
    """Return how much memory the RDMs of layers take while they are made: all, and three more of one layer."""
    return 8 * stimuli**2 * (layers + 3)


def must_hold_rdms(stimuli: int, layers: int, memory: float) -> None:
    """Refuse RDMs that would not fit into memory (GiB), before anything that they are made from is computed."""
    needed = rdm_bytes(stimuli, layers) / 2**30
    if needed > memory:
        message = (
            f"{layers} RDMs of {stimuli:,} stimuli, and three more while they are made, take {needed:.3g} GiB; "
            f"`memory` allows {memory:.3g} GiB. Allow more, use fewer layers, or write them in tiles: "
            "compute_rdms(tree, out='rdms.zarr')."
        )
        raise ValueError(message)


def _must_fit(layers: Sequence[_Layer], memory: float) -> None:
    stimuli = layers[0].shape[0]
    must_hold_rdms(stimuli, len(layers), memory)
    for layer in layers:
        _groups(layer, memory - 8 * stimuli**2 * len(layers) / 2**30)


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
            f"The memory left for {layer.name}, {memory:.3g} GiB, does not hold some channels of all stimuli and "
            f"three RDMs: {needed:.3g} GiB. Allow more, or write them in tiles: compute_rdms(tree, out='rdms.zarr')."
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


def _must_be_stored(layers: Sequence[_Layer], then: str) -> None:
    homeless = [layer.name for layer in layers if layer.source is None]
    if homeless:
        message = f"Layers that are in no store cannot be read by other processes: {first_of(homeless)}. {then}."
        raise ValueError(message)


# -- RDMs larger than memory: tiles on the disk ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Tile:
    """One tile of a layer's RDM: the stimuli of its rows and its columns, and where it is read and written."""

    layer: str
    measure: str
    source: str
    target: str
    rdm: int
    sides: tuple[tuple[int, int], tuple[int, int]]
    ids: tuple[str, ...]
    memory: float


def open_rdms(path: str | Path) -> xr.DataArray:
    """Open RDMs that were written in tiles, lazily: dask reads the tiles that are used.

    Cut them down to the stimuli that people judged (`shared_stimuli`) before comparing them.

    Parameters
    ----------
    path : str or Path
        The folder that `compute_rdms` was given as `out`.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        As `compute_rdms` returns it, in dask's chunks.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it does not hold RDMs in tiles, or lacks some of them.
    """
    path = Path(path)
    if not path.is_dir():
        message = f"No such folder: {str(path)!r}. Write RDMs to it: compute_rdms(tree, out={str(path)!r})."
        raise FileNotFoundError(message)
    with reading(path, "RDMs in tiles are a zarr folder", then="Remove it, and compute the RDMs again."):
        rdms = xr.open_zarr(path, chunks={}, consolidated=False, zarr_format=3)[DISSIMILARITY]
    missing = _missing_tiles(path)
    if missing:
        message = f"{str(path)!r} lacks {len(missing)} tiles. Compute the RDMs again: the same call goes on."
        raise ValueError(message)
    plain = {name: coord.copy(data=_as_plain(coord.values)) for name, coord in rdms.coords.items()}
    tiled: xr.DataArray = rdms.assign_coords(plain).drop_encoding()
    return tiled


def _in_tiles(
    out: Path,
    layers: Sequence[_Layer],
    labels: list[dict[str, Any]],
    stimuli: Any,
    general: str,
    memory: float,
    cluster: str | None,
    form: tuple[str, int],
) -> xr.DataArray:
    must_be_known(form[0], ("float32", "float64"), "dtype")
    _must_be_stored(layers, "Extract them to a store first")
    out = out.absolute()
    count = layers[0].shape[0]
    side = min(form[1], count)
    with hold(out, out.with_name(f".{out.name}.lock"), rule="RDMs are written by one process at a time"):
        _begin_tiles(out, label_rdms_lazily(len(layers), count, side, form[0], labels, stimuli, general), layers)
        ids, tiles = layers[0].ids, []
        for rdm, row, column in _missing_tiles(out):
            ends = [(first * side, min((first + 1) * side, count)) for first in (row, column)]
            named = tuple(ids[slice(*ends[0])] if row == column else ids[slice(*ends[0])] + ids[slice(*ends[1])])
            layer, target = layers[rdm], f"{out}/{DISSIMILARITY}"
            both = (ends[0], ends[1])
            tiles.append(_Tile(layer.name, layer.measure, str(layer.source), target, rdm, both, named, memory))
        if cluster is None:
            for tile in tiles:
                _make_tile(tile)
        elif tiles:
            with connect(cluster) as client:
                for _ in map_in_order(client, _make_tile, tiles):
                    pass
    return open_rdms(out)


def label_rdms_lazily(
    layers: int, stimuli: int, side: int, dtype: str, labels: list[dict[str, Any]], coords: Any, measure: str
) -> xr.DataArray:
    """Return layer RDMs without values, in dask's chunks of one tile each."""
    import dask.array

    empty: Any = dask.array.full(  # type: ignore[no-untyped-call]
        (layers, stimuli, stimuli), np.nan, dtype=dtype, chunks=(1, side, side)
    )
    return label_rdms(empty, labels, coords, measure=measure)


def _begin_tiles(out: Path, empty: xr.DataArray, layers: Sequence[_Layer]) -> None:
    """Write all but the values of RDMs in tiles; refuse a folder that was begun from something else."""
    made_from = hash_content(
        [[layer.name, layer.measure, str(layer.source), layer.shape, layer.ids] for layer in layers],
        empty.dtype.name,
        empty.data.chunksize,
    )
    if out.exists():
        with reading(out, "RDMs in tiles are a zarr folder", then="Choose another folder."):
            before = zarr.open_group(out, mode="r").attrs.get("made_from")
        if before != made_from:
            message = (
                f"{str(out)!r} was begun from other layers, measures, stimuli, tiles or precision. Choose another."
            )
            raise ValueError(message)
        return
    beside = out.with_name(f".{out.name}-{made_from[:8]}")
    encoding = {DISSIMILARITY: {"fill_value": np.nan}}
    dataset = empty.to_dataset().assign_attrs(made_from=made_from)
    # zarr has no lasting form for texts of one length
    dataset = dataset.assign_coords({n: c.copy(data=_as_plain(c.values)) for n, c in dataset.coords.items()})
    dataset.to_zarr(beside, mode="w", compute=False, consolidated=False, zarr_format=3, encoding=encoding)
    beside.replace(out)


def _missing_tiles(out: Path) -> list[tuple[int, int, int]]:
    """Return the tiles (rdm, row, column) on and above the diagonal that are not on the disk yet."""
    array: Any = zarr.open_array(f"{out}/{DISSIMILARITY}", mode="r")
    layers, rows, _ = array.cdata_shape
    places = [(rdm, row, column) for rdm in range(layers) for row in range(rows) for column in range(row, rows)]
    folder = out / DISSIMILARITY
    return [place for place in places if not (folder / array.metadata.encode_chunk_key(place)).is_file()]


def _make_tile(tile: _Tile) -> None:
    """Compute a tile as an RDM of the stimuli of both its sides, and write it and its mirror image."""
    array: Any = zarr.open_array(tile.source, mode="r")
    sides = [slice(*side) for side in dict.fromkeys(tile.sides)]

    def read(start: int, stop: int) -> np.ndarray:
        return np.concatenate([np.asarray(array[side, start:stop]) for side in sides])

    shape = (len(tile.ids), *array.shape[1:])
    layer = _Layer(
        tile.layer, tile.measure, list(tile.ids), shape, max(array.dtype.itemsize, 4), array.chunks[1], read, None
    )
    with product_threads() as pool:
        moments = merge_moments(_sum_slabs(read, slabs, tile.measure, pool) for slabs in _groups(layer, tile.memory))
    rdm = _named(layer, dissimilarities, moments, tile.measure, layer.ids)
    rows, columns = slice(*tile.sides[0]), slice(*tile.sides[1])
    values = rdm[: rows.stop - rows.start, rows.start - rows.stop if len(sides) == 1 else rows.stop - rows.start :]
    target: Any = zarr.open_array(tile.target, mode="r+")
    if len(sides) == 2:
        target[tile.rdm, columns, rows] = values.T
    target[tile.rdm, rows, columns] = values  # last: where it is, the tile is done


def _named(layer: _Layer, compute: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    try:
        return compute(*arguments)
    except ValueError as error:
        message = f"{layer.name}: {error}"
        raise ValueError(message) from error


def _as_plain(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype.kind in "biuf" else array.astype(object)
