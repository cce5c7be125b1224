"""Could the design tell layers apart: people are simulated after each layer in turn, and the picks counted."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.optimize import brentq
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, compare_vectors, faults_of_layers
from rsa_face.inference.draws import mean_over, processors
from rsa_face.inference.kernels import compiled, double_ranks, pairs_of, sort_once, to_vectors
from rsa_face.inference.localization import NONE, PEAK, TARGET
from rsa_face.inference.resampling import AUTO, by_name, choose_groups
from rsa_face.inference.rsa import RSA
from rsa_face.inference.statistics import wilson_interval
from rsa_face.inference.variance import faults_of_folds, folds_of, squared_differences
from rsa_face.provenance import rng_from
from rsa_face.safety import first_of, must_be_a
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    COMPARISONS,
    DEPTH,
    LAYER,
    NETWORK,
    ORDER,
    PARTICIPANT,
    RDM,
    STIMULUS_I,
    STIMULUS_J,
    Comparison,
    check_rdms,
    coords_along,
    factors_of,
    must_be_known,
    origin_of,
)

TRUE, PICKED, FIT = "true", "picked", "fit"
RAW, LEFT_OUT, REWEIGHTED = "raw", "raw, left-out stimuli", "reweighted"
FITS = (RAW, LEFT_OUT, REWEIGHTED)
NOISES = ("auto", "pairs", "people")

FOLDS = (3, 2)
"""Into how many parts stimuli and people are divided where weights are fitted: half of the people fit, half test."""

# People whose agreement sets the size of the noise. Few pairs, and people who stray together, say less of it each;
# fewer people where all pairs of them must be compared one by one.
_CALIBRATORS, _CALIBRATING_PAIRS, _CALIBRATORS_BY_PAIRS = (100, 400), 150_000, 40
_TOGETHER = 2**22  # numbers that are simulated at a time
_TIE = 1e-12  # similarities that differ by less are equal: copies of a layer share a pick
_SWEEPS, _STILL = (
    1000,
    1e-7,
)  # of coordinate descent: at most so many, until no weight moves by this part of the largest


@dataclass(frozen=True, eq=False)
class Population:
    """Whom people are simulated after.

    Parameters
    ----------
    names : list of str
        The people of one simulated study.
    judged : array of bool, shape (participant, pair)
        Which pairs each of them judges.
    agreement : float
        How similar two of them are on average.
    residuals : array, shape (observed, pair), or None
        How each observed participant strays from their mean, on the scale of unit variance; None for noise that is
        independent from pair to pair.
    """

    names: list[str]
    judged: Bool[np.ndarray, "participant pair"]
    agreement: float
    residuals: Float[np.ndarray, "observed pair"] | None

    def noise(self, rng: np.random.Generator, people: int) -> Float[np.ndarray, "person pair"]:
        """Return how so many people stray from what all see, with unit variance over pairs and people."""
        if self.residuals is None:
            return rng.standard_normal((people, self.judged.shape[1]))
        # random sums of what was observed have its covariance, between pairs that share a stimulus or an identity
        return np.asarray(rng.standard_normal((people, len(self.residuals))) @ self.residuals, dtype=float)


@dataclass(frozen=True, eq=False)
class Simulator:
    """Layers as vectors, and people simulated after one of them."""

    comparison: str
    names: list[str]
    layers: Float[np.ndarray, "layer pair"]
    people: Population

    def signal(self, layer: int) -> Float[np.ndarray, " pair"]:
        """Return what all people see if this layer is the truth, on the scale of unit variance."""
        vector = self.layers[layer]
        # a cosine depends on where 0 is, so that the mean stays in; a correlation or ranks do not see it
        centre = 0.0 if COMPARISONS[self.comparison].scores == "products" and not self.row.centred else vector.mean()
        return np.asarray((vector - centre) / vector.std(), dtype=float)

    @property
    def row(self) -> Comparison:
        """What the registry says of the comparison."""
        return COMPARISONS[self.comparison]

    def noise_size(self, layer: int, seed: int) -> float:
        """Return the SD of the noise with which people agree as they should.

        Found for each layer, since ranks lose more to noise where a layer's dissimilarities lie close together.
        """
        signal, wanted = self.signal(layer), self.people.agreement
        fewest, most = _CALIBRATORS
        enough = most if self.people.residuals is not None else _CALIBRATING_PAIRS // len(signal)
        count = min(max(enough, fewest), most) if self.row.is_plain else _CALIBRATORS_BY_PAIRS
        noise = self.people.noise(rng_from(seed, "agreement"), count)

        def short_of(log_size: float) -> float:
            return agreement_of(signal + np.exp(log_size) * noise, self.comparison) - wanted

        # of a correlation between people 1 / (1 + noise variance) is the answer; of ranks, near it
        start = 0.5 * np.log(1 / np.clip(wanted, 1e-3, 1 - 1e-3) - 1)
        low, high = start - 0.5, start + 0.5
        while short_of(low) < 0 and low > start - 8:
            low -= 1.0
        while short_of(high) > 0 and high < start + 8:
            high += 1.0
        below, above = short_of(low), short_of(high)
        size = low if below <= 0 else high if above >= 0 else float(brentq(short_of, low, high, xtol=1e-3))
        return float(np.exp(size))

    def seen(self, layer: int, size: float, simulations: int, seed: int) -> Iterator[Float[np.ndarray, "s p pair"]]:
        """Yield the RDMs of simulated people (simulation, participant, pair), as many at a time as fit in memory.

        The random numbers go by the layer's name, so that they depend neither on the order of the layers nor on
        which others there are.
        """
        count, pairs = self.people.judged.shape
        rng, signal = rng_from(seed, "recovery", self.names[layer]), self.signal(layer)
        step = max(1, _TOGETHER // (count * pairs))
        for start in range(0, simulations, step):
            some = min(step, simulations - start)
            rdms = self.people.noise(rng, some * count)
            rdms *= size
            rdms += signal
            rdms = rdms.reshape(some, count, pairs)
            rdms[:, ~self.people.judged] = np.nan
            yield rdms


def agreement_of(people: Float[np.ndarray, "participant pair"], comparison: str) -> float:
    """Return the mean similarity of two people, over the pairs that both judged."""
    if not COMPARISONS[comparison].is_plain or np.isnan(people).any():
        square = compare_vectors(comparison, people, people)
        return float(np.nanmean(square[np.triu_indices(len(people), 1)]))
    scores = _scores(people, COMPARISONS[comparison])
    # all products of two different people: the square of their sum less each one's own
    total, own = scores.sum(axis=0), np.einsum("ij,ij->", scores, scores)
    return float((total @ total - own) / (len(people) * (len(people) - 1)))


def _scores(vectors: Float[np.ndarray, "rdm pair"], row: Comparison) -> Float[np.ndarray, "rdm pair"]:
    """Return what plain comparisons multiply: the similarity of two RDMs is the inner product of their scores."""
    pairs = vectors.shape[1]
    if row.scores == "ranks":
        ranks, _ = double_ranks(sort_once(vectors), np.ones(pairs))
        scores = ranks - (pairs + 1.0)
        if not row.tie_corrected:  # as long as ranks without ties are, whatever ties there are
            return np.asarray(scores * np.sqrt(3 / (pairs**3 - pairs)), dtype=float)
    else:
        scores = vectors - vectors.mean(axis=1, keepdims=True) if row.centred else vectors.astype(float)
    length = np.sqrt(np.einsum("ij,ij->i", scores, scores))[:, None]
    return np.asarray(np.divide(scores, length, out=np.zeros_like(scores), where=length > 0), dtype=float)


def recover_layers(
    rsa: RSA | xr.DataArray,
    *,
    network: str | None = None,
    simulations: int = 100,
    participants: int | None = None,
    agreement: float | None = None,
    noise: str = "auto",
    reweight: bool = True,
    components: int = 20,
    sets: int = 0,
    draws: int = 200,
    seed: int = 0,
    confidence: float = 0.95,
    comparison: str | None = None,
    groups: str | None = AUTO,
    progress: bool = False,
) -> xr.Dataset:
    """Say how often a study like this one would pick the right layer, and which layers it cannot tell apart.

    Each layer is the truth in turn: people are simulated whose RDM is that layer's plus noise, with which they agree
    as much as the people of the study do (or as much as is assumed, before there are any). They are compared with
    every layer exactly as the study compares its own, and the layer with the largest mean similarity is picked, as
    `localize` picks the peak. Layers that are equally similar share a pick.

    The stimuli are those of the study; only people are new in each simulation. One layer is exactly right, which no
    layer is of real people, so that the shares are an upper bound: a design that cannot tell two layers here
    cannot tell them in people.

    Parameters
    ----------
    rsa : RSA or DataArray, dims (rdm, stimulus_i, stimulus_j)
        A comparison, whose people are imitated; or layer RDMs alone, before there are people. Not changed.
    network : str, optional
        The network among whose layers one is picked, as `localize` does; all layers if not given.
    simulations : int
        Simulated studies for each true layer.
    participants : int, optional
        People in each study; as many as there are if not given.
    agreement : float, optional
        The mean similarity of two people by the comparison, above 0 and below 1; that of the people there are if
        not given. Layer RDMs alone need it.
    noise : str
        How people stray from what they share. ``"people"``: as the observed ones do, by random sums of their
        residuals, which keeps what goes together in stimuli and identities. ``"pairs"``: independently in each pair,
        which a mean over people takes out sooner, and so is kinder. ``"auto"``: as people do, where there are five
        or more who judged every pair.
    reweight : bool
        Whether to fit each layer to people as well: weights of 0 or more for the principal coordinates of its RDM,
        learnt on some stimuli and people and tested on the others.
    components : int
        How many coordinates to weigh at most.
    sets : int
        In how many simulations for each layer the whole of `localize` is run, for its set of layers; 0 is none,
        each takes as long as a comparison.
    draws : int
        Bootstrap draws of each of these.
    seed : int
        The study's seed.
    confidence : float
        Of the intervals; and the share of simulations in which a layer must be above another, each when it is the
        truth, for the two to be told apart.
    comparison : str, optional
        For layer RDMs alone: how RDMs are compared (``"rho-a"``).
    groups : str, optional
        For layer RDMs alone: which stimuli stay together in sets and folds, as in `RSA`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset, dims (fit, true, picked)
        ``picked_share``, the share of simulations that pick a layer (each row sums to 1); ``recovered`` (fit, true)
        with ``recovered_interval``, those that pick the truth; ``share_recovered`` (fit), their mean; ``preferred``,
        the share in which the true layer is more similar than the other; ``told_apart``, whether that is at least
        `confidence` both ways. By `fit`: ``raw``, as localised; ``raw, left-out stimuli``, on the pairs that weights
        are tested on, which are fewer; and ``reweighted`` on the same pairs. Also ``noise_size`` (true), the SD of
        the noise over that of the layer; ``agreement_simulated`` (true); with sets, ``set_holds`` (true), how often
        the set holds the truth, ``set_size`` (true), and ``set_none`` (true), how often no layer counts as similar.
        Attrs name the seed, ``agreement``, `chance` and what people were simulated after; ``simulated`` is true.

    Raises
    ------
    ValueError
        If a name is unknown, a number out of range, people do not agree, or layer RDMs come without `agreement`
        and `participants`.

    Notes
    -----
    *Reweighted* is what can be said without the activations: for squared Euclidean and correlation distances the
    principal coordinates of an RDM are the principal components of the (normalised) features, so this is
    `reweight_layer` without the features beyond the first components. Weights are fitted by non-negative least
    squares (Khaligh-Razavi & Kriegeskorte 2014, 10.1371/journal.pcbi.1003915; Kaniuth & Hebart 2022,
    10.1016/j.neuroimage.2022.119294). Flexible layers can imitate one another, and recovery falls: with linear
    reweighting it stayed below 80 % even for millions of judgements (Avitan & Golan 2025, arXiv 2510.23321). Only
    the difference to `raw, left-out stimuli` is the price of the weights; the rest is that of fewer pairs.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> rsa = rf.RSA(models, demo.human, comparison="corr")
    >>> could = rf.recover_layers(rsa, simulations=20, reweight=False)
    >>> could["picked_share"].sel(fit="raw").values
    array([[1., 0.],
           [0., 1.]])
    >>> before = rf.recover_layers(models, participants=3, agreement=0.05, simulations=20, reweight=False)
    >>> bool(before["share_recovered"] > before.attrs["chance"])
    True
    """
    must_be_a(rsa, (RSA, xr.DataArray), "An RSA, or layer RDMs, is needed first: recover_layers(rsa)")
    for name, value, least in (("simulations", simulations, 1), ("components", components, 1), ("draws", draws, 20)):
        _must_be_at_least(name, value, least)
    _must_be_at_least("sets", sets, 0)
    if not 0.5 < confidence < 1:
        message = f"`confidence` is {confidence}: give a number between 0.5 and 1, such as 0.95."
        raise ValueError(message)
    design = _design_of(rsa, participants, agreement, noise, comparison)
    if isinstance(rsa, xr.DataArray):
        design = replace(design, groups=choose_groups(design.blank, groups))
    chosen = _candidates(design.rdms, network)
    simulator = Simulator(
        design.comparison,
        [str(name) for name in design.rdms[RDM].values[chosen]],
        to_vectors(design.rdms.values[chosen]),
        design.people,
    )
    hindrance = design.hindrance if reweight else ""
    splits = _splits_of(simulator, design, components, seed) if reweight and not hindrance else []
    if sets and not {NETWORK, LAYER, DEPTH} <= set(design.rdms.coords):
        message = "`sets` needs to know each layer's network and depth. Give RDMs with these, or sets=0."
        raise ValueError(message)

    def run(layer: int) -> dict[str, Any]:
        return _recover(simulator, splits, layer, simulations, seed)

    recovered: list[dict[str, Any]] = []
    bar = tqdm(total=len(chosen), disable=None if progress else True, desc="recovery", unit="layer")
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(processors()) as pool, bar:
        for one in pool.map(run, range(len(chosen))):
            recovered.append(one)
            bar.update()
    for layer in range(len(chosen) if sets else 0):
        size = float(recovered[layer]["noise_size"])
        recovered[layer] |= _localized(simulator, design, layer, size, sets=sets, draws=draws, seed=seed)
    attrs = {
        "comparison": design.comparison,
        "groups": design.groups,
        "network": network,
        "participants": len(design.people.names),
        "stimuli": int(design.rdms.sizes[STIMULUS_I]),
        "simulations": simulations,
        "seed": seed,
        "seeds": "by purpose and layer: ('recovery', layer), ('agreement',)",
        "agreement": design.people.agreement,
        "agreement_assumed": agreement is not None,
        "noise": "pairs" if design.people.residuals is None else "people",
        "chance": 1 / len(chosen),
        "confidence": confidence,
        "components": components if splits else None,
        "folds": list(FOLDS) if splits else None,
        "not_reweighted": hindrance,
        "sets": sets,
        "draws": draws if sets else None,
        "measure": design.rdms.attrs.get("measure"),
        **origin_of(design.rdms.attrs),
        "simulated": True,
    }
    return _labelled(recovered, design.rdms.isel({RDM: chosen}), confidence, simulations).assign_attrs(attrs)


def simulate_people(
    rdms: xr.DataArray,
    layer: str,
    *,
    participants: int = 20,
    agreement: float = 0.3,
    comparison: str = "rho-a",
    seed: int = 0,
) -> xr.DataArray:
    """Simulate people who see what a layer computes, with independent noise, before there are any.

    A study planned on layer RDMs alone has nobody to learn the spread of people from. These stand in for them in
    `RSA`, `plan` and `assess_stability`; they are labelled as simulated wherever they show.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs. Not changed.
    layer : str
        The RDM that is the truth, by its name along `rdm`.
    participants : int
        How many people.
    agreement : float
        The mean similarity of two of them by the comparison, above 0 and below 1.
    comparison : str
        How RDMs are compared.
    seed : int
        The study's seed.

    Returns
    -------
    DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs, with the attr `simulated`. Dissimilarities are 0 or more, except for cosines, which would see a
        shift: there noise may take some below 0.

    Raises
    ------
    ValueError
        If the layer is unknown or a number out of range.

    Examples
    --------
    >>> import rsa_face as rf
    >>> models = rf.control_rdms(rf.example("demo").stimuli, ["level", "identity"])
    >>> people = simulate_people(models, "level", participants=4)
    >>> people.sizes["participant"], people.attrs["simulated"]
    (4, True)
    """
    must_be_known(layer, [str(name) for name in check_rdms(rdms, along=RDM, name="Layer RDMs")[RDM].values], "layer")
    design = _design_of(rdms, participants, agreement, "pairs", comparison)
    one = design.rdms.sel({RDM: [layer]})
    simulator = Simulator(comparison, [layer], to_vectors(one.values), design.people)
    size = simulator.noise_size(0, seed)
    vectors = next(simulator.seen(0, size, 1, seed))[0]
    if "cosine" not in comparison:  # which alone would see the shift
        vectors = vectors - vectors.min()
    of_stimuli = {dim: rdms[dim].values for dim in (STIMULUS_I, STIMULUS_J)}
    return design.human(vectors).sel(of_stimuli)


def not_told_apart(recovery: xr.Dataset, layer: str, *, fit: str = RAW) -> list[str]:
    """Return the layers that simulated studies cannot tell from one of them, in the order of the recovery."""
    apart = recovery["told_apart"].sel({FIT: fit, TRUE: layer})
    return [
        str(name)
        for name, told in zip(recovery[PICKED].values, apart.values, strict=True)
        if not told and str(name) != layer
    ]


def recovery_table(recovery: xr.Dataset) -> pd.DataFrame:
    """Return a recovery as a table: a row for each way of fitting, true layer and layer picked."""
    columns = ["picked_share", "preferred", "told_apart"]
    return recovery[columns].to_dataframe()[columns].reset_index()


def neighbours_of(recovery: xr.Dataset, layer: str) -> list[str]:
    """Return the layers just before and after one in its network; by place where networks are not named."""
    names = [str(name) for name in recovery[TRUE].values]
    at = names.index(layer)
    networks = recovery[NETWORK].values if NETWORK in recovery.coords else np.zeros(len(names))
    along = next((name for name in (ORDER, DEPTH) if name in recovery.coords), None)
    order = np.arange(len(names)) if along is None else np.asarray(recovery[along].values, dtype=float)
    same = [place for place in np.argsort(order, kind="stable") if networks[place] == networks[at]]
    where = same.index(at)
    return [names[same[place]] for place in (where - 1, where + 1) if 0 <= place < len(same)]


@dataclass(frozen=True, eq=False)
class _Design:
    """A study to imitate: layer RDMs and whom to simulate, with stimuli and people in the order of their names."""

    rdms: xr.DataArray
    comparison: str
    groups: str | None
    people: Population
    factors: dict[str, xr.DataArray]

    def human(self, vectors: Float[np.ndarray, "participant pair"]) -> xr.DataArray:
        """Return simulated people as human RDMs."""
        ids = self.rdms[STIMULUS_I].values
        rows, columns = pairs_of(len(ids))
        squares = np.zeros((len(vectors), len(ids), len(ids)))
        squares[:, rows, columns] = squares[:, columns, rows] = vectors
        coords = {PARTICIPANT: self.people.names, STIMULUS_I: ids, STIMULUS_J: ids}
        factors = {name: (STIMULUS_I, factor.values) for name, factor in self.factors.items()}
        dims = (PARTICIPANT, STIMULUS_I, STIMULUS_J)
        return xr.DataArray(squares, {**coords, **factors}, dims, "dissimilarity", {"simulated": True})

    @property
    def blank(self) -> xr.DataArray:
        """Nothing judged yet: what divides stimuli and people looks at their names and factors alone."""
        return self.human(np.zeros(self.people.judged.shape))

    @property
    def hindrance(self) -> str:
        """Why nothing can be left out to test weights on; empty if it can."""
        return "; ".join(faults_of_folds(self.blank, folds=FOLDS, groups=self.groups))


def _design_of(
    rsa: RSA | xr.DataArray,
    participants: int | None,
    agreement: float | None,
    noise: str,
    comparison: str | None,
) -> _Design:
    must_be_known(noise, NOISES, "noise")
    if agreement is not None and not 0 < agreement < 1:
        message = f"`agreement` is {agreement}: give the similarity of two people, above 0 and below 1, such as 0.3."
        raise ValueError(message)
    if participants is not None:
        _must_be_at_least("participants", participants, 2)
    if isinstance(rsa, xr.DataArray):
        return _before_data(rsa, participants, agreement, noise, comparison or "rho-a")
    if comparison not in (None, rsa.comparison):
        message = f"`comparison` is {comparison!r}, and the RSA compares by {rsa.comparison!r}. Make another RSA."
        raise ValueError(message)
    if rsa.unsigned:
        message = (
            "Mean ratings of nobody knows whom do not show how people differ, so that nobody can be simulated after "
            "them. Give the layer RDMs with `participants` and `agreement`: recover_layers(rdms, ...)."
        )
        raise ValueError(message)
    stimuli, persons = by_name(rsa.human[STIMULUS_I].values), by_name(rsa.human[PARTICIPANT].values)
    rdms = rsa.rdms.isel({STIMULUS_I: stimuli, STIMULUS_J: stimuli})
    human = rsa.human.isel({STIMULUS_I: stimuli, STIMULUS_J: stimuli, PARTICIPANT: persons})
    vectors = to_vectors(human.values)
    observed = agreement_of(vectors, rsa.comparison) if agreement is None else agreement
    if not observed > 0:
        message = (
            f"These people do not agree: two of them have a mean similarity of {observed:.3g}, so that nobody can be "
            "simulated who agrees as they do. Give `agreement`, the similarity that is assumed."
        )
        raise ValueError(message)
    names = [str(name) for name in human[PARTICIPANT].values]
    count = len(names) if participants is None else participants
    judged = ~np.isnan(vectors)
    like_people = noise == "people" or (noise == "auto" and bool(judged.all()) and len(names) >= 5)
    people = Population(
        [*names, *(f"simulated{number:04d}" for number in range(len(names) + 1, count + 1))][:count],
        judged[np.arange(count) % len(names)],  # more people judge the same pairs as those there are
        min(observed, 0.999),
        _residuals(vectors) if like_people else None,
    )
    return _Design(rdms, rsa.comparison, rsa.groups, people, factors_of(human))


def _before_data(
    rdms: xr.DataArray,
    participants: int | None,
    agreement: float | None,
    noise: str,
    comparison: str,
) -> _Design:
    must_be_known(comparison, COMPARISONS, "comparison")
    check_rdms(rdms, along=RDM, name="Layer RDMs")
    if participants is None or agreement is None:
        lacking = {"participants": participants, "agreement": agreement}
        message = (
            f"Layer RDMs alone do not say {[name for name, value in lacking.items() if value is None]}. Give both: "
            "how many people, and the mean similarity of two of them; or an RSA with people."
        )
        raise ValueError(message)
    if noise == "people":
        message = (
            "`noise` is 'people', and there are none to learn it from. Give noise='pairs', or an RSA with people."
        )
        raise ValueError(message)
    faults = faults_of_layers(rdms)
    if faults:
        message = f"RDMs that do not vary cannot be recovered: {first_of(faults, '; ')}. Leave these out."
        raise ValueError(message)
    stimuli = by_name(rdms[STIMULUS_I].values)
    rdms = rdms.isel({STIMULUS_I: stimuli, STIMULUS_J: stimuli})
    judged = np.ones((participants, len(stimuli) * (len(stimuli) - 1) // 2), dtype=bool)
    people = Population([f"p{number:04d}" for number in range(1, participants + 1)], judged, agreement, None)
    return _Design(rdms, comparison, None, people, factors_of(rdms))


def _residuals(vectors: Float[np.ndarray, "participant pair"]) -> Float[np.ndarray, "participant pair"]:
    """Return how each participant strays from the mean of all, scaled so that random sums have unit variance."""
    scaled = vectors - np.nanmean(vectors, axis=1, keepdims=True)
    scaled /= np.nanstd(vectors, axis=1, keepdims=True)
    stray = np.nan_to_num(scaled - mean_over(scaled.T, np.ones(len(scaled))))
    return np.asarray(stray / np.sqrt((stray**2).sum(axis=0).mean()), dtype=float)


def _candidates(rdms: xr.DataArray, network: str | None) -> Int[np.ndarray, " layer"]:
    if network is None:
        return np.arange(rdms.sizes[RDM])
    known = np.asarray(rdms[NETWORK].values, dtype=str) if NETWORK in rdms.coords else np.array([], dtype=str)
    must_be_known(network, sorted(set(known.tolist())), "network of these layer RDMs")
    return np.flatnonzero(known == network)


class _Seen:
    """Simulated people (simulation, participant, pair), scored once for all that they are compared with."""

    def __init__(self, rdms: Float[np.ndarray, "simulation participant pair"], comparison: str) -> None:
        self.rdms, self.comparison = rdms, comparison
        self.row = COMPARISONS[comparison]
        self._parts: list[tuple[Bool[np.ndarray, " pair"], Float[np.ndarray, "simulation some"], int]] = []
        if not self.row.is_plain:
            return
        for members, pairs in alike(~np.isnan(rdms[0])):
            if np.count_nonzero(pairs) < FEWEST_PAIRS:
                continue
            chosen = rdms[:, members][:, :, pairs]
            scores = _scores(chosen.reshape(-1, chosen.shape[2]), self.row).reshape(chosen.shape)
            # similarity is linear in a person's scores, so that their sum says as much as each of them
            self._own = np.einsum("ijk,ijk->i", scores, scores)
            self._parts.append((pairs, scores.sum(axis=1), len(members)))

    @property
    def agreement(self) -> list[float]:
        """How similar two people are on average, in each simulation."""
        if not self.row.is_plain or len(self._parts) != 1:
            return [agreement_of(people, self.comparison) for people in self.rdms]
        _, scores, count = self._parts[0]
        return list((np.einsum("ij,ij->i", scores, scores) - self._own) / (count * (count - 1)))

    def like(self, rdms: Float[np.ndarray, "*simulation rdm pair"]) -> Float[np.ndarray, "simulation rdm"]:
        """Return the mean similarity to RDMs: the same in each simulation, or of each its own."""
        if not self.row.is_plain:
            each = np.broadcast_to(rdms, (len(self.rdms), *rdms.shape[-2:]))
            compared = (compare_vectors(self.comparison, of, by) for of, by in zip(each, self.rdms, strict=True))
            return np.stack([mean_over(table, np.ones(table.shape[1])) for table in compared])
        total, count = np.zeros((len(self.rdms), rdms.shape[-2])), 0
        for pairs, scores, members in self._parts:
            inside = rdms[..., pairs]
            of = _scores(inside.reshape(-1, inside.shape[-1]), self.row).reshape(inside.shape)
            total += scores @ of.T if of.ndim == 2 else (of @ scores[:, :, None])[:, :, 0]
            count += members
        return np.asarray(total / count if count else np.full(total.shape, np.nan), dtype=float)


@dataclass(frozen=True, eq=False)
class _Split:
    """Stimuli and people that weights are fitted on, those they are tested on, and the layers' coordinates."""

    fit: Int[np.ndarray, " pair"]
    out: Int[np.ndarray, " pair"]
    some: Int[np.ndarray, " person"]
    others: Int[np.ndarray, " person"]
    fitted: Sequence[Float[np.ndarray, "stimulus component"]]
    tested: Sequence[Float[np.ndarray, "stimulus component"]]


def _splits_of(simulator: Simulator, design: _Design, components: int, seed: int) -> list[_Split]:
    """Return the divisions that weights are fitted and tested on, with the principal coordinates of each layer."""
    squares = np.asarray(design.rdms.sel({RDM: simulator.names}).values, dtype=float)
    coordinates = [_coordinates(square) for square in squares]
    splits, known = [], {}
    for (fit, out), (some, others) in folds_of(design.blank, folds=FOLDS, seed=seed, groups=design.groups):
        key = fit.tobytes()
        if key not in known:
            known[key] = [_principal(each, fit, out, components) for each in coordinates]
        fitted, tested = zip(*known[key], strict=True)
        inside, outside = (_places(stimuli, len(squares[0])) for stimuli in (fit, out))
        splits.append(_Split(inside, outside, some, others, fitted, tested))
    return splits


def _places(stimuli: Int[np.ndarray, " some"], count: int) -> Int[np.ndarray, " pair"]:
    """Return where the pairs of some stimuli stand in the vector of all pairs, in the order of their own vector."""
    rows, columns = pairs_of(len(stimuli))
    first, second = stimuli[rows], stimuli[columns]
    return np.asarray(first * count - first * (first + 1) // 2 + second - first - 1)


def _coordinates(square: Float[np.ndarray, "stimulus stimulus"]) -> Float[np.ndarray, "stimulus coordinate"]:
    """Return coordinates whose squared distances are an RDM's dissimilarities, as far as there are any."""
    centred = square - square.mean(axis=0) - square.mean(axis=1, keepdims=True) + square.mean()
    sizes, directions = np.linalg.eigh(-centred / 2)
    real = sizes > 1e-10 * max(sizes.max(), 0.0)  # dissimilarities that are no squared distances have negative ones
    return np.asarray(directions[:, real] * np.sqrt(sizes[real]), dtype=float)


def _principal(
    coordinates: Float[np.ndarray, "stimulus coordinate"],
    fit: Int[np.ndarray, " some"],
    out: Int[np.ndarray, " others"],
    components: int,
) -> tuple[Float[np.ndarray, "some component"], Float[np.ndarray, "others component"]]:
    # fewer than the stimuli: weights of as many could make any stimuli equally far apart (see `reweighted`)
    count = min(components, fit.size - 2, coordinates.shape[1])
    basis = PCA(n_components=count, svd_solver="full").fit(coordinates[fit])
    return basis.transform(coordinates[fit]), basis.transform(coordinates[out])


def _weighed(seen: Float[np.ndarray, "s p pair"], split: _Split) -> Float[np.ndarray, "s layer out"]:
    """Return the RDM of the left-out stimuli that each layer predicts with weights learnt in each simulation."""
    fit = seen[:, split.some][:, :, split.fit]
    judged = ~np.isnan(fit[0]).all(axis=0)
    target = mean_over(np.moveaxis(fit[:, :, judged], 1, -1), np.ones(len(split.some)))
    guesses = np.empty((len(seen), len(split.fitted), len(split.out)))
    for layer, (fitted, tested) in enumerate(zip(split.fitted, split.tested, strict=True)):
        regressors = squared_differences(fitted)[judged]
        regressors -= regressors.mean(axis=0)  # an intercept, which says nothing about which pair is larger
        weights = np.zeros((len(seen), regressors.shape[1]))
        _nonnegative(regressors.T @ regressors, target @ regressors, weights)
        guesses[:, layer] = weights @ squared_differences(tested).T
    return guesses


@compiled
def _nonnegative(gram: Any, products: Any, weights: Any) -> None:
    """Find non-negative least-squares weights for many targets of the same regressors, one weight at a time."""
    targets, count = weights.shape
    for target in range(targets):
        slope, own = -products[target], weights[target]
        for _ in range(_SWEEPS):
            moved, largest = 0.0, 0.0
            for one in range(count):
                if gram[one, one] <= 0.0:
                    continue
                best = max(0.0, own[one] - slope[one] / gram[one, one])
                step = best - own[one]
                if step != 0.0:
                    own[one] = best
                    for other in range(count):
                        slope[other] += step * gram[other, one]
                # in units of what a weight explains, so that the scale of a component does not matter
                moved = max(moved, abs(step) * np.sqrt(gram[one, one]))
                largest = max(largest, best * np.sqrt(gram[one, one]))
            if moved <= _STILL * largest:
                break


def _recover(
    simulator: Simulator, splits: Sequence[_Split], layer: int, simulations: int, seed: int
) -> dict[str, Any]:
    """Return what simulated studies pick where one layer is the truth, by the way of fitting."""
    size = simulator.noise_size(layer, seed)
    agreement: list[float] = []
    similarity: dict[str, list[Float[np.ndarray, "simulation layer"]]] = {}
    comparison = simulator.comparison
    for rdms in simulator.seen(layer, size, simulations, seed):
        seen = _Seen(rdms, comparison)
        agreement += seen.agreement
        similarity.setdefault(RAW, []).append(seen.like(simulator.layers))
        of_splits: dict[str, list[Any]] = {LEFT_OUT: [], REWEIGHTED: []} if splits else {}
        for split in splits:
            others = _Seen(rdms[:, split.others][:, :, split.out], comparison)
            of_splits[LEFT_OUT].append(others.like(simulator.layers[:, split.out]))
            of_splits[REWEIGHTED].append(others.like(_weighed(rdms, split)))
        for fit, values in of_splits.items():
            similarity.setdefault(fit, []).append(np.nanmean(values, axis=0))
    return {
        "noise_size": size,
        "agreement_simulated": float(np.mean(agreement)),
        **{fit: _picks(np.concatenate(values), layer) for fit, values in similarity.items()},
    }


def _picks(similarity: Float[np.ndarray, "simulation layer"], layer: int) -> Float[np.ndarray, "kind layer"]:
    """Return how often each layer is picked, and how often the true one is above it; equal ones share."""
    best = similarity >= similarity.max(axis=1, keepdims=True) - _TIE
    gap = similarity[:, [layer]] - similarity
    above = np.where(np.abs(gap) <= _TIE, 0.5, gap > 0)
    return np.stack([(best / best.sum(axis=1, keepdims=True)).mean(axis=0), above.mean(axis=0)])


def _localized(
    simulator: Simulator, design: _Design, layer: int, size: float, *, sets: int, draws: int, seed: int
) -> dict[str, float]:
    """Run the whole localisation in some simulations; return how often its set holds the truth, and its size."""
    inside, count, none = [], [], []
    rdms = design.rdms.sel({RDM: simulator.names})
    network, name = str(rdms[NETWORK].values[layer]), str(rdms[LAYER].values[layer])
    for people in np.concatenate(list(simulator.seen(layer, size, sets, seed))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # groups and errors: said of the study itself
            rsa = RSA(rdms, design.human(people), comparison=design.comparison, groups=design.groups)
            result = rsa.bootstrap(draws=draws, seed=seed)
            where = result.localize(network, baseline=None, held_out=False)["in_set"].sel({TARGET: PEAK})
        inside.append(bool(where.sel({LAYER: name})))
        none.append(bool(where.sel({LAYER: NONE})))
        count.append(int(where.sum()) - none[-1])
    means = [float(np.mean(values)) for values in (inside, count, none)]
    return dict(zip(("set_holds", "set_size", "set_none"), means, strict=True))


def _labelled(
    recovered: Sequence[dict[str, Any]], rdms: xr.DataArray, confidence: float, simulations: int
) -> xr.Dataset:
    names = [str(name) for name in rdms[RDM].values]
    fits = [fit for fit in FITS if fit in recovered[0]]
    # (fit, true, kind, picked)
    shares = np.stack([[one[fit] for one in recovered] for fit in fits])
    picked, preferred = shares[:, :, 0], shares[:, :, 1]
    right = np.diagonal(picked, axis1=1, axis2=2)
    apart = (preferred >= confidence) & (np.swapaxes(preferred, 1, 2) >= confidence)
    interval = wilson_interval(right * simulations, np.full(right.shape, float(simulations)), confidence)
    numbers = {
        name: (TRUE, np.array([one[name] for one in recovered], dtype=float))
        for name in recovered[0]
        if name not in FITS
    }
    columns: dict[str, Any] = {
        "picked_share": ((FIT, TRUE, PICKED), picked),
        "recovered": ((FIT, TRUE), right),
        "recovered_interval": ((FIT, TRUE, BOUND), np.moveaxis(interval, 0, -1)),
        "share_recovered": (FIT, right.mean(axis=1)),
        "preferred": ((FIT, TRUE, PICKED), preferred),
        "told_apart": ((FIT, TRUE, PICKED), apart),
        **numbers,
    }
    known = {name: (TRUE, coord.values) for name, coord in coords_along(rdms, RDM).items() if name != RDM}
    return xr.Dataset(columns, {FIT: fits, TRUE: names, PICKED: names, BOUND: list(BOUNDS), **known})


def _must_be_at_least(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        message = f"`{name}` is {value!r}: give a whole number, {least} or more."
        raise ValueError(message)
