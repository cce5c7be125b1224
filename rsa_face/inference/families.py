"""Correct a comparison's p values for the number of layers that were asked about."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from rsa_face.inference.comparisons import comparable
from rsa_face.inference.permutation import FEWEST_SHUFFLES, blocks_of, count_shuffles, shuffles_of
from rsa_face.inference.resampling import group_members
from rsa_face.inference.results import LOWER_CEILING, resampled_of
from rsa_face.inference.significance import CORRECTIONS, correct
from rsa_face.inference.simultaneous import family_p
from rsa_face.schema import RDM, must_be_known

MAXIMUM = "max"
ABOVE, BELOW = "p_above_zero", "p_below_ceiling"

Columns = dict[str, tuple[str, Float[np.ndarray, " rdm"]]]


def correct_layers(
    result: xr.Dataset,
    *,
    rdms: xr.DataArray | None = None,
    human: xr.DataArray | None = None,
    method: str = MAXIMUM,
    shuffles: int | None = None,
) -> xr.Dataset:
    """Put p values corrected over the planned family, every layer of the result, beside the raw ones.

    With the RDMs, whether a layer is above zero is tested by shuffling stimulus labels, which holds its level; the t
    test of the dual bootstrap claims less often than it may. Where stimuli were drawn in groups, the t test over
    groups stays: it asks about other people's faces, and labels shuffled in blocks about these alone, and about less
    (`shuffle_layers`). There shuffles stand in only where no stimuli were drawn, or the comparison has no t test.
    Leave layers that nobody asked about out of the comparison: each makes the bar higher for the others.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        What `compare_layers` returned. Not changed.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j), optional
        The layer RDMs it was made from; with them, stimulus labels are shuffled. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), optional
        The human RDMs it was made from. Not changed.
    method : str
        ``"max"``: the largest over layers within each shuffle or draw, which uses what neighbouring layers share and,
        for the ceiling, needs draws; ``"holm"``: holds the same family-wise error without draws; ``"fdr"``: Benjamini
        and Hochberg's, which holds the expected share of false claims instead.
    shuffles : int, optional
        How many; if not given 1000, or for the other methods 200 a layer, since the smallest p value that shuffles
        allow must be far below .05 over the number of layers.

    Returns
    -------
    Dataset
        The result with ``p_above_zero_corrected (rdm)`` and, with a noise ceiling, ``p_below_ceiling_corrected
        (rdm)``; ``attrs["correction"]`` names the method. Where labels are shuffled, ``p_above_zero`` is that of the
        shuffles, the t test's is kept as ``p_above_zero_t``, and ``attrs["p_above_zero_kind"]`` is ``"shuffle"``
        (``"shuffle of groups"``); otherwise it is ``"t"``.

    Raises
    ------
    ValueError
        If the method is unknown, or needs draws that the result does not hold; if one kind of RDMs is given without
        the other, or they are not those of the result.
    """
    must_be_known(method, (MAXIMUM, *(name for name in CORRECTIONS if name != "none")), "correction")
    if (rdms is None) != (human is None):
        given, lacking = ("rdms", "human") if human is None else ("human", "rdms")
        message = f"RDMs of layers and people must be given together, but `{lacking}` is missing beside `{given}`. "
        msg = f"{message}Give both, or neither."
        raise ValueError(msg)
    if rdms is not None and human is not None:
        rdms, human = comparable(rdms, human)
    columns: Columns = {}
    if rdms is not None and human is not None and _shuffles_test(result, human):
        columns |= _shuffled(result, rdms, human, method, shuffles)
        grouped = result.attrs.get("groups") is not None
        result = result.assign_attrs(p_above_zero_kind="shuffle of groups" if grouped else "shuffle")
    elif ABOVE in result:
        result = result.assign_attrs(p_above_zero_kind="t")
    if method == MAXIMUM:
        columns = _by_largest_t(result, without_above="p_above_zero_corrected" in columns) | columns
    else:
        raw = {name: result[name].values for name in (ABOVE, BELOW) if name in result}
        columns = {
            f"{name}_corrected": (RDM, correct(np.asarray(p), method=method)) for name, p in raw.items()
        } | columns
    return result.assign(columns).assign_attrs(correction=method)


def _shuffles_test(result: xr.Dataset, human: xr.DataArray) -> bool:
    """Whether shuffles take the place of the t test: never that of a valid test over groups."""
    groups = result.attrs.get("groups")
    if groups is None:
        return True
    if ABOVE in result and result.attrs.get("resample") in ("stimulus", "both", "dual"):
        return False
    if len(set(group_members(human, groups).sum(axis=1).tolist())) > 1:
        return False  # groups of different sizes cannot change places
    blocks, crossed = blocks_of(human, groups)
    return count_shuffles(*blocks.shape, crossed=crossed) >= FEWEST_SHUFFLES


def _shuffled(
    result: xr.Dataset, rdms: xr.DataArray, human: xr.DataArray, method: str, shuffles: int | None
) -> Columns:
    layers = result.sizes[RDM]
    wanted = shuffles or (1000 if method == MAXIMUM else max(1000, 200 * layers))
    comparison, seed = str(result.attrs["comparison"]), int(result.attrs["seed"])
    found = shuffles_of(
        rdms, human, comparison=comparison, shuffles=wanted, seed=seed, groups=result.attrs.get("groups")
    )
    names = [str(name) for name in result[RDM].values]
    same = [str(name) for name in found[RDM].values] == names
    if not same or not np.allclose(found["similarity"], result["similarity"], atol=1e-8):
        message = (
            "The RDMs must be those the result was made from, but they do not give its similarities of "
            f"{names[:8]}. Give the same files."
        )
        raise ValueError(message)
    raw = np.asarray(found["p_permutation"].values, dtype=float)
    corrected = found["p_permutation_corrected"].values if method == MAXIMUM else correct(raw, method=method)
    of_t: Columns = (
        {"p_above_zero_t": (RDM, np.asarray(result[ABOVE].values, dtype=float))} if ABOVE in result else {}
    )
    return of_t | {
        ABOVE: (RDM, raw),
        f"{ABOVE}_corrected": (RDM, np.maximum(np.asarray(corrected, dtype=float), raw)),
    }


def _by_largest_t(result: xr.Dataset, *, without_above: bool) -> Columns:
    resampled, layers = resampled_of(result), result.sizes[RDM]
    identity = np.eye(resampled.estimate.size)
    families = {} if without_above else {ABOVE: (identity[:, :layers], False)}
    if "noise_ceiling_draws" in result:
        families[BELOW] = (identity[:, :layers] - identity[:, [LOWER_CEILING]], True)
    return {
        f"{name}_corrected": (
            RDM,
            np.maximum(
                family_p(resampled.spread(weights), two_sided=two_sided), np.asarray(result[name].values, dtype=float)
            ),
        )
        for name, (weights, two_sided) in families.items()
        if name in result
    }
