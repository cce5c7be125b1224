"""How many people and stimuli tell layers apart, and how far an answer rests on single stimuli and people."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from rsa_face.inference.draws import evaluate_draws
from rsa_face.inference.localization import PEAK, Question, questions
from rsa_face.inference.resampling import (
    FEWEST_GROUPS,
    FEWEST_UNITS,
    Draws,
    group_members,
    hashed_order,
    planned_error,
)
from rsa_face.inference.resampling import unit_names as names_of_units
from rsa_face.inference.results import layers_of, matched_layers, resampled_of
from rsa_face.inference.rsa import RSA, Result
from rsa_face.inference.statistics import Resampled, Spread, rejection_rate, spread_of
from rsa_face.provenance import rng_from
from rsa_face.safety import must_be_a
from rsa_face.schema import (
    DEPTH,
    LAYER,
    ORDER,
    PARTICIPANT,
    RDM,
    STIMULUS_I,
    UNSIGNED,
    coords_along,
    factors_of,
    must_be_known,
    origin_of,
)

PARTICIPANTS, STIMULI = "participants", "stimuli"
CASE, KIND, ALL, HALF = "case", "kind", "all", "half"
FACTORS = ("identity", "level", "occlusion")
MOST = 10_000
"""So many people or stimuli are looked at before it is said that no number suffices."""

_DRAWS = 500  # that a plan takes of a comparison: they give the correlations alone
_MULTIPLES = (0.5, 1, 1.5, 2, 4)  # of the numbers there are, where none are named


def plan(
    pilot: Result | RSA | xr.Dataset,
    *,
    network: str = "fe_alexnet",
    layers: Sequence[str] | None = None,
    participants: Sequence[int] | None = None,
    stimuli: Sequence[int] | None = None,
    power: float = 0.8,
    confidence: float | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Say how many people and stimuli a study needs to tell the layer most like people from the others.

    The set of `localize` holds every layer that may be the peak. With other numbers of people and stimuli its
    differences keep their size and change their standard errors, by the components of the variance that the
    jackknife separates: stimuli, people, pairs of stimuli, and what a person makes of each. The power of a layer is
    the probability that the set leaves it out, decided as `localize` decides; the expected size of the set is the
    number of layers that it keeps.

    The differences of the pilot are taken as the truth. In a small pilot they are uncertain, and those of the layer
    that happened to come first are too large: plan for smaller ones, or from more data. Numbers far from the
    pilot's are extrapolated.

    Parameters
    ----------
    pilot : Result, RSA or Dataset
        A comparison whose standard errors are jackknifed (``resample="dual"``), of a study or a pilot: what
        `RSA.bootstrap` or `compare_layers` return, or an `RSA` to be bootstrapped. Before there are people, compare
        layers with `simulate_people`. Not changed.
    network : str
        The network whose layer most like people is looked for.
    layers : sequence of str, optional
        Only these of its layers: two of them, to plan for telling one from the other. All if not given.
    participants, stimuli : sequence of int, optional
        Numbers to look at; stimuli are counted in groups, such as identities, where they are drawn in groups. Half
        to four times those of the pilot if not given.
    power : float
        How probable it is to be that a layer is left out, between 0 and 1.
    confidence : float, optional
        Of the set, between 0.5 and 1; that of the comparison if not given.
    draws : int
        Bootstrap draws, where an `RSA` is given.
    seed : int
        Their seed.

    Returns
    -------
    Dataset, dims (participants, stimuli, layer)
        ``left_out``, the power to leave each layer out of the set (for the peak itself, the probability to lose it);
        ``set_size`` (participants, stimuli), the expected number of layers in it; ``difference`` (layer), the peak's
        similarity less the layer's, and ``difference_error`` (participants, stimuli, layer), its standard error;
        ``needed_participants`` (layer) with the pilot's stimuli, and ``needed_stimuli`` (layer) with the pilot's
        people, for the power asked for: NaN where 10,000 do not suffice. Attrs name the peak, what stimuli are
        counted in (``unit``), and the numbers of the pilot.

    Raises
    ------
    ValueError
        If the comparison has no jackknifed errors, a name is unknown, or a number out of range.

    Notes
    -----
    Components of variance from the jackknife: Efron & Stein 1981, 10.1214/aos/1176345462; crossed random factors
    and power by their numbers: Westfall, Kenny & Judd 2014, 10.1037/xge0000014.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine"] * 2), layer=("rdm", ["fc7", "fc8"]), depth=("rdm", [0.5, 1.0]))
    >>> pilot = rf.RSA(models, demo.human, comparison="corr")
    >>> planned = rf.plan(pilot, network="mine", participants=[5, 20], draws=100)
    >>> planned.attrs["peak"], planned.attrs["unit"]
    ('fc7', 'identity')
    >>> planned["left_out"].sel(stimuli=6, layer="fc8").values > 0.8
    array([ True,  True])
    """
    must_be_a(pilot, (Result, RSA, xr.Dataset), "A comparison with people is needed first: plan(result)")
    if isinstance(pilot, RSA):
        pilot = pilot.bootstrap(draws=draws, seed=seed)
    table = pilot.table if isinstance(pilot, Result) else pilot
    confidence = float(table.attrs.get("confidence", 0.95)) if confidence is None else confidence
    _must_be_share("confidence", confidence, 0.5)
    _must_be_share("power", power, 0.0)
    places = layers_of(table, network)
    if "similarity_jackknife" not in table:
        reason = table.attrs.get("variance_reason") or "its standard errors are not jackknifed."
        message = f"Nothing to plan from: {reason} Compare with resample='dual' and variance='jackknife'."
        raise ValueError(message)
    names = [str(name) for name in table[LAYER].values[places]]
    for name in layers or ():
        must_be_known(name, names, f"layer of {network}")
    chosen = [place for place, name in enumerate(names) if layers is None or name in layers]
    if len(chosen) < 2:
        message = f"Only {[names[place] for place in chosen]} to tell apart. Name two layers or more of {names}."
        raise ValueError(message)
    every, _ = questions(table, network=network, baseline=None, match="auto", margin=0.0, ceiling_margin=0.1)
    design = _Design(resampled_of(table), every[PEAK], np.array(chosen), confidence)
    now = design.resampled.units
    people = _numbers("participants", participants, now[1], FEWEST_UNITS[1])
    units = _numbers("stimuli", stimuli, now[0], FEWEST_UNITS[0])
    left_out = np.array([[design.powers((unit, person)) for unit in units] for person in people])
    errors = np.array([[design.errors((unit, person)) for unit in units] for person in people])
    count = range(len(chosen))
    needed_people = [_fewest(lambda n, at=at: design.power((now[0], n), at), power, FEWEST_UNITS[1]) for at in count]  # type: ignore[misc] # bound now
    needed_units = [_fewest(lambda n, at=at: design.power((n, now[1]), at), power, FEWEST_UNITS[0]) for at in count]  # type: ignore[misc] # bound now
    peak = names[chosen[design.peak]]
    never = np.array([names[place] == peak for place in chosen])  # the peak itself need not be left out
    columns = {
        "left_out": ((PARTICIPANTS, STIMULI, LAYER), left_out),
        "set_size": ((PARTICIPANTS, STIMULI), (1 - left_out).sum(axis=2)),
        "difference": (LAYER, design.differences),
        "difference_error": ((PARTICIPANTS, STIMULI, LAYER), errors),
        "needed_participants": (LAYER, np.where(never, np.nan, needed_people)),
        "needed_stimuli": (LAYER, np.where(never, np.nan, needed_units)),
    }
    known = coords_along(table, RDM)
    coords: dict[str, Any] = {PARTICIPANTS: people, STIMULI: units, LAYER: [names[place] for place in chosen]}
    coords |= {name: (LAYER, known[name].values[places][chosen]) for name in (DEPTH, ORDER) if name in known}
    attrs = {
        **{name: table.attrs.get(name) for name in ("comparison", "groups", "draws", "seed", "simulated")},
        **origin_of(table.attrs),
        "network": network,
        "peak": peak,
        "power": power,
        "confidence": confidence,
        "unit": table.attrs.get("groups") or "stimulus",
        "pilot_participants": now[1],
        "pilot_stimuli": now[0],
        "most": MOST,
    }
    return xr.Dataset(columns, coords, attrs)


class _Design:
    """The differences among layers that decide which is the peak, and how they stray with other numbers of units."""

    def __init__(self, resampled: Resampled, question: Question, chosen: np.ndarray, confidence: float) -> None:
        self.resampled, self.confidence = resampled, confidence
        self.weights = question.weights[:, chosen]
        similarity = resampled.estimate @ self.weights
        self.peak = int(np.argmax(similarity))
        self.differences: Float[np.ndarray, " layer"] = similarity[self.peak] - similarity

    def spread(self, weights: Float[np.ndarray, "quantity other"], units: tuple[int, int]) -> Spread:
        """Return differences with the spread that other numbers of stimuli and people would give them."""
        some = self.resampled
        assert some.rows is not None
        variance, freedom = planned_error(some.rows @ weights, some.components, some.units, units)
        error = np.sqrt(np.maximum(variance, 0.0))
        return spread_of(
            some.estimate @ weights, some.draws[0, :_DRAWS] @ weights, error, freedom=freedom, seed=some.seed
        )

    def power(self, units: tuple[int, int], place: int) -> float:
        """Return how probable it is that the set leaves a layer out."""
        others = np.delete(self.weights, place, axis=1) - self.weights[:, [place]]
        return rejection_rate(self.spread(others, units), confidence=self.confidence)

    def powers(self, units: tuple[int, int]) -> list[float]:
        """Return the same of each layer."""
        return [self.power(units, place) for place in range(self.weights.shape[1])]

    def errors(self, units: tuple[int, int]) -> Float[np.ndarray, " layer"]:
        """Return the standard error of the peak's difference from each layer."""
        return self.spread(self.weights[:, [self.peak]] - self.weights, units).error


def _fewest(power_of: Callable[[int], float], wanted: float, fewest: int) -> float:
    """Return the smallest number that gives the power wanted; NaN where `MOST` does not."""
    low, high = fewest - 1, fewest
    while power_of(high) < wanted:
        if high == MOST:
            return float("nan")
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= wanted else (middle, high)
    return float(high)


def _numbers(name: str, numbers: Sequence[int] | None, now: int, fewest: int) -> list[int]:
    chosen = [max(fewest, round(part * now)) for part in _MULTIPLES] if numbers is None else list(numbers)
    wrong = [number for number in chosen if isinstance(number, bool) or int(number) != number or number < fewest]
    if wrong or not chosen:
        message = f"`{name}` has {wrong or 'no numbers'}: give whole numbers, {fewest} or more."
        raise ValueError(message)
    return sorted({int(number) for number in chosen})


def _must_be_share(name: str, value: float, least: float) -> None:
    if not least < value < 1:
        message = f"`{name}` is {value}: give a number between {least:g} and 1."
        raise ValueError(message)


def plan_table(planned: xr.Dataset) -> pd.DataFrame:
    """Return a plan as a table: a row for each number of people and of stimuli."""
    table = planned["set_size"].to_dataframe()[["set_size"]]
    left_out = planned["left_out"].to_dataframe()["left_out"].unstack(LAYER)[planned[LAYER].values.tolist()]
    return table.join(left_out.add_prefix("left_out_")).reset_index()


def assess_stability(
    rsa: RSA,
    *,
    network: str = "fe_alexnet",
    baseline: str | None = "alexnet",
    factors: Sequence[str] | None = None,
    halves: int = 50,
    seed: int = 0,
) -> xr.Dataset:
    """Say whether the layer picked, and the contrast with a baseline, rest on single stimuli or people.

    Each identity, level, occlusion and participant is left out in turn, and the stimuli are divided into random
    halves, groups (such as identities) undivided. Each time the similarities are computed again, and the layer
    with the largest is picked.

    Parameters
    ----------
    rsa : RSA
        The comparison. Not changed.
    network, baseline : str
        The network whose layer is picked, and the one that is subtracted from it; None for no contrast.
    factors : sequence of str, optional
        Factors of the stimuli whose values are left out; of `identity`, `level`, `occlusion` and the groups those
        that have several values if not given.
    halves : int
        How often stimuli are halved.
    seed : int
        The seed of the halves.

    Returns
    -------
    Dataset, dims (case, layer)
        ``similarity``; ``picked`` (case) and ``picked_depth`` (case); with a baseline, ``difference`` of each layer
        that has a counterpart, and ``contrast`` (case), at the layer `attrs["contrast_at"]`: the one picked from all
        data, or, if that has no counterpart, the matched one with the largest difference. The coordinate `kind` says
        what was left out (``all``: nothing), and `value` which. By kind (``kind_left_out``), ``same_layer`` is the
        share of cases that pick the layer of all data, and ``same_sign`` the share whose contrast has its sign.
        Cases with fewer than three stimuli are left out, and counted in ``attrs["too_few"]``.

    Raises
    ------
    ValueError
        If a network or factor is unknown, or a number out of range.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine"] * 2), layer=("rdm", ["fc7", "fc8"]), depth=("rdm", [0.5, 1.0]))
    >>> rsa = rf.RSA(models, demo.human, comparison="corr")
    >>> stable = rf.assess_stability(rsa, network="mine", baseline=None, halves=10)
    >>> stable["same_layer"].to_series().to_dict()
    {'identity': 1.0, 'level': 1.0, 'participant': 1.0, 'half': 1.0}
    """
    must_be_a(rsa, RSA, "An RSA is needed first: assess_stability(rsa)")
    if isinstance(halves, bool) or not isinstance(halves, int | np.integer) or halves < 0:
        message = f"`halves` is {halves!r}: give a whole number, 0 or more."
        raise ValueError(message)
    cases, stimuli, people = _cases(rsa, _factors(rsa, factors), halves, seed)
    usable = (stimuli > 0).sum(axis=1) >= FEWEST_GROUPS
    draws = Draws("both", stimuli, people, usable, 0, (stimuli.shape[1], people.shape[1]))
    values = evaluate_draws(rsa.layers, rsa.people, draws, comparison=rsa.comparison).similarity[0]
    known = usable & np.isfinite(values).all(axis=1)
    cases, values = cases[known].reset_index(drop=True), values[known]
    table = xr.Dataset({"similarity": (RDM, values[0])}, coords_along(rsa.rdms, RDM))
    places = layers_of(table, network)
    names = np.asarray(table[LAYER].values, dtype=str)[places]
    depth = np.asarray(table[DEPTH].values, dtype=float)[places]
    best = values[:, places].argmax(axis=1)
    columns: dict[str, Any] = {
        "similarity": ((CASE, LAYER), values[:, places]),
        "picked": (CASE, names[best]),
        "picked_depth": (CASE, depth[best]),
    }
    attrs: dict[str, Any] = {
        "comparison": rsa.comparison,
        "groups": rsa.groups,
        "network": network,
        "baseline": baseline,
        "halves": halves,
        "seed": seed,
        "too_few": int((~known).sum()),
        "simulated": any(bool(each.attrs.get("simulated", False)) for each in (rsa.rdms, rsa.human)),
        **({UNSIGNED: True} if rsa.unsigned else {}),
        **origin_of(rsa.rdms.attrs),
    }
    if baseline is not None:
        matched = matched_layers(table, network=network, baseline=baseline)
        difference = np.full((len(values), len(places)), np.nan)
        at = [int(np.flatnonzero(places == place)[0]) for place in matched.network]
        difference[:, at] = values[:, matched.network] - values[:, matched.baseline]
        shown = int(best[0]) if np.isfinite(difference[0, best[0]]) else int(np.nanargmax(np.abs(difference[0])))
        columns |= {"difference": ((CASE, LAYER), difference), "contrast": (CASE, difference[:, shown])}
        attrs["contrast_at"] = str(names[shown])
    kinds = [kind for kind in dict.fromkeys(cases[KIND]) if kind != ALL]
    for name, same in _same(columns, best).items():
        columns[name] = ("kind_left_out", [float(same[cases[KIND] == kind].mean()) for kind in kinds])
    coords = {
        CASE: cases[CASE].to_numpy(dtype=str),
        KIND: (CASE, cases[KIND].to_numpy(dtype=str)),
        "value": (CASE, cases["value"].to_numpy(dtype=str)),
        LAYER: names,
        DEPTH: (LAYER, depth),
        "kind_left_out": kinds,
    }
    return xr.Dataset(columns, coords, attrs)


def _same(columns: dict[str, Any], best: np.ndarray) -> dict[str, np.ndarray]:
    same = {"same_layer": best == best[0]}
    if "contrast" in columns:
        contrast = columns["contrast"][1]
        same["same_sign"] = np.sign(contrast) == np.sign(contrast[0])
    return same


def _factors(rsa: RSA, factors: Sequence[str] | None) -> dict[str, np.ndarray]:
    known = {name: np.asarray(factor.values).astype(str) for name, factor in factors_of(rsa.human).items()}
    if factors is not None:
        for name in factors:
            must_be_known(name, known, "factor of the stimuli")
        return {name: known[name] for name in factors}
    wanted = dict.fromkeys([*FACTORS, *([rsa.groups] if rsa.groups else [])])
    several = {name: len(np.unique(known[name])) for name in wanted if name in known}
    return {name: known[name] for name, count in several.items() if 1 < count < len(known[name])}


def _cases(
    rsa: RSA, factors: dict[str, np.ndarray], halves: int, seed: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return what is left out in each case, and how often each stimulus and participant is then counted."""
    count, ids = rsa.human.sizes[STIMULUS_I], [str(name) for name in rsa.human[PARTICIPANT].values]
    everything, everybody = np.ones(count, dtype=np.int64), np.ones(len(ids), dtype=np.int64)
    rows: list[tuple[str, str, np.ndarray, np.ndarray]] = [(ALL, "", everything, everybody)]
    for factor, values in factors.items():
        rows += [(factor, value, (values != value).astype(np.int64), everybody) for value in _in_order(values)]
    for at, name in enumerate([] if rsa.unsigned else ids):
        rows.append((PARTICIPANT, name, everything, everybody - (np.arange(len(ids)) == at)))
    members = group_members(rsa.human, rsa.groups)[hashed_order(names_of_units(rsa.human, rsa.groups)[0])]
    rng = rng_from(seed, "halves of stimuli")
    for number in range(1, halves + 1):
        first = np.zeros(len(members), dtype=bool)
        first[rng.permutation(len(members))[: len(members) // 2]] = True
        sides = (("a", first), ("b", ~first))
        rows += [(HALF, f"{number}{side}", members[some].sum(axis=0), everybody) for side, some in sides]
    names = [(f"{kind} {value}".strip(), kind, value) for kind, value, *_ in rows]
    cases = pd.DataFrame(names, columns=[CASE, KIND, "value"])
    return cases, np.stack([row[2] for row in rows]), np.stack([row[3] for row in rows])


def _in_order(values: np.ndarray) -> list[str]:
    """Return the values of a factor, numbers by size."""
    try:
        return sorted(dict.fromkeys(values.tolist()), key=float)
    except ValueError:
        return sorted(dict.fromkeys(values.tolist()))
