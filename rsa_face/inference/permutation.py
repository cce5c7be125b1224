"""Whether layers resemble people more than they would if the names of the stimuli were shuffled."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, islice, permutations, product
from math import factorial

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from rsa_face.inference.comparisons import comparable, compare_vectors
from rsa_face.inference.draws import evaluate, prepare, processors
from rsa_face.inference.kernels import sort_once, to_vectors
from rsa_face.inference.resampling import AUTO, by_name, choose_groups, group_members
from rsa_face.inference.statistics import maximum_p, permutation_p
from rsa_face.provenance import rng_from
from rsa_face.schema import COMPARISONS, RDM, Comparison, coords_along, factors_of, must_be_known, stimulus_ids

SHUFFLE = "shuffle"
LABELS = ("both", "groups", "levels")
FEWEST_SHUFFLES = 20


def shuffle_layers(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    shuffles: int = 1000,
    seed: int = 0,
    groups: str | None = AUTO,
    labels: str = "both",
) -> xr.Dataset:
    """Test each layer's similarity against shuffled stimulus labels, and against the largest of all layers.

    Rows and columns are shuffled together, the same way for all layers and participants. The test asks whether
    these participants' judgements of these stimuli are related to the layer at all; it does not generalise to
    other stimuli or participants, and it cannot compare two layers that both are related (resample for that).

    Stimuli that come in groups (faces of one person) must not change places one by one: that destroys what any two
    RDMs of such stimuli have in common by design, and finds a quarter of unrelated layers significant. They are
    shuffled as the design allows. Where it is crossed (every identity at the same levels), identities change places
    as blocks, and the levels change places alike in all of them; where groups have equally many stimuli without a
    counterpart in the others, blocks change places, and stimuli within each. Every shuffle keeps which stimuli belong
    together, so a layer that knows that a face is the same person's, and not who resembles whom, is not significant.

    The shuffles are those under which a sample of identities crossed with levels looks alike if neither has anything
    to do with people: each changes the order of identities, and of levels (exchangeable rows and columns: Aldous
    1981, 10.1016/0047-259X(81)90099-3). Exhaustive or random, p is (k + 1) / (shuffles + 1).
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    rdms, human = comparable(rdms, human)
    groups = choose_groups(human, groups)
    return shuffles_of(rdms, human, comparison=comparison, shuffles=shuffles, seed=seed, groups=groups, labels=labels)


def shuffles_of(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str,
    shuffles: int,
    seed: int,
    groups: str | None,
    labels: str = "both",
) -> xr.Dataset:
    """Do what `shuffle_layers` does for RDMs that are aligned, with groups that are chosen."""
    layers, people = to_vectors(rdms.values), to_vectors(human.values)
    rng = rng_from(seed, "shuffles")
    if groups is None:
        orders, every, labels = stimulus_shuffles(stimulus_ids(human), shuffles=shuffles, rng=rng), False, "all"
    else:
        blocks, crossed = blocks_of(human, groups)
        orders, every = block_shuffles(blocks, crossed=crossed, labels=labels, shuffles=shuffles, rng=rng)
    observed, null = shuffled_similarities(layers, people, orders, comparison=comparison)
    return xr.Dataset(
        {
            "similarity": (RDM, observed),
            "p_permutation": (RDM, permutation_p(observed, null)),
            "p_permutation_corrected": (RDM, maximum_p(observed, null)),
            "similarity_shuffles": ((SHUFFLE, RDM), null),
        },
        coords=coords_along(rdms, RDM),
        attrs={
            "comparison": comparison,
            "shuffles": len(orders),
            "exhaustive": every,
            "seed": seed,
            "groups": groups,
            "labels": labels,
            "correction": "maximum over layers, each on the scale of its shuffles",
            "simulated": bool(human.attrs.get("simulated", False)),
        },
    )


def blocks_of(human: xr.DataArray, groups: str) -> tuple[Int[np.ndarray, "group place"], bool]:
    """Return the stimuli of each group in corresponding places, and whether places correspond (a crossed design).

    Places correspond where a factor, or two or three together (level and occlusion), tell the stimuli of each group
    apart and take the same values in all groups. Otherwise the stimuli of a group stand in the order of their ids.
    """
    members = group_members(human, groups)
    sizes = members.sum(axis=1)
    if len(set(sizes.tolist())) > 1:
        message = (
            f"Groups of {groups!r} have {sizes.min()} to {sizes.max()} stimuli and cannot change places. Use groups "
            "of equal size, or the t test over groups of `compare_layers`."
        )
        raise ValueError(message)
    # by id within each group, as groups are by name: a random shuffle then falls on the same faces in any order
    at = by_name(stimulus_ids(human))
    blocks = np.stack([at[row[at] > 0] for row in members])
    values = {
        name: np.unique(np.asarray(factor.values, dtype=str), return_inverse=True)[1][blocks]
        for name, factor in factors_of(human).items()
        if name != groups
    }
    for count in (1, 2, 3):
        for names in combinations(values, count):
            keys = np.stack([values[name] for name in names], axis=2)
            rank = np.unique(keys.reshape(-1, count), axis=0, return_inverse=True)[1].reshape(blocks.shape)
            places = np.sort(rank, axis=1)
            if (places == places[0]).all() and len(np.unique(places[0])) == places.shape[1]:
                return np.take_along_axis(blocks, np.argsort(rank, axis=1), axis=1), True
    return blocks, False


def block_shuffles(
    blocks: Int[np.ndarray, "group place"], *, crossed: bool, labels: str, shuffles: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "shuffle stimulus"], bool]:
    """Return orders of the stimuli that move groups as blocks, and whether these are all but the one observed.

    The places within blocks move alike in all of them; in a design that is not crossed, those of each by themselves.
    """
    must_be_known(labels, LABELS, "labels to shuffle")
    if shuffles < 1:
        message = f"`shuffles` is {shuffles}, and a p value needs 1 or more. Ask for 1000."
        raise ValueError(message)
    groups, places = blocks.shape
    if labels != "both" and not crossed:
        message = (
            f"labels={labels!r} needs groups with corresponding stimuli: no factor takes the same values in each."
        )
        raise ValueError(message)
    moves_groups, moves_places = labels != "levels", labels != "groups"
    different = count_shuffles(groups, places, crossed=crossed, labels=labels)
    if different < FEWEST_SHUFFLES:
        message = (
            f"Too few shuffles for a p value of .05, which takes {FEWEST_SHUFFLES}: {groups} groups of {places} "
            f"stimuli allow {different} (labels={labels!r}). Use more groups, or the t test over groups."
        )
        raise ValueError(message)
    every = crossed and different - 1 <= shuffles
    in_place = [tuple(range(groups))], [tuple(range(places))]
    turns: Iterable[tuple[Sequence[int], Sequence[int]]]
    if every:
        of_groups = permutations(range(groups)) if moves_groups else in_place[0]
        of_places = permutations(range(places)) if moves_places else in_place[1]
        turns = islice(product(of_groups, of_places), 1, None)  # the first leaves everything in place
    else:
        turns = (
            (
                rng.permutation(groups).tolist() if moves_groups else in_place[0][0],
                rng.permutation(places).tolist() if moves_places else in_place[1][0],
            )
            for _ in range(shuffles)
        )
    orders = []
    for group, place in turns:
        moved = blocks[list(group)]
        moved = moved[:, list(place)] if crossed else rng.permuted(moved, axis=1)
        order = np.empty(blocks.size, dtype=int)
        order[blocks] = moved
        orders.append(order)
    return np.stack(orders), every


def count_shuffles(groups: int, places: int, *, crossed: bool, labels: str = "both") -> int:
    """Return how many different orders groups of stimuli have, the one observed included."""
    within = factorial(places) if crossed else factorial(places) ** groups
    return (factorial(groups) if labels != "levels" else 1) * (within if labels != "groups" else 1)


def shuffled_similarities(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    orders: Int[np.ndarray, "shuffle stimulus"],
    *,
    comparison: str,
) -> tuple[Float[np.ndarray, " rdm"], Float[np.ndarray, "shuffle rdm"]]:
    """Return the mean similarity of each layer over participants, as observed and after each shuffle.

    Where everybody judged the same pairs and shuffling keeps these (all pairs; all between groups that move as
    blocks), it changes neither ranks nor norms: participants' vectors are brought to unit length once and averaged,
    and each shuffle is one product. Otherwise everything is compared again for each shuffle.
    """
    row = COMPARISONS[comparison]
    observed = np.nanmean(compare_vectors(comparison, layers, people), axis=1)
    back = np.argsort(orders, axis=1)
    judged = ~np.isnan(people[0])
    if not row.is_plain or not _keeps_pairs(people, judged, back):
        return observed, _compared_again(layers, people, back, comparison)
    null = np.empty((orders.shape[0], layers.shape[0]))
    mean, directions = np.zeros(judged.size), np.zeros(layers.shape)
    mean[judged] = _unit_vectors(people[:, judged], row).mean(axis=0)
    directions[:, judged] = _unit_vectors(layers[:, judged], row)
    for start in range(0, len(orders), 64):
        chunk = np.stack([mean[shuffled_pairs(order)] for order in back[start : start + 64]])
        null[start : start + 64] = chunk @ directions.T
    return observed, null


def _keeps_pairs(
    people: Float[np.ndarray, "participant pair"],
    judged: Bool[np.ndarray, " pair"],
    back: Int[np.ndarray, "shuffle stimulus"],
) -> bool:
    """Whether all people judged the same pairs, and every shuffle moves these onto each other."""
    if judged.all() and not np.isnan(people).any():
        return True
    same = bool((~np.isnan(people) == judged).all())
    return same and all(bool((judged[shuffled_pairs(order)] == judged).all()) for order in back)


def _compared_again(
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
        return np.asarray(evaluate(shuffled, once).means(np.ones((1, len(people))))[0])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(processors()) as pool:
        return np.stack(list(pool.map(compare, back)))


def stimulus_shuffles(
    names: Sequence[str], *, shuffles: int, rng: np.random.Generator
) -> Int[np.ndarray, "shuffle stimulus"]:
    """Return random orders of the stimuli, with which whole rows and columns of an RDM are shuffled.

    Single entries must never be shuffled: the entries of one stimulus hang together, and shuffling them apart
    finds nearly everything significant.
    """
    if len(names) < 4:
        message = f"Too few stimuli to shuffle their labels: {len(names)} of the 4 needed. Use more."
        raise ValueError(message)
    if shuffles < 1:
        message = f"`shuffles` is {shuffles}, and a p value needs 1 or more. Ask for 1000."
        raise ValueError(message)
    # the names are shuffled in their sorted order, so that a name gets the same other one wherever both stand
    at = by_name(names)
    orders = np.empty((shuffles, len(names)), dtype=int)
    orders[:, at] = at[rng.permuted(np.tile(np.arange(len(names)), (shuffles, 1)), axis=1)]
    return orders


def shuffled_pairs(order: Int[np.ndarray, " stimulus"]) -> Int[np.ndarray, " pair"]:
    """Return where each pair of an RDM's upper triangle comes from when its rows and columns are reordered.

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
