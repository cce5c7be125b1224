"""The multiverse of a study: what its answers would be, had it been analysed in other ways that it names.

Analyses that share RDMs, comparison and exclusions share one bootstrap, and are kept in a file of their own, so that
a run that was stopped goes on with the next.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.inference.localization import PEAK, TARGET, difference_weights, interval, localize, without_shared
from rsa_face.inference.results import matched_layers, resampled_of
from rsa_face.inference.rsa import RSA, Result
from rsa_face.provenance import code_hash, hash_content, hash_file, load, save, sealed, unsealed
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.controls import control_rdms
from rsa_face.safety import hold, in_short, lock_in, one_part, path_in, read_json, write_beside, write_table
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    LAYER,
    NETWORK,
    PARTICIPANT,
    RDM,
    STIMULUS,
    origin_of,
    stimulus_ids,
    table_along,
)
from rsa_face.study.comparing import varying
from rsa_face.study.config import ExclusionSection, MultiverseSection, RdmsSection, Study, networks_of
from rsa_face.study.graph import Run
from rsa_face.study.recording import join_rdms, rdms_of

UNIVERSE = "universe"
FOLDER = "multiverse"
CHOICES = ("measure", "comparison", "layers", "controls", "exclusion")
"""What differs between analyses; the first value of each is the study's own."""

_ALL, _NO_CONTROLS, _NOBODY = "all recorded", "none", "nothing"
_CODE = ("inference", "rdms", "study.multiverse")
_QUANTITIES = ("peak_depth", "peak_similarity", "difference", "half_way_depth")
_NUMBERS = (*_QUANTITIES, *(f"{name}_{bound}" for name in _QUANTITIES for bound in BOUNDS))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Options:
    """The values of each choice by name, the study's own first."""

    measure: tuple[str, ...]
    comparison: tuple[str, ...]
    layers: dict[str, tuple[str, ...]]
    controls: dict[str, tuple[str, ...]]
    exclusions: dict[str, ExclusionSection]

    @classmethod
    def of(cls, study: Study) -> "_Options":
        section = study.multiverse or MultiverseSection()
        own = study.rdms.measure if isinstance(study.rdms.measure, str) else "by layer"
        return cls(
            tuple(dict.fromkeys([own, *section.measure])),
            tuple(dict.fromkeys([study.inference.comparison, *section.comparison])),
            {_ALL: ("*",)}
            | {name: (each,) if isinstance(each, str) else tuple(each) for name, each in section.layers.items()},
            {_NO_CONTROLS: ()}
            | {" + ".join(Path(one).name for one in some): some for some in section.controls if some},
            {_NOBODY: ExclusionSection()} | dict(section.exclusions),
        )


def run_multiverse(study: Study, *, say: Callable[[str], None] = log.info) -> xr.Dataset:
    """Analyse a study in every way that the section `multiverse` of its file names.

    Everything is computed from the RDMs that the study has made; those by another measure are made once, by the
    networks, and kept. Each analysis gives the layer that is most like people, how much more like people the network
    is than its baseline, averaged over the layers in which the two differ, and the half-way depth. What cannot be
    computed is named. Stopped at any moment, the next run goes on with the analyses that are not yet made.

    Parameters
    ----------
    study : Study
        From `load_study`, with a section `multiverse`; it was run before.
    say : callable
        Called with a line on each group of analyses.

    Returns
    -------
    Dataset, dims (universe, bound)
        `peak_layer`, `peak_depth` with the depths that the data do not rule out (`peak_depth_interval`),
        `peak_similarity`, `difference` (of similarity) and `half_way_depth`, each with its interval; `reason` says
        why an analysis could not be made. Coordinates name its choices; `own` marks the study's own. The attr
        `impossible` counts reasons. The same is written as ``multiverse.nc`` and ``multiverse.csv``.

    Raises
    ------
    FileNotFoundError
        If the study has no RDMs yet.
    ValueError
        If the study has no section `multiverse`, or resamples nothing.

    Notes
    -----
    Steegen, Tuerlinckx, Gelman & Vanpaemel 2016, 10.1177/1745691616658637; Simonsohn, Simmons & Nelson 2020,
    10.1038/s41562-020-0912-z (specification curve).

    Examples
    --------
    Two control RDMs stand in for the layers that a run of the study would have recorded:

    >>> import tempfile, rsa_face as rf
    >>> from pathlib import Path
    >>> demo, folder = rf.example("demo"), tempfile.TemporaryDirectory()
    >>> text = '''
    ... name: many
    ... stimuli: {table: "package:demo/stimuli.csv"}
    ... networks: [{name: alexnet}]
    ... human: {table: "package:demo/ratings.csv", kind: rating, options: {scale: [0, 100]}}
    ... inference: {comparison: corr, network: alexnet, baseline: alexnet}
    ... multiverse: {comparison: [spearman], controls: [[identity]], draws: 20}
    ... output: .
    ... '''
    >>> file = Path(folder.name, "study.yaml")
    >>> _ = file.write_text(text)
    >>> layers = rf.control_rdms(demo.stimuli, ["pixels", "level"])
    >>> names = {"layer": ["conv1", "fc8"], "network": ["alexnet"] * 2, "depth": [0.1, 1.0]}
    >>> layers = layers.assign_coords({name: ("rdm", values) for name, values in names.items()})
    >>> layers = layers.assign_coords(rdm=["alexnet/conv1", "alexnet/fc8"])
    >>> _ = rf.save(layers, file.parent / "rdms.nc"), rf.save(demo.human, file.parent / "human_rdms.nc")
    >>> demo.stimuli.table.to_csv(file.parent / "stimuli.csv", index=False)
    >>> table = run_multiverse(rf.load_study(file))
    >>> table["peak_layer"].values.tolist()
    ['fc8', 'fc8', 'fc8', 'fc8']
    >>> folder.cleanup()
    """
    _must_be_possible(study)
    options = _Options.of(study)
    with hold(study.output, lock_in(study.output), rule="A study is run by one process at a time"):
        run = Run(study, say)
        run.made |= {str(file.relative_to(study.output)) for file in study.output.rglob("*") if file.is_file()}
        rows = []
        cells = list(product(options.measure, options.comparison, options.exclusions))
        for number, cell in enumerate(cells, start=1):
            say(f"{number} of {len(cells)}: {', '.join(cell[:2])}, left out: {cell[2]}")
            rows += _Cell(run, options, *cell).rows()
        table = _labelled(pd.DataFrame(rows), run)
        save(table, study.output / f"{FOLDER}.nc")
        write_table(multiverse_table(table), study.output / f"{FOLDER}.csv")
    return table


def multiverse_table(multiverse: xr.Dataset) -> pd.DataFrame:
    """Return a multiverse as a table, a row for each analysis, ends of intervals in columns of their own."""
    return table_along(multiverse, UNIVERSE)


def _must_be_possible(study: Study) -> None:
    if study.multiverse is None:
        message = (
            f"The study {study.name!r} names no other analyses. Add a section to its file, such as multiverse: "
            "{comparison: [corr, spearman], layers: {relu: ['relu*']}, controls: [[pixels]]}."
        )
        raise ValueError(message)
    if study.human is None or study.inference.resample is None:
        lacks = "compares no people (human)" if study.human is None else "resamples nothing (inference: resample)"
        message = f"The study {study.name!r} {lacks}, so that other analyses have no answer either. Change its file."
        raise ValueError(message)
    absent = [name for name in ("rdms.nc", "human_rdms.nc") if not (study.output / name).is_file()]
    if absent:
        message = f"No {' and no '.join(absent)} in {str(study.output)!r}. Run the study first: rsa-face run."
        raise FileNotFoundError(message)


@dataclass(frozen=True)
class _Cell:
    """The analyses that share RDMs, comparison and exclusions: one bootstrap serves them all."""

    run: Run
    options: _Options
    measure: str
    comparison: str
    exclusion: str

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each analysis; those of an earlier run where nothing that they rest on has changed."""
        study = self.run.study
        fingerprint = hash_content(
            study.inference.model_dump(mode="json"),
            {name: list(each) for name, each in self.options.layers.items()},
            {name: [[one, _content_of(one)] for one in each] for name, each in self.options.controls.items()},
            self.options.exclusions[self.exclusion].model_dump(mode="json"),
            study.multiverse.draws if study.multiverse else 0,
            [self.measure, self.comparison, self.exclusion],
            [hash_file(study.output / name) for name in ("rdms.nc", "human_rdms.nc", "stimuli.csv")],
            [code_hash(name) for name in _CODE],
        )
        path = path_in(study.output / FOLDER, fingerprint[:32], "The analyses", suffix=".json")
        if path.is_file():
            then = "Remove it, and run the multiverse again."
            content = read_json(path, "Analyses are kept as JSON", then=then)
            return list(unsealed(content, path, then=then)["rows"])
        made = list(self._made())
        path.parent.mkdir(exist_ok=True)
        with write_beside(path) as beside:
            beside.write_text(json.dumps(sealed({"rows": made}), indent=1) + "\n", "utf-8")
        return made

    def _made(self) -> Iterator[dict[str, Any]]:
        study = self.run.study
        own = (self.measure, self.comparison, self.exclusion) == (
            self.options.measure[0], self.options.comparison[0], _NOBODY,
        )  # fmt: skip
        result, why = _tried(self._compared)
        for controls, names in self.options.controls.items():
            table, reason = (None, why) if result is None else _tried(lambda names=names: self._given(result, names))  # type: ignore[misc] # bound now
            for layers, patterns in self.options.layers.items():
                answer, no_answer = (
                    (None, reason) if table is None else _tried(lambda p=patterns, t=table: _answers(t, p, study))  # type: ignore[misc] # bound now
                )
                yield {
                    "measure": self.measure,
                    "comparison": self.comparison,
                    "layers": layers,
                    "controls": controls,
                    "exclusion": self.exclusion,
                    "own": own and controls == _NO_CONTROLS and layers == _ALL,
                    "reason": no_answer,
                    **(answer or {"peak_layer": "", **dict.fromkeys(_NUMBERS)}),
                }

    def _compared(self) -> Result:
        """Compare the layers with the people of this cell."""
        run, inference = self.run, self.run.study.inference
        human, left_out = run.array("human_rdms.nc"), self.options.exclusions[self.exclusion]
        ids, people = _remaining(run, human, left_out)
        human = select_stimuli(human, ids).sel({PARTICIPANT: people})
        rdms, _ = varying(select_stimuli(_rdms_by(run, self.measure, own=self.options.measure[0]), ids))
        rsa = RSA(rdms, human, comparison=self.comparison, groups=inference.groups, stimuli=run.stimuli)
        section = run.study.multiverse
        assert section is not None
        return rsa.bootstrap(inference.resample, draws=section.draws, seed=inference.seed)

    def _given(self, result: Result, controls: tuple[str, ...]) -> xr.Dataset:
        """Return the comparison, or what remains of it given controls."""
        if not controls:
            return result.table
        rdms = control_rdms(self.run.stimuli, controls)
        return result.given(select_stimuli(rdms, stimulus_ids(result.rsa.human)))


def _tried(make: Callable[[], Any]) -> tuple[Any, str]:
    """Return what was made, or None and why it could not be; of few data the study itself has warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return make(), ""
        except ValueError as error:
            return None, in_short(error)


def _content_of(control: str) -> str:
    return hash_file(control) if Path(control).is_file() else ""


def _remaining(run: Run, human: xr.DataArray, left_out: ExclusionSection) -> tuple[list[str], list[str]]:
    """Return the stimuli and participants that remain where some are left out."""
    people = [str(name) for name in human[PARTICIPANT].values]
    unknown = sorted(set(left_out.participants) - set(people))
    if unknown:
        message = f"No participants {unknown} to leave out of {len(people)}, {people[0]} to {people[-1]}"
        raise ValueError(message)
    ids = stimulus_ids(human)
    if left_out.stimuli:
        gone = set(run.stimuli.select(**left_out.stimuli).table[STIMULUS])
        ids = [name for name in ids if name not in gone]
    return ids, [name for name in people if name not in left_out.participants]


def _rdms_by(run: Run, measure: str, *, own: str) -> xr.DataArray:
    """Return the layers' RDMs by a measure: the study's, or those that its networks give once and that are kept."""
    if measure == own:
        return run.array("rdms.nc")
    path = path_in(run.folder / FOLDER, f"rdms_{one_part(measure)}", "The RDMs", suffix=".nc")
    made_from = hash_content(
        [hash_file(run.folder / "rdms.nc"), [code_hash(name) for name in ("activations", "rdms")]]
    )
    if path.is_file():
        rdms = load(path)
        if isinstance(rdms, xr.DataArray) and rdms.attrs.get("made_from") == made_from:
            return rdms
    study = run.study.model_copy(update={"rdms": RdmsSection(measure=measure)})
    again = Run(study, run.say, made=run.made)
    run.say(f"RDMs by {measure} ...")
    rdms = join_rdms([rdms_of(again, section) for section in networks_of(study)])
    path.parent.mkdir(exist_ok=True)
    save(rdms.assign_attrs(made_from=made_from), path)
    return rdms


def _answers(table: xr.Dataset, patterns: tuple[str, ...], study: Study) -> dict[str, Any]:
    """Return the peak, the difference from the baseline and the half-way depth, of some layers."""
    network, baseline = study.inference.network, study.inference.baseline
    layers = table[LAYER].values.astype(str)
    chosen = np.array([any(fnmatchcase(name, pattern) for pattern in patterns) for name in layers])
    if not (chosen & (table[NETWORK].values == network)).any():
        message = f"{network} has no layer {', '.join(patterns)} that varies"
        raise ValueError(message)
    table = table.isel({RDM: np.flatnonzero(chosen)})
    where = localize(table, network=network, baseline=None)
    peak = int(np.nanargmax(where["similarity"].values))
    answer = {
        "peak_layer": str(where[LAYER].values[peak]),
        "peak_depth": float(where["depth"].values[peak]),
        "peak_similarity": float(where["similarity"].values[peak]),
        "half_way_depth": float(where["half_way_depth"]),
        **_ends("peak_depth", where["depth_interval"].sel({TARGET: PEAK}).values),
        **_ends("peak_similarity", where["similarity_band"].values[peak]),
        **_ends("half_way_depth", where["half_way_interval"].values),
    }
    return answer | _difference(table, network, baseline)


def _difference(table: xr.Dataset, network: str, baseline: str) -> dict[str, Any]:
    """Return how much more like people a network is than its baseline, over the layers that the two do not share."""
    nothing = dict.fromkeys(("difference", *(f"difference_{bound}" for bound in BOUNDS)))
    if network == baseline or baseline not in table[NETWORK].values:
        return nothing
    resampled, matched = resampled_of(table), matched_layers(table, network=network, baseline=baseline)
    weights = difference_weights(resampled.estimate.size, matched)
    apart = without_shared(resampled.spread(weights)).error > 0
    if not apart.any():
        return nothing
    mean = resampled.spread(weights[:, apart].mean(axis=1, keepdims=True))
    confidence = float(table.attrs.get("confidence", 0.95))
    return {"difference": float(mean.estimate[0]), **_ends("difference", interval(mean, confidence=confidence)[0])}


def _ends(name: str, ends: np.ndarray) -> dict[str, float | None]:
    return {
        f"{name}_{bound}": float(end) if np.isfinite(end) else None for bound, end in zip(BOUNDS, ends, strict=True)
    }


def _labelled(rows: pd.DataFrame, run: Run) -> xr.Dataset:
    """Return the analyses as a labelled dataset."""
    study, rdms, human = run.study, run.array("rdms.nc"), run.array("human_rdms.nc")
    numbers = {name: rows[name].astype(float).to_numpy() for name in _NUMBERS}
    values: dict[str, Any] = {name: (UNIVERSE, numbers[name]) for name in _NUMBERS if not name.endswith(BOUNDS)}
    for name in _QUANTITIES:
        ends = np.stack([numbers[f"{name}_{bound}"] for bound in BOUNDS], axis=1)
        values[f"{name}_interval"] = ((UNIVERSE, BOUND), ends)
    for name in ("peak_layer", "reason"):
        values[name] = (UNIVERSE, rows[name].to_numpy(str))
    reasons = rows["reason"][rows["reason"] != ""].value_counts()
    section = study.multiverse
    assert section is not None
    return xr.Dataset(
        values,
        {name: (UNIVERSE, rows[name].to_numpy(str)) for name in CHOICES}
        | {"own": (UNIVERSE, rows["own"].to_numpy(bool)), BOUND: list(BOUNDS)},
        {
            "network": study.inference.network,
            "baseline": study.inference.baseline,
            "draws": section.draws,
            "resample": study.inference.resample,
            "seed": study.inference.seed,
            "impossible": {str(reason): int(count) for reason, count in reasons.items()},
            **origin_of(rdms.attrs),
            "simulated": bool(rdms.attrs.get("simulated") or human.attrs.get("simulated")),
        },
    )
