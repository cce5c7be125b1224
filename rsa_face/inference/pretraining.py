"""What pre-training does to a network's perception: one minus another, and which architecture it sways less."""

from dataclasses import replace

import numpy as np
import xarray as xr

from rsa_face.inference.seeds import Measured, OverSeeds, Term, sum_over_seeds
from rsa_face.schema import BOUND, BOUNDS

BIAS, AGAINST, ARCHITECTURE, QUANTITY = "bias", "against", "architecture", "quantity"
ALL_LAYERS = "mean of layers"


def contrast_pretrainings(
    measured: Measured,
    *,
    pretrainings: tuple[str, str],
    network: str = "fe_alexnet",
    summary: str | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Subtract one pre-training from another within each architecture, and ask in which the difference is smaller.

    A bias may point either way, and it is weaker if it is nearer to 0: beside the difference of the biases stands
    the difference of their sizes, with an interval that allows for not knowing their signs.

    Parameters
    ----------
    measured : Measured
        Of networks named ``architecture/pretraining/seed``.
    pretrainings : tuple of str
        The one that counts as plus (``imagenet``), and the one that is subtracted (``vggface2``).
    network : str
        The architecture whose bias should be smaller than the others'.
    summary : str, optional
        Also take the mean over all quantities of an architecture, and call it so.
    confidence : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    Dataset, dims (bias, bound) and (against, bound)
        For each architecture and quantity ``first`` and ``second`` (the two pre-trainings' means over seeds),
        ``difference`` with ``*_error``, ``*_interval`` and two-sided ``p_difference``. For each other
        architecture and shared quantity ``excess``, the network's difference minus the other's, with the same;
        ``size_excess``, the size of the network's minus that of the other's, with its interval; and ``p_smaller``,
        small where the network's is the smaller. Attrs name the pre-trainings, and what the intervals are ``over``.

    Raises
    ------
    ValueError
        If no architecture has both pre-trainings, or seeds differ.

    Notes
    -----
    The size excess is the larger, over the signs of one bias, of the smaller, over those of the other, of four
    signed differences; its bounds are those of the signed differences, which hold together (Bonferroni). One bias is
    smaller than the other if their difference and their sum have the same sign: each sign is tested by both at once
    (Berger 1982, 10.1080/00401706.1982.10487790), and p is doubled for the two signs. Nothing is corrected for the
    number of quantities: the summary is the one planned.
    """
    found = shared_quantities(measured, pretrainings)
    if not found:
        message = (
            f"Some architecture must have both pre-trainings {list(pretrainings)} to compare them, but the networks "
            f"are {list(measured.networks)}. Train one from each, with the same seeds."
        )
        raise ValueError(message)
    rows = [(name, quantity) for name, each in found.items() for quantity in _with_summary(each, summary)]
    biases = {row: _bias(*row, pretrainings, found, summary) for row in rows}
    result = _differences(measured, rows, biases, confidence)
    others = [name for name in found if name != network]
    pairs = [row for row in rows if row[0] in others and (network, row[1]) in biases]
    if network in found and pairs:
        result = result.merge(_excesses(measured, pairs, biases, network, confidence))
    first, second = pretrainings
    return result.assign_attrs(
        first=first, second=second, network=network, summary=summary or "", confidence=confidence,
        interval_kind="root of the sum of t squared times the variance, over seeds and over stimuli and participants",
    )  # fmt: skip


def smaller_size(difference: OverSeeds, total: OverSeeds, *, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure it is that one quantity is nearer to 0 than another, whatever their signs.

    Parameters
    ----------
    difference, total : OverSeeds
        The first minus the second, and their sum.
    confidence : float
        Of the interval.

    Returns
    -------
    interval : array, shape (sum, 2)
        Of the size of the first minus that of the second.
    p : array, shape (sum,)
        One-sided, of the first being the smaller.
    """
    both = (1 + confidence) / 2
    (d_low, d_high), (t_low, t_high) = (each.interval(both).T for each in (difference, total))
    lower = np.maximum(np.minimum(d_low, t_low), np.minimum(-t_high, -d_high))
    upper = np.maximum(np.minimum(d_high, t_high), np.minimum(-t_low, -d_low))
    signs = []
    for sign in (1.0, -1.0):
        parts = (_turned(difference, -sign), _turned(total, sign))
        signs.append(np.maximum(*(part.p(two_sided=False) for part in parts)))
    return np.stack([lower, upper], axis=1), np.asarray(np.minimum(1.0, 2 * np.minimum(*signs)))


def shared_quantities(measured: Measured, pretrainings: tuple[str, str]) -> dict[str, list[str]]:
    """Return what was measured of every seed from both pre-trainings, by architecture.

    Parameters
    ----------
    measured : Measured
        Of networks named ``architecture/pretraining/seed``.
    pretrainings : tuple of str
        The two.

    Returns
    -------
    dict of str to list of str
        Architectures of which nothing was measured from both are absent.
    """
    starts = measured.starts
    architectures = dict.fromkeys(start.rpartition("/")[0] for start in starts)
    found = {}
    for name in architectures:
        pair = [f"{name}/{each}" for each in pretrainings]
        if all(start in starts for start in pair):
            places = [place for start in pair for place in starts[start].values()]
            there = ~np.isnan(measured.values[places]).any(axis=0)
            found[name] = [quantity for quantity, kept in zip(measured.quantities, there, strict=True) if kept]
    return {name: each for name, each in found.items() if each}


def _with_summary(quantities: list[str], summary: str | None) -> list[str]:
    return quantities if summary is None else [summary, *quantities]


def _of_start(start: str, quantity: str, quantities: list[str], summary: str | None) -> Term:
    if quantity == summary:
        return {(start, each): 1 / len(quantities) for each in quantities}
    return {(start, quantity): 1.0}


def _bias(
    name: str, quantity: str, pretrainings: tuple[str, str], found: dict[str, list[str]], summary: str | None
) -> tuple[Term, Term]:
    plus, minus = (_of_start(f"{name}/{each}", quantity, found[name], summary) for each in pretrainings)
    return plus, minus


def _differences(
    measured: Measured,
    rows: list[tuple[str, str]],
    biases: dict[tuple[str, str], tuple[Term, Term]],
    confidence: float,
) -> xr.Dataset:
    first, second = (sum_over_seeds(measured, [biases[row][side] for row in rows]) for side in (0, 1))
    apart = sum_over_seeds(measured, [_minus(*biases[row]) for row in rows])
    columns: dict[str, object] = {"first": (BIAS, first.estimate), "second": (BIAS, second.estimate)}
    columns |= _columns("difference", apart, BIAS, confidence)
    attrs = {"over": list(apart.over), "seeds": len(apart.each)}
    return xr.Dataset(columns, {**_labels(BIAS, rows), BOUND: list(BOUNDS)}, attrs)


def _excesses(
    measured: Measured,
    pairs: list[tuple[str, str]],
    biases: dict[tuple[str, str], tuple[Term, Term]],
    network: str,
    confidence: float,
) -> xr.Dataset:
    own = [_minus(*biases[network, quantity]) for _, quantity in pairs]
    others = [_minus(*biases[row]) for row in pairs]
    apart = sum_over_seeds(measured, [_minus(*both) for both in zip(own, others, strict=True)])
    total = sum_over_seeds(measured, [{**one, **other} for one, other in zip(own, others, strict=True)])
    size = np.abs(sum_over_seeds(measured, own).estimate) - np.abs(sum_over_seeds(measured, others).estimate)
    interval, p = smaller_size(apart, total, confidence=confidence)
    columns = _columns("excess", apart, AGAINST, confidence)
    columns |= {
        "size_excess": (AGAINST, size),
        "size_excess_interval": ((AGAINST, BOUND), interval),
        "p_smaller": (AGAINST, p),
    }
    return xr.Dataset(columns, {**_labels(AGAINST, pairs), BOUND: list(BOUNDS)})


def _columns(name: str, found: OverSeeds, dim: str, confidence: float) -> dict[str, object]:
    return {
        name: (dim, found.estimate),
        f"{name}_error": (dim, found.error),
        f"{name}_interval": ((dim, BOUND), found.interval(confidence)),
        f"p_{name}": (dim, found.p()),
    }


def _labels(dim: str, rows: list[tuple[str, str]]) -> dict[str, tuple[str, list[str]]]:
    other = ARCHITECTURE if dim == BIAS else "other"
    quantity = QUANTITY if dim == BIAS else "compared"
    return {other: (dim, [name for name, _ in rows]), quantity: (dim, [each for _, each in rows])}


def _minus(plus: Term, minus: Term) -> Term:
    return {**plus, **{place: -weight for place, weight in minus.items()}}


def _turned(found: OverSeeds, sign: float) -> OverSeeds:
    return replace(found, each=sign * found.each)
