"""How each architecture did over its seeds, and whether the one in question came first: the replication's table."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.human.observers import PSE_MEAN, PSE_SD
from rsa_face.inference.seeds import Measured, Sampling, peaks_of, smaller_size, sum_over_seeds
from rsa_face.provenance import load
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.psychometric import Curve
from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.study.comparing import pses_of
from rsa_face.study.config import recorded_study
from rsa_face.study.graph import Manifest

WHOLE, EVERY = "none", "all"
_MEASURES = {
    "accuracy, whole faces": "highest",
    "accuracy, all conditions": "highest",
    "PSE": "nearest to people's",
    "similarity": "highest",
}


def compare_architectures(
    folder: str | Path, *, network: str = "fe_alexnet", confidence: float = 0.95
) -> pd.DataFrame:
    """Set architectures trained over several seeds side by side, from what a study wrote.

    People's PSEs are those of 40 participants of Ying, Li & Chen 2023, arXiv 2310.13674, on a morph of their own
    faces: mean .514, SD .092. An architecture ahead of all others is so beyond chance if it is ahead of each.
    """
    folder = Path(folder)
    lacking = [
        name for name in ("training.nc", "layers.nc", "answers.csv", "stimuli.csv") if not (folder / name).is_file()
    ]
    if lacking:
        message = (
            f"{str(folder)!r} has no {', '.join(lacking)}. Run the study first: rsa-face run STUDY --output FOLDER."
        )
        raise FileNotFoundError(message)
    peaks, _ = peaks_of(cast("xr.Dataset", load(folder / "layers.nc")))
    scores = cast("xr.Dataset", load(folder / "training.nc"))
    measured = {
        "accuracy, whole faces": _accuracy(scores, WHOLE if WHOLE in scores["condition"].values else EVERY),
        "accuracy, all conditions": _accuracy(scores, EVERY),
        "PSE": _pse(folder),
        "similarity": peaks,
    }
    start = _start_of(network, measured["similarity"])
    parts = [_rows(name, each, start, confidence) for name, each in measured.items()]
    return pd.concat(parts, ignore_index=True)


def layers_picked(folder: str | Path) -> dict[str, list[str]]:
    """Return the best layer of each seed, by start."""
    peaks, best = peaks_of(cast("xr.Dataset", load(Path(folder) / "layers.nc")))
    return {
        start: [best[peaks.networks[place]] for _, place in sorted(places.items())]
        for start, places in peaks.starts.items()
    }


def write_markdown(table: pd.DataFrame, picked: Mapping[str, list[str]]) -> str:
    """Return the comparison of architectures as a Markdown table, a row for each start."""
    heads = [
        "accuracy, whole faces",
        "accuracy, all conditions",
        "PSE (morph)",
        "PSE, z",
        "similarity",
        "best layers",
    ]
    lines = [f"| network | seeds | {' | '.join(heads)} |", "|---|---:|" + "---:|" * 5 + "---|"]
    for start, rows in table.groupby("start", sort=False):
        by = {str(row["measure"]): row for row in rows.to_dict("records")}
        cells = [_cell(by[name], digits) for name, digits in zip(_MEASURES, (2, 2, 3, 3), strict=True)]
        z = by["PSE"]["z"]
        cells.insert(3, "none" if np.isnan(z) else f"{z:+.2f}")
        seeds = by["PSE"]["seeds"]
        lines.append(f"| {start} | {seeds} | {' | '.join(cells)} | {', '.join(picked[str(start)])} |")
    return "\n".join(lines)


def tell_places(table: pd.DataFrame, *, network: str = "fe_alexnet", simulated: bool) -> list[str]:
    """Say for each measure whether the architecture in question came first, and how sure that is."""
    said = []
    for measure, best in _MEASURES.items():
        rows = table[table["measure"] == measure]
        each = rows.to_dict("records")
        place = next(row["place"] for row in each if str(row["start"]).startswith(f"{network}/"))
        if np.isnan(place):
            said.append(f"{measure}: {network} has none, since a seed gave one answer to every face.")
            continue
        others = [row for row in each if not np.isnan(row["ahead"])]
        rival = min(others, key=lambda row: float(row["ahead"]))
        first = "came first" if place == 1 else f"did not come first (place {place:.0f} of {len(each)})"
        beyond = "beyond chance" if all(row["p_ahead"] < 0.05 for row in others) else "not beyond chance"
        verdict = f", {beyond}" if place == 1 else ""
        said.append(
            f"{measure} ({best}): {network} {first}{verdict}; ahead of {rival['start']} by {rival['ahead']:+.3f} "
            f"({rival['ahead_lower']:+.3f} to {rival['ahead_upper']:+.3f})."
        )
    people = "simulated observers" if simulated else "participants"
    over = dict(zip(table["measure"], table["over"], strict=True))
    rest = "; ".join(f"{name}: {value}" for name, value in over.items())
    said.append(
        f"Similarity is to {people}. Human PSEs (.514, SD .092) are those published for another morph. 95% intervals "
        f"are over ({rest}), and end where shares and correlations do."
    )
    return said


def _accuracy(scores: xr.Dataset, condition: str) -> Measured:
    names = tuple(str(name) for name in scores["network"].values)
    return Measured(names, ("accuracy",), scores["accuracy"].sel(condition=condition).values[:, None])


def _pse(folder: Path) -> Measured:
    study = recorded_study(Manifest(folder, print).read().get("study"))
    curve = study.psychophysics.curve if study is not None and study.psychophysics is not None else Curve()
    answers = read_choices(folder / "answers.csv")
    stimuli = read_stimuli(folder / "stimuli.csv")
    found = pses_of(answers, stimuli, curve)
    column = [found.quantities.index(WHOLE) if WHOLE in found.quantities else 0]
    signed = bool(answers["level"].min() < 0)
    size, shift = (0.5, 0.5) if signed else (1.0, 0.0)
    values = found.values[:, column] * size + shift
    sampling = None if found.sampling is None else _of_column(found.sampling, column[0], found.values.shape[1], size)
    return replace(found, quantities=("PSE",), values=values, sampling=sampling)


def _of_column(sampling: Sampling, column: int, columns: int, size: float) -> Sampling:
    def sample(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = np.zeros((weights.shape[0], columns, weights.shape[2]))
        wide[:, column] = weights[:, 0] * size
        return sampling(wide)

    return sample


def _start_of(network: str, measured: Measured) -> str:
    starts = [start for start in measured.starts if start.split("/")[0] == network and "/" in start]
    if len(starts) != 1:
        message = (
            f"No single start of {network} over seeds among {list(measured.networks)}. Name another network, or "
            "give its section seeds."
        )
        raise ValueError(message)
    return starts[0]


def _rows(name: str, measured: Measured, network: str, confidence: float) -> pd.DataFrame:
    quantity = measured.quantities[0]
    rows: list[dict[str, Any]] = []
    whole = {start: not np.isnan(measured.values[list(places.values())]).any()
             for start, places in measured.starts.items()}  # fmt: skip
    for start in measured.starts:
        row: dict[str, Any] = {"start": start, "measure": name, "seeds": len(measured.starts[start])}
        if whole[start]:
            found = sum_over_seeds(measured, [{(start, quantity): 1.0}])
            lower, upper = found.interval(confidence)[0]
            if quantity != "PSE":  # the t interval of shares near 1, or of a correlation, may reach past its end
                lower, upper = max(lower, -1.0 if name == "similarity" else 0.0), min(upper, 1.0)
            row |= {"value": found.estimate[0], "lower": lower, "upper": upper, "over": ", ".join(found.over)}
            if start != network and whole[network]:
                row |= _ahead(measured, network, start, quantity, confidence)
        rows.append(row)
    columns = ["value", "lower", "upper", "over", "ahead", "ahead_lower", "ahead_upper", "p_ahead"]
    table = pd.DataFrame(rows).reindex(columns=["start", "measure", "seeds", *columns])
    worth = -(table["value"] - PSE_MEAN).abs() if quantity == "PSE" else table["value"]
    z = (table["value"] - PSE_MEAN) / PSE_SD if quantity == "PSE" else np.nan
    return table.assign(place=worth.rank(ascending=False, method="min"), z=z)


def _ahead(measured: Measured, network: str, other: str, quantity: str, confidence: float) -> dict[str, float]:
    apart = sum_over_seeds(measured, [{(network, quantity): 1.0, (other, quantity): -1.0}])
    if quantity != "PSE":
        (lower, upper), value, p = apart.interval(confidence)[0], apart.estimate[0], apart.p(two_sided=False)[0]
        return {"ahead": value, "ahead_lower": lower, "ahead_upper": upper, "p_ahead": p}
    total = sum_over_seeds(measured, [{(network, quantity): 1.0, (other, quantity): 1.0}])
    total = replace(total, each=total.each - 2 * PSE_MEAN)
    interval, smaller = smaller_size(apart, total, confidence=confidence)
    distances = [abs(_mean(measured, start) - PSE_MEAN) for start in (other, network)]
    return {
        "ahead": distances[0] - distances[1], "ahead_lower": -interval[0, 1], "ahead_upper": -interval[0, 0],
        "p_ahead": smaller[0],
    }  # fmt: skip


def _mean(measured: Measured, start: str) -> float:
    return float(sum_over_seeds(measured, [{(start, measured.quantities[0]): 1.0}]).estimate[0])


def _cell(row: Mapping[Hashable, Any], digits: int) -> str:
    if np.isnan(row["value"]):
        return "none"
    if np.isnan(row["lower"]):
        return f"{row['value']:.{digits}f}"
    return f"{row['value']:.{digits}f} ({row['lower']:.{digits}f} to {row['upper']:.{digits}f})"
