"""Whether layers resemble people more than they would if the names of the stimuli were shuffled."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from rsa_face.inference.bootstrap import processors
from rsa_face.inference.comparisons import comparable, compare_vectors
from rsa_face.inference.draws import evaluate, prepare
from rsa_face.inference.ranking import sort_once
from rsa_face.inference.significance import maximum_p, permutation_p
from rsa_face.inference.vectors import to_vectors
from rsa_face.provenance import rng_from
from rsa_face.schema import COMPARISONS, RDM, Comparison, must_be_known

SHUFFLE = "shuffle"


def shuffle_layers(
    rdms: xr.DataArray, human: xr.DataArray, *, comparison: str = "rho-a", shuffles: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Test each layer's similarity against shuffled stimulus labels, and against the largest of all layers.

    Rows and columns are shuffled together, the same way for all layers and participants. The test asks whether
    these participants' judgements of these stimuli are related to the layer at all; it does not generalise to
    other stimuli or participants, and it cannot compare two layers that both are related (resample for that). Every
    stimulus may change places with every other: of stimuli that come in groups (faces of one person), a layer that
    knows the groups and nothing else is related to people who know them too.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs, all of the planned family. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs; NaN means never judged, and stays with the pair that was never judged. Not changed.
    comparison : str
        How two RDMs are compared.
    shuffles : int
        How many.
    seed : int
        The seed of the shuffles.

    Returns
    -------
    Dataset
        ``similarity (rdm)``, mean over participants; ``p_permutation (rdm)``, one-sided, of each layer by itself;
        ``p_permutation_corrected (rdm)``, family-wise over all the layers given; ``similarity_shuffles (shuffle,
        rdm)``.

    Raises
    ------
    ValueError
        If the RDMs cannot be compared, or there are fewer than 4 stimuli or no shuffles.
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    rdms, human = comparable(rdms, human)
    layers, people = to_vectors(rdms.values), to_vectors(human.values)
    rng = rng_from(seed, "shuffles")
    orders = stimulus_shuffles(human.sizes["stimulus_i"], shuffles=shuffles, rng=rng)
    observed, null = shuffled_similarities(layers, people, orders, comparison=comparison)
    return xr.Dataset(
        {
            "similarity": (RDM, observed),
            "p_permutation": (RDM, permutation_p(observed, null)),
            "p_permutation_corrected": (RDM, maximum_p(observed, null)),
            "similarity_shuffles": ((SHUFFLE, RDM), null),
        },
        coords={name: value for name, value in rdms.coords.items() if value.dims == (RDM,)},
        attrs={
            "comparison": comparison,
            "shuffles": shuffles,
            "seed": seed,
            "correction": "maximum over layers, each on the scale of its shuffles",
            "simulated": bool(human.attrs.get("simulated", False)),
        },
    )


def shuffled_similarities(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    orders: Int[np.ndarray, "shuffle stimulus"],
    *,
    comparison: str,
) -> tuple[Float[np.ndarray, " rdm"], Float[np.ndarray, "shuffle rdm"]]:
    """Return the mean similarity of each layer over participants, as observed and after each shuffle.

    Where every pair was judged, shuffling changes neither ranks nor norms: participants' vectors are brought to
    unit length once and averaged, and each shuffle is one product. Otherwise everything is compared anew.

    Parameters
    ----------
    layers : array, shape (rdm, pair)
        Vectors of the layer RDMs.
    people : array, shape (participant, pair)
        Vectors of the human RDMs; NaN means never judged.
    orders : array, shape (shuffle, stimulus)
        Orders of the stimuli.
    comparison : str
        How two RDMs are compared.

    Returns
    -------
    tuple of array, shapes (rdm,) and (shuffle, rdm)
        The similarities.
    """
    row = COMPARISONS[comparison]
    observed = np.nanmean(compare_vectors(comparison, layers, people), axis=1)
    back = np.argsort(orders, axis=1)
    if not row.is_plain or np.isnan(people).any():
        return observed, _compared_anew(layers, people, back, comparison)
    null = np.empty((orders.shape[0], layers.shape[0]))
    mean, directions = _unit_vectors(people, row).mean(axis=0), _unit_vectors(layers, row)
    for start in range(0, len(orders), 64):
        chunk = np.stack([mean[shuffled_pairs(order)] for order in back[start : start + 64]])
        null[start : start + 64] = chunk @ directions.T
    return observed, null


def _compared_anew(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    back: Int[np.ndarray, "shuffle stimulus"],
    comparison: str,
) -> Float[np.ndarray, "shuffle rdm"]:
    """Return similarities with the participants' stimuli shuffled, so that the layers are sorted once only."""
    prepared, once = prepare(layers, people, comparison), np.ones(back.shape[1], dtype=np.int64)

    def compare(order: Int[np.ndarray, " stimulus"]) -> Float[np.ndarray, " rdm"]:
        moved = people[:, shuffled_pairs(order)]
        ranked = None if prepared.sorted_people is None else sort_once(moved)
        shuffled = replace(prepared, people=moved, sorted_people=ranked, columns=None)
        return np.asarray(np.nanmean(evaluate(shuffled, once)[0], axis=1))

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(processors()) as pool:
        return np.stack(list(pool.map(compare, back)))


def stimulus_shuffles(
    stimuli: int, *, shuffles: int, rng: np.random.Generator
) -> Int[np.ndarray, "shuffle stimulus"]:
    """Return random orders of the stimuli, with which whole rows and columns of an RDM are shuffled.

    Single entries must never be shuffled: the entries of one stimulus hang together, and shuffling them apart
    finds nearly everything significant.

    Parameters
    ----------
    stimuli : int
        How many there are; at least 4 (three have six orders and one answer).
    shuffles : int
        How many orders to draw.
    rng : numpy.random.Generator
        The source of chance.

    Returns
    -------
    array, shape (shuffle, stimulus)
        Each row an order of 0 ... stimuli - 1.

    Raises
    ------
    ValueError
        If there are fewer than 4 stimuli or no shuffles.
    """
    if stimuli < 4:
        message = f"At least 4 stimuli are needed to shuffle their labels, but there are {stimuli}. Use more stimuli."
        raise ValueError(message)
    if shuffles < 1:
        message = f"At least 1 shuffle is needed, but shuffles is {shuffles}. Ask for 1000 or more."
        raise ValueError(message)
    orders = np.tile(np.arange(stimuli), (shuffles, 1))
    return np.asarray(rng.permuted(orders, axis=1))


def shuffled_pairs(order: Int[np.ndarray, " stimulus"]) -> Int[np.ndarray, " pair"]:
    """Return where each pair of an RDM's upper triangle comes from when its rows and columns are reordered.

    Parameters
    ----------
    order : array, shape (stimulus,)
        An order of 0 ... stimuli - 1.

    Returns
    -------
    array, shape (pair,)
        Places in the vector of pairs (0, 1), (0, 2) ... of the RDM before it was reordered.

    Examples
    --------
    >>> shuffled_pairs(np.array([2, 0, 1]))
    array([1, 2, 0])
    """
    first, second = np.triu_indices(order.size, 1)
    low, high = np.minimum(order[first], order[second]), np.maximum(order[first], order[second])
    return np.asarray(low * (2 * order.size - low - 1) // 2 + high - low - 1)


def _unit_vectors(vectors: Float[np.ndarray, "rdm pair"], row: Comparison) -> Float[np.ndarray, "rdm pair"]:
    """Return vectors whose inner product is the similarity."""
    values = rankdata(vectors, axis=1) if row.scores == "ranks" else vectors
    if row.centred or row.scores == "ranks":
        values = values - values.mean(axis=1, keepdims=True)
    if row.scores == "ranks" and not row.tie_corrected:
        # rho-a divides by the spread that ranks without ties have
        pairs = vectors.shape[1]
        return np.asarray(values / np.sqrt((pairs**3 - pairs) / 12), dtype=float)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, length, out=np.zeros_like(values), where=length > 0), dtype=float)
