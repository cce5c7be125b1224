"""Representational similarity analysis: layer and human RDMs, aligned once, and every answer drawn from them.

`RSA` holds the RDMs; `RSA.bootstrap` returns a `Result`, which keeps the draws it was made from, so that the next
question (corrected p values, partial similarity, the layer that was picked evaluated on what did not pick it) needs
neither the RDMs again nor draws made again. The functions at the end ask the same of arrays and datasets: each makes
an `RSA`, or finds the one that a result was made from.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from rsa_face import markup, provenance
from rsa_face.inference.ceiling import (
    ceiling_of,
    ceiling_of_ratings,
    extrapolated_ceiling,
    refuse_one_participant,
)
from rsa_face.inference.comparisons import comparable, compare_vectors, label_similarity
from rsa_face.inference.draws import Evaluated, evaluate_draws, evaluate_draws_on, mean_over
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import TARGET, contrast_layers, left_out, localize, picks_within_draws
from rsa_face.inference.permutation import FEWEST_SHUFFLES, blocks_of, count_shuffles, shuffles_of
from rsa_face.inference.resampling import (
    AUTO,
    ROW,
    Deletions,
    Draws,
    choose_groups,
    deletions_of,
    draw_resamples,
    draws_from_counts,
    group_members,
    jackknife_rows,
)
from rsa_face.inference.results import (
    ABOVE,
    MAXIMUM,
    Columns,
    corrected_table,
    layers_of,
    to_frame,
    why_not_jackknifed,
    with_deletion_errors,
    with_draw_errors,
    with_draws,
    with_errors_over_people,
    without_draws,
    without_tests,
)
from rsa_face.inference.statistics import CORRECTIONS, correct
from rsa_face.inference.variance import METHODS, partial_draws, partial_interval, partial_similarity
from rsa_face.memory import bytes_of
from rsa_face.provenance import rng_from
from rsa_face.rdms.align import align_stimuli, select_stimuli
from rsa_face.rdms.controls import StimulusTable, control_rdms
from rsa_face.safety import first_of
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    COMPARISONS,
    DRAW,
    NETWORK,
    ORDER,
    OTHER_MEASURES,
    PARTICIPANT,
    RDM,
    STIMULUS,
    STIMULUS_I,
    UNSIGNED,
    check_rdms,
    coords_along,
    factors_of,
    must_be_known,
    origin_of,
    stimulus_ids,
)

VARIANCES = ("jackknife", "bootstrap")
"""Where the standard errors of a dual bootstrap come from."""

SHUFFLED = "p_above_zero_shuffled"
DRAWN = ("drawn_stimuli", "drawn_participants")
"""The variables of a result that say how often each draw took each stimulus and each participant."""

_OF_CEILING = ("comparison", "groups", "resample", "draws", "redrawn", "skipped", "variance", "seed", "confidence",
               "simulated")  # fmt: skip
_SAVED = ("layer_rdms", "human_rdms")  # the variables of a saved result that hold the RDMs it was made from
_SAME = 1e-8  # similarities of the same RDMs differ by rounding alone

Function = TypeVar("Function", bound=Callable[..., Any])


def options_of(other: Callable[..., Any]) -> Callable[[Function], Function]:
    """Give a function that passes its ``**options`` on what the other's signature and docstring say of them.

    So each option stands once, and help and completion show it wherever it can be given.
    """

    def give(function: Function) -> Function:
        signature, theirs = inspect.signature(function), inspect.signature(other).parameters
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        names = [
            name
            for name, each in theirs.items()
            if each.default is not each.empty and name not in signature.parameters
        ]
        more = [theirs[name].replace(kind=inspect.Parameter.KEYWORD_ONLY) for name in names]
        described: Any = function
        described.__signature__ = signature.replace(parameters=[*own, *more])
        entries = re.split(r"^(?=\w+ : )", str(inspect.getdoc(other)), flags=re.MULTILINE)
        texts = {entry.partition(" : ")[0]: entry.partition("\n\n")[0].rstrip() for entry in entries}
        options = "\n".join(texts[name] for name in names)
        text = f"{inspect.getdoc(function)}\n"
        described.__doc__ = re.sub(r"\*\*\w+\n( +.*\n)+", lambda _: f"{options}\n", text)
        return function

    return give


class RSA:
    """Layer RDMs and human RDMs, matched by stimulus id and checked once.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs, of the same stimuli as the human RDMs in any order. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of two participants or more, or one of mean ratings without participants; NaN means never judged.
        Not changed.
    comparison : str
        How two RDMs are compared: cosine, corr, spearman, rho-a, tau-a, kendall (tau-b), corr_cov or cosine_cov.
    groups : str, optional
        A coordinate along `stimulus_i` whose values are drawn with all their stimuli, since images of one person are
        not independent. ``"auto"``: `identity`, where layer or human RDMs have it and an identity has two stimuli or
        more. None draws stimuli one by one, with a warning where ``"auto"`` would not.
    stimuli : StimulusSet, optional
        The stimuli, needed to name control RDMs in `Result.partial`.

    Attributes
    ----------
    rdms, human : DataArray
        As given, the layer RDMs in the order of the human RDMs' stimuli.
    groups : str or None
        What stimuli are drawn by.
    similarity : DataArray, dims (rdm, participant)
        Of each layer to each participant.
    noise_ceiling : array, shape (2,)
        Lower and upper bound.

    Raises
    ------
    ValueError
        If the stimuli differ or are fewer than three, there is one participant only, no participant judged pairs that
        others did, an RDM cannot be compared, or a name is unknown.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng, ids = np.random.default_rng(0), [f"face{n}" for n in range(16)]
    >>> def rdms(dim, names, features):
    ...     square = ((features[:, :, None] - features[:, None]) ** 2).sum(axis=-1)
    ...     dims = (dim, "stimulus_i", "stimulus_j")
    ...     return xr.DataArray(square, {dim: names, "stimulus_i": ids, "stimulus_j": ids}, dims)
    >>> seen = rng.normal(size=(16, 4))
    >>> layers = rdms("rdm", ["mine/conv1", "mine/fc"], np.stack([rng.normal(size=(16, 4)), seen]))
    >>> people = rdms("participant", list("abcdef"), seen + 0.5 * rng.normal(size=(6, 16, 4)))
    >>> rsa = RSA(layers, people, comparison="corr")
    >>> rsa
    <RSA: 2 layers, 6 participants, 16 stimuli, corr>
    >>> result = rsa.bootstrap(draws=100, seed=0)
    >>> result.to_frame()["similarity"].round(2).tolist()
    [-0.1, 0.74]
    """

    def __init__(
        self,
        rdms: xr.DataArray,
        human: xr.DataArray,
        *,
        comparison: str = "rho-a",
        groups: str | None = AUTO,
        stimuli: StimulusTable | None = None,
    ) -> None:
        self._hold(rdms, human, comparison)
        self.groups = choose_groups(self.human, groups)
        self.stimuli = stimuli

    def _hold(self, rdms: xr.DataArray, human: xr.DataArray, comparison: str) -> None:
        must_be_known(comparison, COMPARISONS, "comparison")
        self.rdms, self.human = comparable(rdms, human)
        refuse_one_participant(self.human)
        self.comparison = comparison
        self.layers, self.people = to_vectors(self.rdms.values), to_vectors(self.human.values)
        self._shuffles: dict[tuple[int, int, str], xr.Dataset] = {}

    def __repr__(self) -> str:
        grouped = f", drawn by {self.groups}" if self.groups else ""
        who = "mean ratings" if self.unsigned else f"{len(self.people)} participants"
        sizes = f"{len(self.layers)} layers, {who}"
        return f"<RSA: {sizes}, {self.human.sizes['stimulus_i']} stimuli, {self.comparison}{grouped}>"

    def _repr_html_(self) -> str:
        """Show in a notebook what is compared, and how similar each layer is."""
        mean = self.similarity.mean(PARTICIPANT)
        return markup.paragraph(repr(self).strip("<>")) + _curves_of(mean, self.noise_ceiling)

    @cached_property
    def similarity(self) -> xr.DataArray:
        """Of each layer to each participant, dims (rdm, participant)."""
        values = compare_vectors(self.comparison, self.layers, self.people)
        return label_similarity(values, self.rdms, self.human, comparison=self.comparison)

    @cached_property
    def noise_ceiling(self) -> Float[np.ndarray, " bound"]:
        """Lower and upper bound of the noise ceiling."""
        if self.unsigned:
            return ceiling_of_ratings(self.human, self.comparison)
        return ceiling_of(self.people, self.comparison)

    @property
    def unsigned(self) -> bool:
        """Whether the human RDM is of mean ratings, and nobody knows whose they are."""
        return bool(self.human.attrs.get(UNSIGNED))

    def bootstrap(
        self,
        resample: str | None = "dual",
        *,
        draws: int = 1000,
        seed: int = 0,
        resamples: Mapping[str, NDArray[Any]] | None = None,
        variance: str = "jackknife",
        confidence: float = 0.95,
        memory: float = 2.0,
        device: str = "auto",
        cluster: str | None = None,
        progress: bool = False,
    ) -> "Result":
        """Draw stimuli and participants again and again, and say how sure each similarity is.

        Conclusions about people in general need participants drawn, conclusions about faces in general need stimuli
        drawn; ``"dual"`` is for both (Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, 10.7554/eLife.82566). The
        dual bootstrap's own variance is too large with fewer than some 40 stimuli, so the standard errors are
        jackknifed unless asked otherwise (documentation, calibration).

        Parameters
        ----------
        resample : str, optional
            What to draw: ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"``. If None, the interval and the p
            values come from the spread over participants, and say nothing about other stimuli: where those vary too,
            unrelated layers pass for similar far more often than one in twenty times (documentation, calibration).
        draws : int
            How many draws.
        seed : int
            The study's seed.
        resamples : mapping of str to array of int, optional
            The draws to take instead, as in `draw_resamples`: positions in the order of `human`.
        variance : str
            Where the standard errors of ``"dual"`` come from: ``"jackknife"``, stimuli and participants left out one
            and two at a time (`sampling_error`), or ``"bootstrap"``, the draws, as in rsatoolbox. Other ways to
            resample always take the draws'; so do fewer than five stimuli (or groups) or three participants, with a
            warning and the reason in the attr `variance_reason`.
        confidence : float
            Of the intervals, between 0 and 1.
        memory : float
            GiB to use at most.
        device : str
            ``"cpu"``, ``"cuda"``, or ``"auto"``: a graphics processor where there is one and the comparison runs
            there (cosine, corr, spearman and rho-a of RDMs without missing pairs).
        cluster : str, optional
            ``local:N`` or ``tcp://HOST:PORT``: hand the draws to dask workers, which compute on the CPU; the values
            are the same to the bit.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        Result
            The similarities with their draws; `Result.table` holds what `compare_layers` returns.

        Raises
        ------
        ValueError
            If a choice is unknown, a number out of range, or the memory does not suffice.
        """
        must_be_known(device, ("auto", "cpu", "cuda"), "device")
        must_be_known(variance, VARIANCES, "variance")
        if not 0 < confidence < 1:
            message = f"confidence={confidence} is not between 0 and 1. Give 0.95 for 95 %."
            raise ValueError(message)
        if self.unsigned and resample != "stimulus":
            message = (
                f"resample={resample!r} needs participants, and these are mean ratings of nobody knows whom. Use "
                "resample='stimulus': a stimulus is drawn with its ratings, so that their noise is in the interval."
            )
            raise ValueError(message)
        table = self._observed(resample, seed, confidence)

        def evaluated(some: Draws, *, progress: bool) -> Evaluated:
            settings: dict[str, Any] = {
                "comparison": self.comparison,
                "memory": bytes_of(memory),
                "progress": progress,
            }
            if cluster is None:
                values = evaluate_draws(self.layers, self.people, some, device=device, **settings)
            else:
                values = evaluate_draws_on(cluster, self.layers, self.people, some, **settings)
            if self.unsigned:  # from halves of ratings, and taken as known
                return replace(values, ceiling=np.broadcast_to(self.noise_ceiling, values.ceiling.shape))
            return values

        return Result(
            self,
            *resample_table(
                table,
                self.human,
                evaluated,
                draws=draws,
                groups=self.groups,
                resamples=resamples,
                variance=variance,
                progress=progress,
            ),
        )

    def permute(self, shuffles: int = 1000, *, seed: int = 0, labels: str = "both") -> xr.Dataset:
        """Test each layer against shuffled stimulus labels, within groups where there are groups.

        Parameters
        ----------
        shuffles : int
            How many at most.
        seed : int
            The seed of the shuffles.
        labels : str
            What is shuffled of a crossed design: ``"both"``, ``"groups"`` or ``"levels"``. See `shuffle_layers`.

        Returns
        -------
        Dataset, dims (rdm,)
            What `shuffle_layers` returns. Shuffles are kept: the same question is answered without shuffling again.
        """
        key = (shuffles, seed, labels)
        if key not in self._shuffles:
            self._shuffles[key] = shuffles_of(
                self.rdms,
                self.human,
                comparison=self.comparison,
                shuffles=shuffles,
                seed=seed,
                groups=self.groups,
                labels=labels,
            )
        return self._shuffles[key]

    def _observed(self, resample: str | None, seed: int, confidence: float) -> xr.Dataset:
        table = without_draws(self.rdms, self.human, self.similarity.values, self.noise_ceiling)
        bounds, comparison = self.noise_ceiling, self.comparison
        many = bounds[1] if self.unsigned else extrapolated_ceiling(float(bounds[0]), self.people, comparison)
        table["noise_ceiling_extrapolated"] = many
        table.attrs = {
            "comparison": comparison,
            "groups": self.groups,
            **({UNSIGNED: True, "ratings": self.human.attrs["ratings"]} if self.unsigned else {}),
            "measure": self.rdms.attrs.get("measure"),
            OTHER_MEASURES: list(self.rdms.attrs.get(OTHER_MEASURES, [])),
            "resample": resample,
            "seed": seed,
            "confidence": confidence,
            **origin_of(self.rdms.attrs),
            "simulated": bool(self.rdms.attrs.get("simulated", False) or self.human.attrs.get("simulated", False)),
        }
        return table


def resample_table(
    table: xr.Dataset,
    human: xr.DataArray,
    evaluated: Callable[..., Evaluated],
    *,
    draws: int,
    groups: str | None,
    variance: str,
    resamples: Mapping[str, NDArray[Any]] | None = None,
    progress: bool = False,
) -> tuple[xr.Dataset, Draws | None, Deletions | None]:
    """Add to a table of what is observed its draws, errors and tests, whatever was evaluated in each draw.

    `human` names participants and stimuli, by its coordinates; `table` says what is resampled, by its attrs.
    """
    resample, seed = table.attrs["resample"], int(table.attrs["seed"])
    if resample is None:
        confidence = float(table.attrs["confidence"])
        return without_tests(with_errors_over_people(table, human.sizes[STIMULUS_I], confidence)), None, None
    rng = rng_from(seed, "bootstrap")
    drawn = draw_resamples(human, resample=resample, draws=draws, rng=rng, groups=groups, resamples=resamples)
    values = evaluated(drawn, progress=progress)
    table.attrs |= {"draws": len(drawn), "redrawn": drawn.redrawn, "skipped": drawn.skipped}
    table = _with_counts(with_draws(table, drawn, values), drawn, human)
    reason = why_not_jackknifed(drawn.units, groups) if variance == "jackknife" and resample == "dual" else ""
    if reason:
        warnings.warn(f"{reason} Use more, or variance='bootstrap' if that is meant.", stacklevel=3)
        table.attrs["variance_reason"] = reason
    if variance == "bootstrap" or resample != "dual" or reason:
        return without_tests(with_draw_errors(table, drawn, values)), drawn, None
    deletions = deletions_of(human, groups=groups)
    left = evaluated(deletions.draws, progress=False)
    return without_tests(with_deletion_errors(table, deletions, left)), drawn, deletions


class Result:
    """A comparison of layers with people, and all that it was made from.

    `RSA.bootstrap` makes it; `RSA` and draws are kept, so that every further question is answered from the same
    draws.

    Parameters
    ----------
    rsa : RSA
        What was compared.
    table : Dataset, dims (rdm, ...)
        What `compare_layers` returns.
    drawn : Draws, optional
        The draws; None where nothing was resampled.
    deletions : Deletions, optional
        What was left out for jackknifed errors.

    Attributes
    ----------
    rsa : RSA
        What was compared.
    table : Dataset, dims (rdm, ...)
        Similarities, intervals, draws and p values that are not corrected.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> result = rf.RSA(models, demo.human, comparison="corr").bootstrap(draws=30)
    >>> result.rsa
    <RSA: 2 layers, 20 participants, 54 stimuli, corr, drawn by identity>
    >>> result.layers()["p_above_zero_corrected"].values < 0.05
    array([ True,  True])
    """

    def __init__(self, rsa: RSA, table: xr.Dataset, drawn: Draws | None, deletions: Deletions | None = None) -> None:
        self.rsa, self.table = rsa, table
        self._drawn, self._deletions = drawn, deletions

    @classmethod
    def of(cls, table: xr.Dataset, rdms: xr.DataArray, human: xr.DataArray) -> Self:
        """Return the result that a dataset is the table of, with the RDMs that it was made from.

        Parameters
        ----------
        table : Dataset, dims (rdm, ...)
            What `compare_layers` returned. Not changed.
        rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
            Its layer RDMs, of stimuli in any order. Not changed.
        human : DataArray, dims (participant, stimulus_i, stimulus_j)
            Its human RDMs. Not changed.

        Returns
        -------
        Result
            With the draws that the dataset holds.

        Raises
        ------
        ValueError
            If the RDMs do not give the dataset's similarities.
        """
        rdms, human = (_in_order(array, table, dim) for array, dim in ((rdms, RDM), (human, PARTICIPANT)))
        rsa = RSA.__new__(RSA)
        rsa._hold(rdms, human, str(table.attrs["comparison"]))
        rsa.groups, rsa.stimuli = table.attrs.get("groups"), None  # chosen when the table was made
        again, before = rsa.similarity.values, table["participant_similarity"].values
        if not np.allclose(again, before, atol=_SAME, equal_nan=True):
            worst = int(np.nanargmax(np.nanmax(np.abs(again - before), axis=1)))
            message = (
                f"These are not the RDMs of this result: layer {str(table[RDM].values[worst])!r} has a similarity of "
                f"{np.nanmean(again[worst]):.6g}, not {np.nanmean(before[worst]):.6g}. Give the same files."
            )
            raise ValueError(message)
        return cls(rsa, table, _counts_in(table, rsa))

    def __repr__(self) -> str:
        attrs = self.table.attrs
        how = f"{attrs['draws']} {attrs['resample']} draws" if self._drawn is not None else "nothing resampled"
        best = int(np.argmax(self.table["similarity"].values))
        low, high = self.table["similarity_interval"].values[best]
        peak = f"{self.table['similarity'].values[best]:.3f} [{low:.3f}, {high:.3f}]"
        return f"<Result of {self.rsa!r}: {how}; largest similarity {peak} at {self.table[RDM].values[best]}>"

    def _repr_html_(self) -> str:
        """Show in a notebook the largest similarity with its interval, and the curve of all layers."""
        best = int(np.nanargmax(self.table["similarity"].values))
        low, high = self.table["similarity_interval"].values[best]
        level = f"{100 * float(self.table.attrs.get('confidence', 0.95)):g}%"
        answer = (
            f"Most similar to people: {self.table[RDM].values[best]}, {self.table['similarity'].values[best]:.3f} "
            f"({level} interval {low:.3f} to {high:.3f})"
        )
        origin = markup.paragraph("Simulated observers.") if self.table.attrs.get("simulated") else ""
        ceiling = self.table["noise_ceiling"].values if "noise_ceiling" in self.table else ()
        return (
            markup.paragraph(answer) + origin + _curves_of(self.table["similarity"], ceiling)
            + markup.paragraph(repr(self.rsa).strip("<>"))
        )  # fmt: skip

    @property
    def deletions(self) -> Deletions:
        """What is left out for jackknifed errors."""
        if self._deletions is None:
            self._deletions = deletions_of(self.rsa.human, groups=self.rsa.groups)
        return self._deletions

    def layers(self, *, correction: str = MAXIMUM, shuffles: int | None = None) -> xr.Dataset:
        """Return every layer's similarity, interval, raw and corrected p values, beside the noise ceiling.

        Parameters
        ----------
        correction : str
            Over the family of all layers: ``"max"``, ``"holm"``, ``"fdr"`` or ``"none"``. See `correct_layers`.
        shuffles : int, optional
            How many shuffles test whether a layer is above zero; see `correct_layers`.

        Returns
        -------
        Dataset, dims (rdm, ...)
            What `correct_layers` returns.
        """
        must_be_known(correction, (MAXIMUM, *CORRECTIONS), "correction")
        if correction == "none":
            return self.table
        columns: Columns = {}
        kind = {"p_above_zero_kind": "t"} if ABOVE in self.table else {}
        if self._shuffles_test():
            columns |= self._shuffled(correction, shuffles)
            kind = {"p_above_zero_kind": "shuffle of groups" if self.rsa.groups else "shuffle"}
        return corrected_table(self.table, correction, columns).assign_attrs(kind)

    @options_of(contrast_layers)
    def contrast(self, network: str, baseline: str, **options: Any) -> xr.Dataset:
        """Subtract a baseline network's similarity from another's at every matched layer: see `contrast_layers`.

        Parameters
        ----------
        network, baseline : str
            The network, and what is subtracted from it.
        **options
            As `contrast_layers` takes them.

        Returns
        -------
        Dataset, dims (layer, bound)
            The differences with their bands.
        """
        return contrast_layers(self.table, network=network, baseline=baseline, **options)

    @options_of(localize)
    def localize(
        self, network: str = "fe_alexnet", *, baseline: str | None = "alexnet", held_out: bool = True, **options: Any
    ) -> xr.Dataset:
        """Say at which layer a network is most like people: see `localize`.

        Parameters
        ----------
        network : str
            The network in question.
        baseline : str, optional
            The network it is held against.
        held_out : bool
            Whether to evaluate picked layers on what did not pick them (`held_out_similarity`).
        **options
            As `localize` takes them.

        Returns
        -------
        Dataset, dims (target, layer)
            The answers.
        """
        where = localize(self.table, network=network, baseline=baseline, **options)
        return self.held_out(where) if held_out else where

    def held_out(self, where: xr.Dataset) -> xr.Dataset:
        """Evaluate the layer that each draw picks on what the draw left out: see `held_out_similarity`.

        Parameters
        ----------
        where : Dataset, dims (target, layer)
            What `localize` returned for this result. Not changed.

        Returns
        -------
        Dataset, dims (target, layer)
            `where` with `held_out_similarity`, of the layers picked without them, on what the draws left out;
            `same_pairs_similarity`, of the layer that all data pick, on the same stimuli and participants: compare
            the first with this one, since among stimuli left out in groups more pairs are of one group than among
            all; `held_out_draws` (draw, target), and `held_out_used` (target), how many draws could be evaluated.
        """
        drawn = self._draws("held-out similarity")
        of_draws, of_all = picks_within_draws(where, self.table)
        places = layers_of(self.table, str(where.attrs["network"]))
        rsa = self.rsa
        both = np.hstack([of_draws, np.tile(of_all, (len(of_draws), 1))])
        evaluated = left_out(rsa.layers[places], rsa.people, both, drawn, comparison=rsa.comparison)
        values, same = np.hsplit(evaluated, 2)
        used = (~np.isnan(values)).sum(axis=0)
        return where.assign(
            held_out_similarity=(TARGET, mean_over(values.T, np.ones(len(values)))),
            # over the same draws, so that who picked the layer is all that differs
            same_pairs_similarity=(TARGET, mean_over(np.where(np.isnan(values), np.nan, same).T, np.ones(len(same)))),
            held_out_draws=((DRAW, TARGET), values),
            held_out_used=(TARGET, used),
        )

    def partial(self, controls: xr.DataArray | Sequence[str | Path], *, method: str | None = None) -> xr.Dataset:
        """Return the similarity that remains given control RDMs, beside the raw one: see `add_partial`.

        Parameters
        ----------
        controls : DataArray, dims (rdm, stimulus_i, stimulus_j), or sequence of str
            Control RDMs, or names that `control_rdms` knows, for which `RSA` needs its `stimuli`.
        method : str, optional
            ``"corr"``, ``"spearman"`` or ``"rho-a"``; what is nearest to the comparison if not given.

        Returns
        -------
        Dataset, dims (rdm, ...)
            The table with the partial similarities.
        """
        partial, _ = self._partial(controls, method)
        renamed = partial.rename({name: f"partial_{name}" for name in partial})
        return self.table.assign(renamed.data_vars).assign_attrs(partial.attrs)

    def given(self, controls: xr.DataArray | Sequence[str | Path], *, method: str | None = None) -> xr.Dataset:
        """Return what remains of each similarity given control RDMs as a comparison that can be localized.

        Parameters
        ----------
        controls, method
            As `partial` takes them.

        Returns
        -------
        Dataset, dims (rdm, draw)
            `similarity` is the partial one, with its draws and jackknifed rows; it has no noise ceiling and no tests.
        """
        partial, left = self._partial(controls, method)
        partial = partial.assign_attrs(self.table.attrs | partial.attrs)
        if left is None:
            return partial
        rows, components = jackknife_rows(left, self.deletions)
        return partial.assign(similarity_jackknife=((ROW, RDM), rows)).assign_coords(component=(ROW, components))

    def _partial(
        self, controls: xr.DataArray | Sequence[str | Path], method: str | None
    ) -> tuple[xr.Dataset, Float[np.ndarray, "deletion rdm"] | None]:
        """Return partial similarities with their draws, and, where errors are jackknifed, what deletions give."""
        rsa, (controls, given, method) = self.rsa, self._controls(controls, method)
        each = partial_similarity(rsa.layers, rsa.people, given, method=method)
        mean = mean_over(each, np.ones(each.shape[1]))
        columns: dict[str, Any] = {"participant_similarity": ((RDM, PARTICIPANT), each), "similarity": (RDM, mean)}
        left = None
        if self.table.attrs.get("resample") is not None:
            drawn = self._draws("partial similarity")
            draws = partial_draws(rsa.layers, rsa.people, given, drawn, method=method)
            if self.table.attrs.get("variance") == "jackknife":
                left = partial_draws(rsa.layers, rsa.people, given, self.deletions.draws, method=method)[0]
            without = None if left is None else (self.deletions, left)
            confidence = float(self.table.attrs["confidence"])
            interval = partial_interval(mean, draws, drawn, without, confidence=confidence)
            columns["similarity_interval"] = ((RDM, BOUND), interval)
            for place, kind in enumerate(drawn.kinds):
                columns["similarity_draws" + ("" if place == 0 else f"_{kind}")] = ((DRAW, RDM), draws[place])
        named = {"controls": [str(name) for name in controls[RDM].values], "partial_comparison": method}
        coords = {
            name: coord for name, coord in self.table.coords.items() if set(coord.dims) <= {RDM, PARTICIPANT, BOUND}
        }
        return xr.Dataset(columns, coords, named), left

    def _controls(
        self, controls: xr.DataArray | Sequence[str | Path], method: str | None
    ) -> tuple[xr.DataArray, Float[np.ndarray, "control pair"], str]:
        """Return control RDMs, checked and lined up with the people, and the partial correlation to take."""
        rsa = self.rsa
        if not isinstance(controls, xr.DataArray):
            if rsa.stimuli is None:
                message = f"Controls {list(controls)} need the stimuli. Give them: RSA(..., stimuli=stimuli)."
                raise ValueError(message)
            controls = select_stimuli(control_rdms(rsa.stimuli, controls), stimulus_ids(rsa.human))
        check_rdms(controls, along=RDM, name="Control RDMs")
        controls = align_stimuli(controls, rsa.human, names=("controls", "people"))
        method = COMPARISONS[rsa.comparison].partial if method is None else method
        must_be_known(method, METHODS, "partial correlation")
        vectors = to_vectors(controls.values)
        _refuse_gaps(controls, vectors)
        return controls, vectors, method

    def to_frame(self) -> pd.DataFrame:
        """Return the layers as a table: similarity, interval, raw and corrected p values, noise ceiling.

        Returns
        -------
        DataFrame
            A row for each layer.
        """
        enough = self.rsa.human.sizes["stimulus_i"] >= 4  # three stimuli cannot be shuffled
        correction = MAXIMUM if self._drawn is not None else "holm"
        return to_frame(self.layers(correction=correction) if enough else self.table)

    def save(self, path: str | Path) -> Path:
        """Write the result with its RDMs and draws, so that `rf.load` returns it ready for further questions.

        Parameters
        ----------
        path : str or Path
            Ends in ``.nc``.

        Returns
        -------
        Path
            The file written.
        """
        rdms = dict(zip(_SAVED, (self.rsa.rdms, self.rsa.human), strict=True))
        return provenance.save(self.table.assign(rdms).assign_attrs(is_result=True), path)

    def _draws(self, what: str) -> Draws:
        if self._drawn is None:
            message = f"No draws for {what}: nothing was resampled. Use bootstrap('dual')."
            raise ValueError(message)
        return self._drawn

    def _shuffles_test(self) -> bool:
        """Whether shuffles take the place of the t test: never that of a valid test over groups."""
        groups = self.rsa.groups
        if groups is None:
            return True
        if ABOVE in self.table and self.table.attrs.get("resample") in ("stimulus", "both", "dual"):
            return False
        if len(set(group_members(self.rsa.human, groups).sum(axis=1).tolist())) > 1:
            return False  # groups of different sizes cannot change places
        blocks, crossed = blocks_of(self.rsa.human, groups)
        return count_shuffles(*blocks.shape, crossed=crossed) >= FEWEST_SHUFFLES

    def _shuffled(self, correction: str, shuffles: int | None) -> Columns:
        layers = self.table.sizes[RDM]
        # the smallest p value that shuffles allow must be far below .05 over the number of layers
        count = shuffles or (1000 if correction == MAXIMUM else max(1000, 200 * layers))
        null = self.rsa.permute(count, seed=int(self.table.attrs["seed"]))
        raw = np.asarray(null["p_permutation"].values, dtype=float)
        family = null["p_permutation_corrected"].values
        corrected = family if correction == MAXIMUM else correct(raw, method=correction)
        return {
            SHUFFLED: (RDM, raw),
            f"{ABOVE}_corrected": (RDM, np.maximum(np.asarray(corrected, dtype=float), raw)),
        }


def _curves_of(similarity: xr.DataArray, ceiling: Sequence[float] | np.ndarray) -> str:
    """Return the similarity of each network's layers, in their order, as a small picture."""
    networks = (
        similarity[NETWORK].values.astype(str) if NETWORK in similarity.coords else np.repeat("", similarity.size)
    )
    order = similarity[ORDER].values if ORDER in similarity.coords else np.arange(similarity.size)
    lines = {
        name: similarity.values[rows[np.argsort(order[rows], kind="stable")]]
        for name in dict.fromkeys(networks.tolist())
        for rows in [np.flatnonzero(networks == name)]
    }
    label = "Similarity of each layer to people, from the first to the last; gray: noise ceiling."
    return markup.curves(lines, band=[float(bound) for bound in ceiling], label=label)


@options_of(RSA.bootstrap)
def compare_layers(
    rdms: xr.DataArray, human: xr.DataArray, *, comparison: str = "rho-a", groups: str | None = AUTO, **settings: Any
) -> xr.Dataset:
    """Compare every layer with every participant, and say how sure the result is.

    The same as ``RSA(rdms, human, comparison=..., groups=...).bootstrap(**settings).table``. Definitions are
    rsatoolbox's: for the same draws the values are equal.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs, of the same stimuli as the human RDMs in any order. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of two participants or more; NaN means never judged. Not changed.
    comparison : str
        One of cosine, corr, spearman, rho-a, tau-a, kendall (tau-b), corr_cov and cosine_cov.
    groups : str, optional
        What stimuli are drawn by: see `RSA`. Five groups are needed for jackknifed errors, three to be drawn at all;
        of two identities, stimuli are drawn one by one, with a warning.
    **settings
        As `RSA.bootstrap` takes them.

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
        As `RSA` and `RSA.bootstrap` raise it.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> result = rf.compare_layers(models, demo.human, comparison="corr", draws=30)
    >>> result["similarity"].to_series().round(2).to_dict()
    {'level': 0.68, 'identity': 0.19}
    """
    return RSA(rdms, human, comparison=comparison, groups=groups).bootstrap(**settings).table


@options_of(RSA.bootstrap)
def noise_ceiling(
    human: xr.DataArray, *, comparison: str = "rho-a", groups: str | None = AUTO, **settings: Any
) -> xr.DataArray:
    """Return the bounds between which the best possible layer would lie.

    Lower bound: the mean similarity of each participant with the pool of the others; a layer that knows the others
    would reach it. Upper bound: with the pool of all, the participant included; no layer can do better (Nili,
    Wingfield, Walther, Su, Marslen-Wilson & Kriegeskorte 2014, 10.1371/journal.pcbi.1003553). The pool is the mean
    of RDMs scaled as the comparison scales them; for Kendall's tau it is, as in rsatoolbox, the mean of ranks.
    Mean ratings that nobody signed have a ceiling of another kind, without an interval: `ceiling_of_ratings`.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs; NaN means never judged: each pair is pooled over those who judged it. Not changed.
    comparison : str
        As in `compare_layers`.
    groups : str, optional
        What stimuli are drawn by: see `RSA`.
    **settings
        As `RSA.bootstrap` takes them.

    Returns
    -------
    DataArray, dims (bound,)
        Lower and upper bound, with the coordinates `interval_lower` and `interval_upper`, those of `compare_layers`;
        the attr `interval_kind` says which kind they are. The attr `extrapolated` is where the lower bound goes with
        ever more participants (`extrapolated_ceiling`).

    Raises
    ------
    ValueError
        If there is one participant only, no participant judged pairs that others did, or the RDMs cannot be compared.

    Examples
    --------
    >>> import rsa_face as rf
    >>> ceiling = noise_ceiling(rf.example("demo").human, comparison="corr", draws=60)
    >>> bool(0 < ceiling[0] < ceiling["interval_upper"][0] < ceiling[1] < 1)
    True
    """
    check_rdms(human, along=PARTICIPANT, name="Human RDMs")
    if settings.get("resample", "dual") in (None, "participant"):  # no stimuli are drawn that might belong together
        human, groups = human.drop_vars(factors_of(human)), AUTO
    # of no layers at all: what a comparison says of the ceiling
    nothing = human[:0].drop_vars([name for name in coords_along(human, PARTICIPANT) if name != PARTICIPANT])
    rsa = RSA(nothing.rename({PARTICIPANT: RDM}), human, comparison=comparison, groups=groups)
    table = rsa._observed(None, 0, 0.95) if rsa.unsigned else rsa.bootstrap(**settings).table
    bounds = table["noise_ceiling"].rename("noise_ceiling")
    bounds.attrs = {name: table.attrs[name] for name in _OF_CEILING if name in table.attrs}
    bounds.attrs["extrapolated"] = float(table["noise_ceiling_extrapolated"])
    if "noise_ceiling_interval" not in table:
        return bounds
    bounds.attrs["interval_kind"] = table.attrs["interval_kind"]
    return bounds.assign_coords(
        {f"interval_{limit}": table["noise_ceiling_interval"].sel(limit=limit, drop=True) for limit in BOUNDS}
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
    are regressed out of both, and the residuals correlated. For ``rho-a`` the controls are taken out in full, while
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

    Examples
    --------
    >>> import tempfile, rsa_face as rf
    >>> human = rf.example("demo").human
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = rf.load(rf.save(human, f"{folder}/human.nc"))
    >>> again.identical(human)
    True
    """
    array = provenance.load(path)
    if not isinstance(array, xr.Dataset) or not array.attrs.pop("is_result", False):
        return array
    return Result.of(array.drop_dims(["stimulus_i", "stimulus_j"]), *(array[name] for name in _SAVED))


def _with_counts(table: xr.Dataset, drawn: Draws, human: xr.DataArray) -> xr.Dataset:
    """Keep how often each draw took each stimulus and participant, by name."""
    kind = np.uint8 if max(drawn.stimuli.max(), drawn.participants.max()) < 256 else np.uint32
    counts = (((DRAW, STIMULUS), drawn.stimuli.astype(kind)), ((DRAW, PARTICIPANT), drawn.participants.astype(kind)))
    return table.assign(dict(zip(DRAWN, counts, strict=True))).assign_coords({STIMULUS: stimulus_ids(human)})


def _counts_in(table: xr.Dataset, rsa: RSA) -> Draws | None:
    """Return the draws that a table holds; None where nothing was resampled, or a former version kept none."""
    resample = table.attrs.get("resample")
    if resample is None or DRAWN[0] not in table:
        return None
    stimuli = table[DRAWN[0]].sel({STIMULUS: stimulus_ids(rsa.human)}).transpose(DRAW, STIMULUS)
    people = table[DRAWN[1]].transpose(DRAW, PARTICIPANT)
    counts = (np.asarray(array.values, dtype=np.int64) for array in (stimuli, people))
    return draws_from_counts(
        str(resample), *counts, members=group_members(rsa.human, rsa.groups), redrawn=int(table.attrs["redrawn"])
    )


def _in_order(array: xr.DataArray, table: xr.Dataset, dim: str) -> xr.DataArray:
    """Return RDMs in the order of a table's layers or participants."""
    given, wanted = ([str(value) for value in each[dim].values] for each in (array, table))
    if sorted(given) != sorted(wanted):
        lacks, more = first_of(sorted(set(wanted) - set(given))), first_of(sorted(set(given) - set(wanted)))
        message = f"These are not the RDMs of this result: {dim} lacks {lacks} and has {more} besides."
        raise ValueError(message)
    return array if given == wanted else array.isel({dim: [given.index(name) for name in wanted]})


def _refuse_gaps(controls: xr.DataArray, vectors: Float[np.ndarray, "control pair"]) -> None:
    gaps = [
        f"{str(label)!r} lacks {int(np.isnan(vector).sum())} of {vector.size} pairs"
        for label, vector in zip(controls[RDM].values, vectors, strict=True)
        if np.isnan(vector).any()
    ]
    if gaps:
        message = f"Control RDMs have gaps: {first_of(gaps, '; ')}. Complete them or leave them out."
        raise ValueError(message)
