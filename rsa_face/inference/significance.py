"""Whether a similarity is more than chance: p values of shuffles, and corrections for having asked many times."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from rsa_face.schema import must_be_known


def permutation_p(
    observed: Float[np.ndarray, " rdm"], null: Float[np.ndarray, "shuffle rdm"]
) -> Float[np.ndarray, " rdm"]:
    """Return how often a shuffle is at least as similar as what was observed, the observed one counted in.

    Parameters
    ----------
    observed : array, shape (rdm,)
        Similarities.
    null : array, shape (shuffle, rdm)
        The same after shuffling.

    Returns
    -------
    array, shape (rdm,)
        (k + 1) / (shuffles + 1): never 0, and exact. Phipson & Smyth 2010, 10.2202/1544-6115.1585.

    Examples
    --------
    >>> permutation_p(np.array([0.5]), np.array([[0.1], [0.6], [-0.2]]))
    array([0.5])
    """
    as_large = (null >= observed - _rounding(observed, null)).sum(axis=0)
    return np.asarray((1 + as_large) / (null.shape[0] + 1), dtype=float)


def maximum_p(
    observed: Float[np.ndarray, " rdm"], null: Float[np.ndarray, "shuffle rdm"]
) -> Float[np.ndarray, " rdm"]:
    """Return the p value of each similarity among its whole family: how often the largest by chance is as large.

    Each RDM is first put on the scale of its own shuffles (the observed one counted in, which keeps the test
    exact); otherwise the RDM that strays most by chance would set the bar for all the others.

    Parameters
    ----------
    observed : array, shape (rdm,)
        Similarities of the planned family.
    null : array, shape (shuffle, rdm)
        The same after shuffling, all RDMs by the same shuffle.

    Returns
    -------
    array, shape (rdm,)
        The family-wise error is held whatever the RDMs share. Never 0, never below `permutation_p` by more than
        the scaling moves it. Nichols & Holmes 2002, 10.1002/hbm.1058.
    """
    everything = np.vstack([observed, null])
    centre, scale = everything.mean(axis=0), everything.std(axis=0)
    scaled = np.divide(everything - centre, scale, out=np.zeros_like(everything), where=scale > 0)
    maxima = np.sort(scaled[1:].max(axis=1))
    as_large = maxima.size - np.searchsorted(maxima, scaled[0] - 1e-9, side="left")
    return np.asarray((1 + as_large) / (maxima.size + 1), dtype=float)


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Return p values corrected so that the chance of any false claim in the family is held (Holm).

    Parameters
    ----------
    p : array, shape (test,)
        The p values of the planned family; NaN where there was no test, which does not count.

    Returns
    -------
    array, shape (test,)
        At most 1, NaN where `p` is. Holm 1979, Scandinavian Journal of Statistics 6, 65-70,
        10.2307/4615733.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    corrected = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)))
    return corrected


def false_discovery(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Return p values corrected so that the expected share of false claims is held (Benjamini-Hochberg).

    Parameters
    ----------
    p : array, shape (test,)
        The p values of the planned family; NaN where there was no test, which does not count.

    Returns
    -------
    array, shape (test,)
        At most 1, NaN where `p` is. Benjamini & Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x.

    Examples
    --------
    >>> false_discovery(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.04, 0.04])
    """
    corrected = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        corrected[tested] = stats.false_discovery_control(p[tested], method="bh")
    return corrected


def correct(p: Float[np.ndarray, " test"], *, method: str) -> Float[np.ndarray, " test"]:
    """Return the p values of a planned family, corrected by the method named.

    The family is what was asked before looking: every layer above zero, or one network minus another at every
    matched layer. Correcting over all pairs of layers instead would lose most of the power for questions that
    nobody asked.

    Parameters
    ----------
    p : array, shape (test,)
        The p values, all of them; NaN where there was no test.
    method : str
        ``"holm"``, ``"fdr"`` or ``"none"``.

    Returns
    -------
    array, shape (test,)
        The corrected p values.

    Raises
    ------
    ValueError
        If the method is unknown, or a p value is not above 0 and at most 1.
    """
    must_be_known(method, CORRECTIONS, "correction")
    wrong = p[~np.isnan(p) & ~((p > 0) & (p <= 1))]
    if wrong.size:
        message = f"A p value must be above 0 and at most 1, but {wrong[:20].tolist()} are not. Mend it."
        raise ValueError(message)
    return CORRECTIONS[method](p)


def sign_flips(
    participants: int, *, shuffles: int, rng: np.random.Generator
) -> Float[np.ndarray, "shuffle participant"]:
    """Return the signs with which participants' differences are turned around to see what chance does.

    All of them, once each, where there are few participants; random ones otherwise.

    Parameters
    ----------
    participants : int
        How many there are; at least 5 (four allow no p value below .0625).
    shuffles : int
        How many to draw at most.
    rng : numpy.random.Generator
        The source of chance.

    Returns
    -------
    array, shape (shuffle, participant)
        Of +1 and -1; the unturned one is not among all of them.

    Raises
    ------
    ValueError
        If there are fewer than 5 participants.
    """
    if participants < 5:
        message = (
            f"At least 5 participants are needed to turn differences around, but there are {participants}: no p "
            f"value could be below {2.0**-participants:.3g}. Resample stimuli instead."
        )
        raise ValueError(message)
    if 2**participants - 1 <= shuffles:
        every = (np.arange(1, 2**participants)[:, None] >> np.arange(participants)) & 1
        return np.asarray(1.0 - 2.0 * every, dtype=float)
    return np.asarray(rng.choice([-1.0, 1.0], size=(shuffles, participants)), dtype=float)


def cluster_masses(
    t: Float[np.ndarray, "draw layer"], *, threshold: float
) -> tuple[Float[np.ndarray, "draw layer"], Int[np.ndarray, "draw layer"]]:
    """Return runs of neighbouring layers above a threshold, each with the sum of its t values.

    Parameters
    ----------
    t : array, shape (draw, layer)
        t values in order of depth.
    threshold : float
        What each layer of a run lies above; its negative for runs of negative values.

    Returns
    -------
    tuple of array, each of shape (draw, layer)
        The absolute mass of the run that a layer belongs to (0 if none), and the run's number from 1 (0 if none).
        A run ends where the sign changes.
    """
    side = np.sign(t) * (np.abs(t) > threshold)
    before = np.concatenate([np.zeros((t.shape[0], 1)), side[:, :-1]], axis=1)
    number = np.where(side != 0, np.cumsum((side != 0) & (side != before), axis=1), 0)
    runs = int(number.max(initial=0))
    sums = np.zeros((t.shape[0], runs + 1))
    np.add.at(sums, (np.arange(t.shape[0])[:, None], number), np.abs(t) * (side != 0))
    return np.take_along_axis(sums, number, axis=1) * (number > 0), number.astype(int)


def cluster_p(
    t: Float[np.ndarray, " layer"], null: Float[np.ndarray, "shuffle layer"], *, threshold: float
) -> tuple[Float[np.ndarray, " layer"], Int[np.ndarray, " layer"]]:
    """Return the p value of the run of layers that each layer belongs to.

    Parameters
    ----------
    t : array, shape (layer,)
        Observed t values in order of depth.
    null : array, shape (shuffle, layer)
        The same by chance.
    threshold : float
        What each layer of a run lies above, two-sided.

    Returns
    -------
    tuple of array, each of shape (layer,)
        How often the heaviest run by chance is as heavy (1 for layers in no run), and the run's number (0 for
        none). It says that there is a difference somewhere along the run, not at which of its layers it begins.
        Maris & Oostenveld 2007, 10.1016/j.jneumeth.2007.03.024; Sassenhagen & Draschkow 2019, 10.1111/psyp.13335.
    """
    mass, number = cluster_masses(t[None], threshold=threshold)
    heaviest = np.sort(cluster_masses(null, threshold=threshold)[0].max(axis=1))
    as_heavy = heaviest.size - np.searchsorted(heaviest, mass[0] - 1e-9, side="left")
    inside: Bool[np.ndarray, " layer"] = number[0] > 0
    return np.where(inside, (1 + as_heavy) / (heaviest.size + 1), 1.0), number[0]


def _uncorrected(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    return p.copy()


CORRECTIONS: dict[str, Callable[[Float[np.ndarray, " test"]], Float[np.ndarray, " test"]]] = {
    "holm": holm,
    "fdr": false_discovery,
    "none": _uncorrected,
}


def _rounding(*values: Float[np.ndarray, "..."]) -> float:
    return 1e-12 * max(1.0, *(float(np.abs(value).max(initial=0.0)) for value in values))
