"""Groups of participants compared (patients and controls, two ages): similarity curves, and where networks peak."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from rsa_face.inference.ceiling import ceiling_of, percentile_interval
from rsa_face.inference.comparisons import comparable, compare_vectors
from rsa_face.inference.draws import evaluate_draws
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import half_way_depth
from rsa_face.inference.permutation import FEWEST_SHUFFLES
from rsa_face.inference.resampling import AUTO, Draws, choose_groups, draw_resamples, hashed_order
from rsa_face.inference.statistics import (
    bootstrap_variance,
    degrees_of_freedom,
    maximum_p,
    permutation_p,
    t_interval,
)
from rsa_face.memory import bytes_of
from rsa_face.provenance import rng_from
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    COMPARISONS,
    DEPTH,
    NETWORK,
    OF_NETWORK,
    PARTICIPANT,
    PEOPLE,
    RDM,
    coords_along,
    must_be_known,
    origin_of,
)

FEWEST_IN_GROUP = 3
_PLACES = ("half_way_depth", "peak_depth")


def contrast_groups(
    rdms: xr.DataArray,
    human: xr.DataArray,
    factor: str,
    *,
    people: Sequence[str] | None = None,
    comparison: str = "rho-a",
    shuffles: int = 1000,
    draws: int = 1000,
    seed: int = 0,
    groups: str | None = AUTO,
    confidence: float = 0.95,
    memory: float = 2.0,
    progress: bool = False,
) -> xr.Dataset:
    """Compare two groups of participants: how similar layers are to each, and where networks are most similar.

    The test moves participants between the groups at random, so that it holds for these stimuli whatever the
    distribution of similarities; each layer's difference is divided by its standard error (Welch), which keeps the
    test right where the groups differ in spread (Janssen 1997, 10.1016/S0167-7152(97)00043-6), and the corrected p
    value is by the largest over layers. Intervals draw the participants of each group, and the stimuli, the same for
    both groups, so that they hold for other people and other stimuli (the dual bootstrap of `RSA.bootstrap`).

    A group whose members agree less with one another is less similar to every layer, without any layer being wrong
    about it: compare the noise ceilings, and `share_of_ceiling`, before a difference is taken for one of
    representation.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of both groups, over the same stimuli. Not changed.
    factor : str
        The coordinate along `participant` that says who belongs to which group, as ``layout={"participants": table}``
        reads it.
    people : sequence of str, optional
        The two groups, the second subtracted from the first. If not given, those of the factor, which then has two
        values; they are taken in alphabetical order.
    comparison : str
        As in `compare_layers`.
    shuffles : int
        How many times participants change groups; every way of dividing them, where there are no more than these.
    draws : int
        How many draws.
    seed : int
        The study's seed.
    groups : str, optional
        What *stimuli* are drawn by, as in `RSA`.
    confidence : float
        Of the intervals, between 0 and 1.
    memory : float
        GiB to use at most.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset, dims (people, rdm), (rdm,), (rdm, bound) and (of_network,)
        `similarity` and `similarity_interval` of each group; `difference`, its `difference_interval`,
        `p_difference` (two-sided, by permutation) and `p_difference_corrected` of each layer; `noise_ceiling`
        (people, bound), `share_of_ceiling` (people, rdm; of the lower bound, NaN where that is not above 0),
        `share_difference` and its percentile interval.
        For each network, `half_way_depth` and `peak_depth` (people, of_network) of the mean curve, and of both the
        difference, its percentile interval and permutation p. `participants` of each group.

    Raises
    ------
    ValueError
        If there is no such factor, a group has fewer than three participants, or as in `RSA`.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> human = demo.human.assign_coords(age=("participant", ["young", "old"] * 10))
    >>> result = contrast_groups(models, human, "age", people=("young", "old"), shuffles=99, draws=50)
    >>> result["difference"].dims, result.sizes["people"]
    (('rdm',), 2)
    >>> bool((result["p_difference_corrected"] >= 0.05).all())  # the ages were made up
    True
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    rdms, human = comparable(rdms, human)
    names = two_groups(human, factor, people)
    values = np.asarray(human[factor].values, dtype=str)
    human = human.isel({PARTICIPANT: np.flatnonzero(np.isin(values, names))})
    first = np.asarray(human[factor].values, dtype=str) == names[0]
    layers, vectors = to_vectors(rdms.values), to_vectors(human.values)
    each = compare_vectors(comparison, layers, vectors)
    curves = _curves(each, first)
    ceilings = np.stack([ceiling_of(vectors[rows], comparison) for rows in (first, ~first)])
    groups = choose_groups(human, groups)
    drawn = _drawn(rdms, human, first, comparison=comparison, draws=draws, seed=seed,
                   groups=groups, memory=memory, progress=progress)  # fmt: skip
    orders, exhaustive = _divisions(first, [str(name) for name in human[PARTICIPANT].values], shuffles, seed)
    table = xr.Dataset(
        {
            **_of_curves(each, first, curves, drawn, orders, confidence),
            **_of_shares(curves, ceilings, drawn, confidence),
            **_of_places(rdms, each, first, drawn, orders, confidence),
            "participants": (PEOPLE, [int(first.sum()), int((~first).sum())]),
        },
        coords={**coords_along(rdms, RDM), PEOPLE: list(names), BOUND: list(BOUNDS)},
    )
    if NETWORK in rdms.coords:
        table = table.assign_coords({OF_NETWORK: _networks(rdms)})
    table.attrs = {
        "factor": factor,
        "comparison": comparison,
        "groups": groups,
        "shuffles": len(orders),
        "exhaustive": exhaustive,
        "draws": draws,
        "seed": seed,
        "confidence": confidence,
        "interval_kind": "t, dual bootstrap; of shares and depths percentile",
        **origin_of(rdms.attrs),
        "simulated": bool(rdms.attrs.get("simulated", False) or human.attrs.get("simulated", False)),
    }
    return table


def two_groups(human: xr.DataArray, factor: str, people: Sequence[str] | None) -> tuple[str, str]:
    """Return the names of the two groups to compare; refuse what makes no two groups of enough participants."""
    known = [name for name in coords_along(human, PARTICIPANT) if name != PARTICIPANT]
    must_be_known(factor, known, "factor of participants")
    values, counts = np.unique(np.asarray(human[factor].values, dtype=str), return_counts=True)
    names = [str(name) for name in (values if people is None else people)]
    if len(set(names)) != 2 or len(names) != 2:
        message = f"{factor!r} has the groups {names}, and two are compared. Name them: people=(first, second)."
        raise ValueError(message)
    for name in names:
        must_be_known(name, values.tolist(), f"group of {factor!r}")
    few = {name: int(counts[values.tolist().index(name)]) for name in names}
    if min(few.values()) < FEWEST_IN_GROUP:
        message = f"Too few participants to compare groups: {few}, and each needs {FEWEST_IN_GROUP}. Use more."
        raise ValueError(message)
    return names[0], names[1]


def _networks(rdms: xr.DataArray) -> list[str]:
    return list(dict.fromkeys(map(str, rdms[NETWORK].values)))


def _curves(each: Float[np.ndarray, "rdm participant"], first: Bool[np.ndarray, " participant"]) -> Any:
    """Return the mean similarity of each layer to the first and to the second group, shape (people, rdm)."""
    return np.stack([np.nanmean(each[:, rows], axis=1) for rows in (first, ~first)])


def _welch(each: Float[np.ndarray, "rdm participant"], first: Bool[np.ndarray, " participant"]) -> Any:
    """Return the difference of the groups' means over its standard error, for each layer."""
    parts = [each[:, rows] for rows in (first, ~first)]
    variance = sum(np.nanvar(part, axis=1, ddof=1) / (~np.isnan(part)).sum(axis=1) for part in parts)
    difference = np.nanmean(parts[0], axis=1) - np.nanmean(parts[1], axis=1)
    return difference / np.sqrt(np.maximum(variance, np.finfo(float).tiny))


def _divisions(
    first: Bool[np.ndarray, " participant"], names: list[str], shuffles: int, seed: int
) -> tuple[Bool[np.ndarray, "shuffle participant"], bool]:
    """Return other ways of dividing participants into groups of these sizes, all of them where they are few."""
    count, size = first.size, int(first.sum())
    different = comb(count, size)
    if different < FEWEST_SHUFFLES or shuffles < 1:
        message = (
            f"Too few shuffles for a p value: {shuffles} asked for, and groups of {size} and {count - size} can be "
            f"divided in {different} ways; {FEWEST_SHUFFLES} are needed for p = .05. Use more participants."
        )
        raise ValueError(message)
    at = hashed_order(names)  # a division then falls on the same people in whatever order they stand
    if different - 1 <= shuffles:
        orders = np.zeros((different, count), dtype=bool)
        for row, members in enumerate(combinations(range(count), size)):
            orders[row, list(members)] = True
        return orders[(orders != first).any(axis=1)], True
    rng = rng_from(seed, "people")
    orders = np.zeros((shuffles, count), dtype=bool)
    for order in orders:
        order[at[rng.permutation(count)[:size]]] = True
    return orders, False


def _drawn(
    rdms: xr.DataArray,
    human: xr.DataArray,
    first: Bool[np.ndarray, " participant"],
    *,
    comparison: str,
    draws: int,
    seed: int,
    groups: str | None,
    memory: float,
    progress: bool,
) -> list[Any]:
    """Return what the draws give for each group; the stimuli of a draw are the same in both."""
    evaluated: list[Any] = []
    shared: Draws | None = None
    for place, rows in enumerate((first, ~first)):
        some = human.isel({PARTICIPANT: np.flatnonzero(rows)})
        rng = rng_from(seed, f"bootstrap of group {place}")
        drawn = draw_resamples(some, resample="dual", draws=draws, rng=rng, groups=groups)
        shared = shared or drawn
        drawn = replace(drawn, stimuli=shared.stimuli, usable=shared.usable)
        vectors = to_vectors(rdms.values), to_vectors(some.values)
        values = evaluate_draws(*vectors, drawn, comparison=comparison, memory=bytes_of(memory), progress=progress)
        evaluated.append((values, drawn.units))
    return evaluated


def _of_curves(
    each: Float[np.ndarray, "rdm participant"],
    first: Bool[np.ndarray, " participant"],
    curves: Float[np.ndarray, "people rdm"],
    drawn: list[Any],
    orders: Bool[np.ndarray, "shuffle participant"],
    confidence: float,
) -> dict[str, Any]:
    units = [pair for _, pair in drawn]
    smallest = (units[0][0], min(pair[1] for pair in units))
    spans = [
        t_interval(curve, bootstrap_variance(values.similarity, pair, "dual"), degrees_of_freedom(pair, "dual"),
                   confidence)
        for curve, (values, pair) in zip(curves, drawn, strict=True)
    ]  # fmt: skip
    difference = curves[0] - curves[1]
    variance = bootstrap_variance(drawn[0][0].similarity - drawn[1][0].similarity, smallest, "dual")
    null = np.stack([np.abs(_welch(each, order)) for order in orders])
    observed = np.abs(_welch(each, first))
    return {
        "similarity": ((PEOPLE, RDM), curves),
        "similarity_interval": ((PEOPLE, RDM, BOUND), np.stack(spans)),
        "difference": (RDM, difference),
        "difference_error": (RDM, np.sqrt(variance)),
        "difference_interval": (
            (RDM, BOUND),
            t_interval(difference, variance, degrees_of_freedom(smallest, "dual"), confidence),
        ),
        "p_difference": (RDM, permutation_p(observed, null)),
        "p_difference_corrected": (RDM, maximum_p(observed, null)),
    }


def _of_shares(
    curves: Float[np.ndarray, "people rdm"],
    ceilings: Float[np.ndarray, "people bound"],
    drawn: list[Any],
    confidence: float,
) -> dict[str, Any]:
    """Return which share of its group's lower noise ceiling each layer reaches, and how the shares differ."""
    lower = np.where(ceilings[:, :1] > 0, ceilings[:, :1], np.nan)
    parts = [values.similarity[0] / values.ceiling[0][:, :1] for values, _ in drawn]
    known = np.all([np.isfinite(part).all(axis=1) for part in parts], axis=0)
    shares = curves / lower
    return {
        "noise_ceiling": ((PEOPLE, BOUND), ceilings),
        "share_of_ceiling": ((PEOPLE, RDM), shares),
        "share_difference": (RDM, shares[0] - shares[1]),
        "share_difference_interval": (
            (RDM, BOUND),
            percentile_interval((parts[0] - parts[1])[known], confidence),
        ),
    }


def _of_places(
    rdms: xr.DataArray,
    each: Float[np.ndarray, "rdm participant"],
    first: Bool[np.ndarray, " participant"],
    drawn: list[Any],
    orders: Bool[np.ndarray, "shuffle participant"],
    confidence: float,
) -> dict[str, Any]:
    """Return where the mean curve of each network turns and peaks in each group, and how the places differ."""
    if NETWORK not in rdms.coords or DEPTH not in rdms.coords:
        return {}
    depth, network = np.asarray(rdms[DEPTH].values, dtype=float), np.asarray(rdms[NETWORK].values, dtype=str)
    rows = {name: np.flatnonzero(network == name) for name in _networks(rdms)}
    rows = {name: at[np.argsort(depth[at], kind="stable")] for name, at in rows.items()}

    def places(curves: Float[np.ndarray, "draw rdm"], at: Any) -> Float[np.ndarray, "place draw"]:
        return np.stack([half_way_depth(curves[:, at], depth[at]), depth[at][np.argmax(curves[:, at], axis=1)]])

    made: dict[str, list[Any]] = {name: [] for name in ("value", "span", "p")}
    shuffled = np.stack([_curves(each, order) for order in orders])
    # a draw that one group has no answer to, for pairs that its members did not judge, has no difference
    known = np.all([np.isfinite(values.similarity[0]).all(axis=1) for values, _ in drawn], axis=0)
    for at in rows.values():
        value = places(_curves(each, first), at)
        null = places(shuffled[:, 0], at) - places(shuffled[:, 1], at)
        both = [places(values.similarity[0][known], at) for values, _ in drawn]
        spans = [percentile_interval((one - other)[:, None], confidence)[0] for one, other in zip(*both, strict=True)]
        made["value"].append(value)
        made["span"].append(np.stack(spans))
        made["p"].append(permutation_p(np.abs(value[:, 0] - value[:, 1]), np.abs(null).T))
    of_groups, intervals, p = (np.stack(made[name]) for name in ("value", "span", "p"))
    columns: dict[str, Any] = {}
    for place, name in enumerate(_PLACES):
        columns[name] = ((PEOPLE, OF_NETWORK), of_groups[:, place].T)
        columns[f"{name}_difference"] = (OF_NETWORK, of_groups[:, place, 0] - of_groups[:, place, 1])
        columns[f"{name}_difference_interval"] = ((OF_NETWORK, BOUND), intervals[:, place])
        columns[f"p_{name}_difference"] = (OF_NETWORK, p[:, place])
    return columns
