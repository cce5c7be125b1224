"""The questions to layers and people as functions: each makes an `RSA`, or finds the one a result was made from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from numpy.typing import NDArray

from rsa_face import provenance
from rsa_face.inference.resampling import (
    AUTO,
)
from rsa_face.inference.rsa import ABOVE, MAXIMUM, RSA, Result, corrected_table
from rsa_face.inference.statistics import CORRECTIONS
from rsa_face.schema import (
    must_be_known,
)


def compare_layers(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    resample: str | None = "dual",
    draws: int = 1000,
    seed: int = 0,
    groups: str | None = AUTO,
    resamples: Mapping[str, NDArray[Any]] | None = None,
    variance: str = "jackknife",
    confidence: float = 0.95,
    memory: float = 2.0,
    device: str = "auto",
    cluster: str | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Compare every layer with every participant, and say how sure the result is.

    Conclusions about people in general need participants drawn, conclusions about faces in general need stimuli
    drawn; ``"dual"`` is for both (Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, 10.7554/eLife.82566). Definitions
    are rsatoolbox's: for the same draws the values are equal. The dual bootstrap's own variance is too large with
    fewer than some 40 stimuli, so the standard errors are jackknifed unless asked otherwise (README, calibration).

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs, of the same stimuli as the human RDMs in any order. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of two participants or more; NaN means never judged. Not changed.
    comparison : str
        One of cosine, corr, spearman, rho-a, tau-a, kendall (tau-b), corr_cov and cosine_cov.
    resample : str, optional
        What to draw: ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"``. If None, the interval and the p
        values come from the spread over participants, and say nothing about other stimuli: where those vary too,
        unrelated layers pass for similar far more often than one in twenty times (README, calibration).
    draws : int
        How many draws.
    seed : int
        The study's seed.
    groups : str, optional
        A coordinate along `stimulus_i` whose values are drawn with all their stimuli, since images of one person are
        not independent. ``"auto"``: `identity`, where layer or human RDMs have it and an identity has two stimuli or
        more. None draws stimuli one by one, with a warning where ``"auto"`` would not. Five groups are needed for
        jackknifed errors, three to be drawn at all; of two identities, stimuli are drawn one by one, with a warning.
    resamples : mapping of str to array of int, optional
        The draws to take instead, as in `draw_resamples`: positions in the order of `human`.
    variance : str
        Where the standard errors of ``"dual"`` come from: ``"jackknife"``, stimuli and participants left out one and
        two at a time (`sampling_error`), or ``"bootstrap"``, the draws, as in rsatoolbox. Other ways to resample
        always take the draws'; so do fewer than five stimuli (or groups) or three participants, with a warning and
        the reason in the attr `variance_reason`.
    confidence : float
        Of the intervals, between 0 and 1.
    memory : float
        GiB to use at most.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a graphics processor where there is one and the comparison runs there
        (cosine, corr, spearman and rho-a of RDMs without missing pairs).
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand the draws to dask workers, which compute on the CPU; the values are
        the same to the bit.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset
        `similarity` (rdm), `participant_similarity` (rdm, participant), `similarity_interval` (rdm, bound),
        `similarity_variance` (rdm), `noise_ceiling` (bound) and `noise_ceiling_extrapolated`, that of ever more
        participants (`extrapolated_ceiling`), `p_above_zero` (rdm), one-sided, and `p_below_ceiling`
        (rdm), two-sided as in rsatoolbox, against the lower bound; neither is corrected for the number of layers.
        Cosines are above 0 for unrelated RDMs too, so cosine and cosine_cov come without `p_above_zero`:
        `correct_layers` shuffles labels for it. The attr `groups` names what stimuli were drawn by.
        With draws, also `p_above_zero_percentile` and `p_below_ceiling_percentile` (rdm), the share of draws on the
        other side, both one-sided; `similarity_draws` (draw, rdm), `noise_ceiling_draws` (draw, bound) and
        `noise_ceiling_interval` (bound, limit); for the dual bootstrap the draws over participants alone and stimuli
        alone beside them, with ``_participant`` and ``_stimulus`` in their names, and, where the standard errors are
        jackknifed, the rows they are made of (`similarity_jackknife`). The attr `variance` says where they come
        from; `degrees_of_freedom` (rdm) are theirs. Skipped draws are NaN, and counted in the attr `skipped`; draws
        thrown away and drawn again are counted in `redrawn`.

    Raises
    ------
    ValueError
        If the stimuli differ or are fewer than three, there is one participant only, no participant judged pairs that
        others did, an RDM cannot be compared, a choice is unknown, or the memory does not suffice.
    """
    return (
        RSA(rdms, human, comparison=comparison, groups=groups)
        .bootstrap(
            resample,
            draws=draws,
            seed=seed,
            resamples=resamples,
            variance=variance,
            confidence=confidence,
            memory=memory,
            device=device,
            cluster=cluster,
            progress=progress,
        )
        .table
    )


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
    """
    must_be_known(method, (MAXIMUM, *(name for name in CORRECTIONS if name != "none")), "correction")
    if rdms is not None and human is not None:
        return Result.of(result, rdms, human).layers(correction=method, shuffles=shuffles)
    if rdms is not None or human is not None:
        given, missing = ("rdms", "human") if human is None else ("human", "rdms")
        message = f"`{given}` is given without `{missing}`. Give the RDMs of both, or of neither."
        raise ValueError(message)
    kind = {"p_above_zero_kind": "t"} if ABOVE in result else {}
    return corrected_table(result, method, {}).assign_attrs(kind)


def add_partial(
    result: xr.Dataset,
    *,
    rdms: xr.DataArray,
    human: xr.DataArray,
    controls: xr.DataArray,
    method: str | None = None,
) -> xr.Dataset:
    """Put the similarity that remains given control RDMs beside the raw one.

    A morph between two expressions changes everything along one line: pixels, level and every layer order the
    stimuli alike, and a raw similarity cannot tell them apart.

    Over the pairs a participant judged, layer, participant and controls are ranked (not for ``corr``), the controls
    are regressed out of both, and the residuals correlated. For ``rho-a`` the controls are taken out wholly, while
    ties of layer and participant lower the result as they lower rho-a: residual products are divided by the geometric
    mean of (n³ - n) / 12 less what the controls explain of each. Without ties it is the partial Spearman correlation;
    without controls it is rho-a.
    """
    return Result.of(result, rdms, human).partial(controls, method=method)


def held_out_similarity(
    where: xr.Dataset, result: xr.Dataset, *, rdms: xr.DataArray, human: xr.DataArray
) -> xr.Dataset:
    """Evaluate the layer that each draw picks on the stimuli and participants that the draw left out.

    The best of many layers looks better than it is on the draw that chose it. About a third of stimuli and of
    participants are left out of any draw; they tell what the picked layer is worth to others. Where stimuli were
    drawn in groups, whole groups are left out.

    The similarity of a layer over all pairs is no measure of the loss: of stimuli left out in groups, more pairs are
    of one group (a fourth of the pairs of 3 groups of 3, an eighth of those of 6), and a layer that tells groups
    apart is more similar there. `same_pairs_similarity` is: it is that of the layer which all data pick, these
    included, over the same pairs and participants.
    """
    return Result.of(result, rdms, human).held_out(where)


def load(path: str | Path) -> xr.DataArray | xr.Dataset | Result:
    """Read what `save`, `Result.save` or a study wrote, into memory.

    Parameters
    ----------
    path : str or Path
        A netCDF file.

    Returns
    -------
    DataArray, Dataset or Result
        As it was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not netCDF, or is damaged.
    """
    array = provenance.load(path)
    if not isinstance(array, xr.Dataset) or not array.attrs.pop("is_result", False):
        return array
    kept = ("layer_rdms", "human_rdms")
    return Result.of(array.drop_dims(["stimulus_i", "stimulus_j"]), *(array[name] for name in kept))
