"""What a layer shares with people besides controls: partial similarity, unique variance, reweighted layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, check_people, comparable, compare_vectors
from rsa_face.inference.draws import Answers, Engine, mean_over, processors, run_draws
from rsa_face.inference.kernels import Sorted, double_ranks, pair_weights, sort_once, stimuli_of, to_vectors
from rsa_face.inference.resampling import (
    AUTO,
    Deletions,
    Draws,
    by_name,
    choose_groups,
    group_members,
    jackknife_rows,
    sampling_error,
    unit_names,
)
from rsa_face.inference.statistics import bootstrap_variance, degrees_of_freedom, t_interval
from rsa_face.provenance import rng_from
from rsa_face.safety import first_of
from rsa_face.schema import (
    COMPARISONS,
    PARTICIPANT,
    RDM,
    STIMULUS,
    STIMULUS_I,
    UNSIGNED,
    check_rdms,
    coords_along,
    must_be_known,
    stimulus_ids,
)

METHODS = ("corr", "spearman", "rho-a")
_ROUNDING = 1e-10

_FEW_FEATURES = 50  # a stimulus: fewer than that fit in memory as they are
_TOGETHER = 2**16  # features that are decomposed at a time


def partial_similarity(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    *,
    method: str,
    stimuli: Int[np.ndarray, " stimulus"] | None = None,
) -> Float[np.ndarray, "rdm participant"]:
    """Return the partial correlation of each layer with each participant."""
    drawn = np.ones(stimuli_of(layers.shape[1]), dtype=int) if stimuli is None else stimuli
    return _compare_ready(_ready(layers, people, controls, method), drawn)


@dataclass(frozen=True, eq=False)
class _Ready:
    """Layers, people and controls, one above the other, and where they are ranked sorted once for all draws."""

    values: Float[np.ndarray, "all pair"]
    once: Sorted | None
    judged: Bool[np.ndarray, "participant pair"]
    layers: int
    controls: int
    method: str


def _ready(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    method: str,
) -> _Ready:
    values = np.concatenate([layers, controls, people])
    once = None if method == "corr" else sort_once(values)
    return _Ready(values, once, ~np.isnan(people), len(layers), len(controls), method)


def _compare_ready(ready: _Ready, stimuli: Int[np.ndarray, " stimulus"]) -> Float[np.ndarray, "rdm participant"]:
    weights = pair_weights(stimuli)
    similarity = np.full((ready.layers, len(ready.judged)), np.nan)
    given = ready.layers + ready.controls
    for members, judged in alike(ready.judged):
        shared = weights * judged
        if np.count_nonzero(shared) < FEWEST_PAIRS + ready.controls:
            continue
        chosen, total = _centred(ready, np.concatenate([np.arange(given), given + members]), shared)
        x, z, y = chosen[: ready.layers], chosen[ready.layers : given], chosen[given:]
        similarity[:, members] = _given(x, y, z, total, untied=ready.method == "rho-a")
    return similarity


def partial_draws(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    drawn: Draws,
    *,
    method: str,
) -> Float[np.ndarray, "kind draw rdm"]:
    """Return the mean partial correlation of each layer in every draw."""
    ready = _ready(layers, people, controls, method)

    def evaluate(stimuli: Int[np.ndarray, "draw stimulus"]) -> Answers:
        without_ceiling = lambda times: np.full((len(times), 2), np.nan)  # noqa: E731
        return Answers.of(_compare_ready(ready, stimuli[0]), without_ceiling)

    engine = Engine(drawn.alike, 1, processors(), evaluate, np.asarray, np.asarray)
    return run_draws(engine, drawn, len(layers)).similarity


def _centred(
    ready: _Ready, rows: Int[np.ndarray, " chosen"], weights: Float[np.ndarray, " pair"]
) -> tuple[Float[np.ndarray, "chosen kept"], float]:
    inside: Bool[np.ndarray, " pair"] = weights > 0
    if ready.once is None:
        values, heavy = ready.values[rows][:, inside], weights[inside]
    else:
        ranks, counts = double_ranks(Sorted(ready.once.order[rows], ready.once.tied[rows]), weights)
        values, heavy = ranks / 2, counts.astype(float)
    # weighted means off, then the root of the weights on: plain products are weighted ones from here on
    values = values - (values @ heavy / heavy.sum())[:, None]
    return values * np.sqrt(heavy), float(heavy.sum())


def _given(
    x: Float[np.ndarray, "rdm kept"],
    y: Float[np.ndarray, "participant kept"],
    z: Float[np.ndarray, "control kept"],
    total: float,
    *,
    untied: bool,
) -> Float[np.ndarray, "rdm participant"]:
    # an orthonormal basis of the controls: what lies in it is what they explain
    basis = _basis(z)
    on_x, on_y = x @ basis.T, y @ basis.T
    left_x, left_y = x - on_x @ basis, y - on_y @ basis
    whole_x, whole_y = ((values**2).sum(axis=1) for values in (x, y))
    if untied:
        # the variance that ranks without ties have, less what the controls take of it
        full = (total**3 - total) / 12
        of_x, of_y = full - (on_x**2).sum(axis=1), full - (on_y**2).sum(axis=1)
    else:
        of_x, of_y = (left_x**2).sum(axis=1), (left_y**2).sum(axis=1)
    # a residual of rounding alone has no direction, and is no relation to anything
    nothing_x = (left_x**2).sum(axis=1) <= _ROUNDING * whole_x
    nothing_y = (left_y**2).sum(axis=1) <= _ROUNDING * whole_y
    norms = np.sqrt(np.maximum(of_x, 0.0))[:, None] * np.sqrt(np.maximum(of_y, 0.0))[None, :]
    norms[nothing_x[:, None] | nothing_y[None, :]] = 0.0
    between = left_x @ left_y.T
    return np.asarray(np.divide(between, norms, out=np.zeros_like(between), where=norms > 0), dtype=float)


def _basis(z: Float[np.ndarray, "control kept"]) -> Float[np.ndarray, "basis kept"]:
    length = np.linalg.norm(z, axis=1, keepdims=True)
    scaled = np.divide(z, length, out=np.zeros_like(z), where=length > 0)
    _, values, directions = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(directions[values > np.sqrt(_ROUNDING)], dtype=float)


def partial_interval(
    mean: Float[np.ndarray, " rdm"],
    draws: Float[np.ndarray, "kind draw rdm"],
    drawn: Draws,
    left: tuple[Deletions, Float[np.ndarray, "deletion rdm"]] | None,
    *,
    confidence: float,
) -> Float[np.ndarray, "rdm 2"]:
    """Return the intervals of partial similarities, as those of the raw ones are made."""
    if drawn.resample != "dual":
        return np.asarray(percentile_interval(draws[0], confidence))
    if left is None:
        variances = bootstrap_variance(draws, drawn.units, drawn.resample)
        return t_interval(mean, variances, degrees_of_freedom(drawn.units, drawn.resample), confidence)
    deletions, without = left
    return t_interval(mean, *sampling_error(*jackknife_rows(without, deletions), drawn.units), confidence)


SET = "set"
FEWEST_IN_FOLD = 4
Fold = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]


def partition_variance(
    sets: Mapping[str, Sequence[str]],
    *,
    rdms: xr.DataArray,
    human: xr.DataArray,
    folds: tuple[int, int] = (3, 5),
    seed: int = 0,
    groups: str | None = AUTO,
) -> xr.Dataset:
    """Split the explained variance of people's judgements among sets of layers.

    Layers of a set are summed with weights that are 0 or more, learnt on some stimuli and participants and tested on
    others; otherwise the set with the most layers would seem to explain the most.

    Non-negative least squares as in Khaligh-Razavi & Kriegeskorte 2014, 10.1371/journal.pcbi.1003915, and Jozwik,
    Kriegeskorte & Mur 2016, 10.1016/j.neuropsychologia.2015.10.023; each participant's judgements are brought to mean
    0 and variance 1.
    """
    rdms, human = comparable(rdms, human)
    columns = _columns_of(sets, rdms)
    groups = choose_groups(human, groups)
    parts = folds_of(human, folds=folds, seed=seed, groups=groups)
    names = list(sets)
    everything = np.unique(np.concatenate(list(columns.values())))
    layers, people = np.asarray(rdms.values, dtype=float), _standardised(np.asarray(human.values, dtype=float))

    def explained(chosen: Int[np.ndarray, " layer"]) -> Float[np.ndarray, " participant"]:
        return explained_variance(layers[chosen], people, parts)

    total = explained(everything)
    alone = np.stack([explained(columns[name]) for name in names])
    others = [np.concatenate([columns[other] for other in names if other != name]) for name in names]
    without = np.stack([explained(np.unique(chosen)) for chosen in others])
    unique = total[None] - without
    return xr.Dataset(
        {
            "explained": ((SET, PARTICIPANT), alone),
            "unique": ((SET, PARTICIPANT), unique),
            "total": (PARTICIPANT, total),
            "shared": (PARTICIPANT, total - unique.sum(axis=0)),
        },
        coords={SET: names, PARTICIPANT: human[PARTICIPANT].values},
        attrs={
            "folds": list(folds),
            "seed": seed,
            "groups": groups,
            "simulated": bool(human.attrs.get("simulated", False)),
        },
    )


def explained_variance(
    layers: Float[np.ndarray, "layer stimulus stimulus"],
    people: Float[np.ndarray, "participant stimulus stimulus"],
    parts: Sequence[tuple[Fold, Fold]],
) -> Float[np.ndarray, " participant"]:
    """Return the share of each participant's variance that a sum of layers explains where it was not fitted."""
    errors, deviations = np.zeros(people.shape[0]), np.zeros(people.shape[0])
    for (fit, out), (some, others) in parts:
        # weights are learnt from the mean of some people on some stimuli, and tested on the others of both
        target = _mean_of(_pairs(people[some], fit))
        known = ~np.isnan(target)
        model = LinearRegression(positive=True).fit(_pairs(layers, fit)[:, known].T, target[known])
        guess = model.predict(_pairs(layers, out).T)
        for person in others:
            judgements = _pairs(people[[person]], out)[0]
            judged = ~np.isnan(judgements)
            if judged.any():
                errors[person] += ((judgements - guess)[judged] ** 2).sum()
                deviations[person] += ((judgements[judged] - judgements[judged].mean()) ** 2).sum()
    share = np.divide(errors, deviations, out=np.full(errors.size, np.nan), where=deviations > 0)
    return np.asarray(1 - share, dtype=float)


def reweight_layer(
    activations: xr.DataArray | Mapping[str, xr.DataArray],
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    components: int = 20,
    folds: tuple[int, int] = (3, 5),
    seed: int = 0,
    groups: str | None = AUTO,
    picked: Sequence[str] = (),
) -> xr.Dataset:
    """Weigh one layer's features so that it is most like people, and test that on other stimuli and participants.

    A layer may hold what people use and much besides; equal weights for all features hide it. Both are evaluated on
    the same pairs, those of the left-out stimuli: compare `reweighted` with `raw`, not with the layer's similarity
    over all pairs, among which fewer are of one group.

    Squared differences along each component, weighed by non-negative least squares. Kaniuth & Hebart 2022,
    10.1016/j.neuroimage.2022.119294; Khaligh-Razavi & Kriegeskorte 2014, 10.1371/journal.pcbi.1003915.
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    check_people(check_rdms(human, along=PARTICIPANT, name="Human RDMs"))
    layers = activations if isinstance(activations, Mapping) else {"": activations}
    features = {name: _features_of(layer, human, components) for name, layer in layers.items()}
    human = _with_factors(human, next(iter(layers.values())))
    groups = choose_groups(human, groups)
    parts = folds_of(human, folds=folds, seed=seed, groups=groups)
    names = list(picked) or [""] * len(parts)
    people = np.asarray(human.values, dtype=float)
    scaled = _standardised(people)
    similarity = np.full((2, len(parts), people.shape[0]), np.nan)
    for place, ((fit, out), (some, others)) in enumerate(parts):
        target = _mean_of(_pairs(scaled[some], fit))
        guesses = np.stack(reweighted(features[names[place]], target, fit, out, components=components))
        similarity[:, place, others] = compare_vectors(comparison, guesses, _pairs(people[others], out))
    weighed, raw = (mean_over(values.T, np.ones(len(parts))) for values in similarity)
    return xr.Dataset(
        {"reweighted": (PARTICIPANT, weighed), "raw": (PARTICIPANT, raw)},
        coords={PARTICIPANT: human[PARTICIPANT].values},
        attrs={
            "comparison": comparison,
            "components": components,
            "folds": list(folds),
            "seed": seed,
            "groups": groups,
            "picked": list(picked),
            "simulated": bool(human.attrs.get("simulated", False)),
        },
    )


def pick_in_folds(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    folds: tuple[int, int] = (3, 5),
    seed: int = 0,
    groups: str | None = AUTO,
) -> list[str]:
    """Return, for each division of `reweight_layer`, the layer most like people on what is not left out."""
    must_be_known(comparison, COMPARISONS, "comparison")
    rdms, human = comparable(rdms, human)
    layers, people = np.asarray(rdms.values, dtype=float), np.asarray(human.values, dtype=float)
    names = []
    for (fit, _), (some, _) in folds_of(human, folds=folds, seed=seed, groups=choose_groups(human, groups)):
        similarity = compare_vectors(comparison, _pairs(layers, fit), _pairs(people[some], fit))
        best = int(np.argmax(mean_over(similarity, np.ones(similarity.shape[1]))))
        names.append(str(rdms[RDM].values[best]))
    return names


def reweighted(
    features: Float[np.ndarray, "stimulus feature"],
    target: Float[np.ndarray, " pair"],
    fit: Int[np.ndarray, " some"],
    out: Int[np.ndarray, " others"],
    *,
    components: int,
) -> tuple[Float[np.ndarray, " other_pair"], Float[np.ndarray, " other_pair"]]:
    """Return the dissimilarities of left-out stimuli, by learnt and by equal weights."""
    # pairs of the left-out stimuli among themselves: pairs across would show the fit half of what it learnt
    raw = np.asarray(pdist(features[out], "sqeuclidean"))  # pairs in the order of the RDM's vector
    if features.shape[1] > components:
        # n stimuli in n - 1 dimensions can be weighed so that all are equally far apart: with an intercept beside
        # them the weights would have no bounds, and rounding alone would decide
        basis = PCA(n_components=min(components, fit.size - 2), svd_solver="full").fit(features[fit])
        features = basis.transform(features)
    known = ~np.isnan(target)
    model = LinearRegression(positive=True)
    # squared differences add up over components, so that a weight for each makes a weighted distance
    model.fit(squared_differences(features[fit])[known], target[known])
    return np.asarray(squared_differences(features[out]) @ model.coef_, dtype=float), raw


def squared_differences(scores: Float[np.ndarray, "stimulus component"]) -> Float[np.ndarray, "pair component"]:
    """Return the squared difference of each pair of stimuli along each component."""
    rows, columns = np.triu_indices(scores.shape[0], 1)
    return np.asarray((scores[rows] - scores[columns]) ** 2, dtype=float)


def _pairs(
    squares: Float[np.ndarray, "rdm stimulus stimulus"], stimuli: Int[np.ndarray, " some"]
) -> Float[np.ndarray, "rdm pair"]:
    return np.asarray(to_vectors(squares[np.ix_(np.arange(squares.shape[0]), stimuli, stimuli)]))


def _mean_of(people: Float[np.ndarray, "participant pair"]) -> Float[np.ndarray, " pair"]:
    return np.asarray(mean_over(people.T, np.ones(people.shape[0])))


def _standardised(
    people: Float[np.ndarray, "participant stimulus stimulus"],
) -> Float[np.ndarray, "participant stimulus stimulus"]:
    vectors = to_vectors(people)
    mean, spread = np.nanmean(vectors, axis=1), np.nanstd(vectors, axis=1)
    return np.asarray((people - mean[:, None, None]) / spread[:, None, None], dtype=float)


def folds_of(
    human: xr.DataArray, *, folds: tuple[int, int], seed: int, groups: str | None
) -> list[tuple[Fold, Fold]]:
    """Return the stimuli and participants to fit on and to leave out, for each division; groups stay together."""
    faults = faults_of_folds(human, folds=folds, groups=groups)
    if faults:
        message = f"Too few stimuli or participants to leave some out: {' and '.join(faults)}. Ask for fewer folds."
        raise ValueError(message)
    of_stimuli, of_people = folds
    seeds = rng_from(seed, "folds").integers(0, 2**31, 2)
    # units are divided in the order of their names, so that the same ones meet in a fold wherever they stand
    of_units, of_persons = (by_name(names) for names in unit_names(human, groups))
    members = group_members(human, groups)[of_units]
    divided = KFold(of_people, shuffle=True, random_state=int(seeds[1])).split(of_persons)
    people = [(np.sort(of_persons[some]), np.sort(of_persons[others])) for some, others in divided]
    split = KFold(of_stimuli, shuffle=True, random_state=int(seeds[0])).split(members)
    return [
        ((np.flatnonzero(members[fit].any(axis=0)), np.flatnonzero(members[out].any(axis=0))), persons)
        for fit, out in split
        for persons in people
    ]


def faults_of_folds(human: xr.DataArray, *, folds: tuple[int, int], groups: str | None) -> list[str]:
    """Return what keeps stimuli and participants from being divided."""
    of_stimuli, of_people = folds
    members, participants = group_members(human, groups), human.sizes[PARTICIPANT]
    count, what = len(members), "stimuli" if groups is None else f"groups of {groups!r}"
    smallest = int(np.sort(members.sum(axis=1))[: max(1, count // max(1, of_stimuli))].sum())  # of the worst fold
    faults = []
    if of_stimuli < 2 or count < of_stimuli or smallest < FEWEST_IN_FOLD:
        faults.append(f"{count} {what} do not make {of_stimuli} folds of {FEWEST_IN_FOLD} stimuli or more")
    if human.attrs.get(UNSIGNED):
        faults.append("mean ratings have no participants to leave out")
    elif of_people < 2 or participants < of_people:
        faults.append(f"{participants} participants do not make {of_people} folds")
    return faults


def _with_factors(human: xr.DataArray, activations: xr.DataArray) -> xr.DataArray:
    """Add the factors of the stimuli that the activations know and the human RDMs do not."""
    have = [str(value) for value in activations[STIMULUS].values]
    order = [have.index(stimulus) for stimulus in stimulus_ids(human)]
    factors = {n: v for n, v in coords_along(activations, STIMULUS).items() if n not in (STIMULUS, *human.coords)}
    return human.assign_coords({name: (STIMULUS_I, value.values[order]) for name, value in factors.items()})


def _columns_of(sets: Mapping[str, Sequence[str]], rdms: xr.DataArray) -> dict[str, Int[np.ndarray, " _"]]:
    place = {str(name): index for index, name in enumerate(rdms[RDM].values)}
    faults = [f"{name!r} names no layer" for name, members in sets.items() if not members]
    faults += [
        f"{name!r} names {first_of(unknown)}, which are not among the RDMs"
        for name, members in sets.items()
        if (unknown := sorted(set(members) - set(place)))
    ]
    if len(sets) < 2:
        faults.append(f"there is only {list(sets)}")
    if faults:
        message = f"Cannot split the variance: {first_of(faults, '; ')}. Name two sets of layers or more."
        raise ValueError(message)
    return {name: np.array([place[member] for member in members]) for name, members in sets.items()}


def _features_of(
    activations: xr.DataArray, human: xr.DataArray, components: int
) -> Float[np.ndarray, "stimulus feature"]:
    have = [str(value) for value in activations[STIMULUS].values]
    want = stimulus_ids(human)
    if sorted(have) != sorted(want):
        lacks, more = sorted(set(want) - set(have)), sorted(set(have) - set(want))
        message = (
            f"Activations and judgements are of different stimuli: the activations lack {first_of(lacks)} and have "
            f"{first_of(more)} besides. Select the shared stimuli first."
        )
        raise ValueError(message)
    ordered = activations.transpose(STIMULUS, ...).isel({STIMULUS: [have.index(stimulus) for stimulus in want]})
    values = np.asarray(ordered.values).reshape(len(want), -1)
    # without principal components the features themselves are weighed, not coordinates of them
    return _same_distances(values) if len(want) > components else np.asarray(values, dtype=float)


def _same_distances(features: Float[np.ndarray, "stimulus feature"]) -> Float[np.ndarray, "stimulus coordinate"]:
    """Return as many coordinates as stimuli, with the same distances: the triangle of a QR decomposition.

    Principal components and distances stay what they are, and millions of features of an early layer never stand
    side by side with their squares. Few features are returned as they are.
    """
    stimuli, count = features.shape
    if count <= _FEW_FEATURES * stimuli:
        return np.asarray(features, dtype=float)
    triangle = np.zeros((0, stimuli))
    for start in range(0, count, _TOGETHER):
        block = np.asarray(features[:, start : start + _TOGETHER].T, dtype=float)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"), dtype=float)
    return np.asarray(triangle.T)
