"""Comparisons over seeds: the bias of pre-training, and how each architecture did over its seeds."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.human.choices import read_choices
from rsa_face.human.observers import PSE_MEAN, PSE_SD
from rsa_face.inference.seeds import (
    AGAINST,
    ALL_LAYERS,
    BIAS,
    Measured,
    Sampling,
    compare_seeds,
    contrast_pretrainings,
    jackknifed,
    peaks_of,
    shared_quantities,
    similarities_of,
    smaller_size,
    sum_over_seeds,
)
from rsa_face.provenance import load, save
from rsa_face.psychophysics.psychometric import Curve, fit_psychometric
from rsa_face.safety import write_table
from rsa_face.schema import LAYER, NETWORK, UNSIGNED, split_seed, table_along
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.study.behaviour import any_curve
from rsa_face.study.config import recorded_study
from rsa_face.study.graph import Manifest, Run
from rsa_face.study.stages import pretrainings_of


def compare_over_seeds(run: Run) -> None:
    """Average similarities over each network's seeds, and subtract the baseline's within seeds."""
    inference = run.study.inference
    result = run.dataset("layers.nc")
    baseline = split_seed(inference.baseline)[0] if inference.baseline in result[NETWORK].values else None
    seeded = compare_seeds(result, baseline=baseline)
    network = split_seed(inference.network)[0]
    from_network = compare_seeds(result, baseline=network)  # what a change to the network in question does
    for name in ("difference", "difference_interval", "p_difference", "p_difference_holm"):
        seeded[name.replace("difference", "difference_from_network")] = from_network[name]
    known = {name: result.attrs[name] for name in (UNSIGNED, "comparison", "simulated") if name in result.attrs}
    seeded.attrs |= {"network": network, **known}
    save(seeded, run.folder / "seeds.nc")
    write_table(tabulate_seeds(seeded), run.folder / "seeds.csv")


def tabulate_seeds(seeded: xr.Dataset) -> pd.DataFrame:
    """Return the comparison over seeds as a table, a row for each layer of each start."""
    columns: dict[str, Any] = {name: seeded[name].values for name in ("start", LAYER, "seeds")}
    for name, values in seeded.data_vars.items():
        if "bound" in values.dims:
            columns |= {f"{name}_{bound}": values.sel(bound=bound).values for bound in ("lower", "upper")}
        else:
            columns[str(name)] = values.values
    return pd.DataFrame(columns)


ALL_FACES = "mean of occlusions"


def why_no_bias(run: Run) -> str:
    """Say why nothing can be compared between pre-trainings."""
    return "" if _measured(run) else "the bias of pre-training, since no architecture has both in every seed"


def measure_bias(run: Run) -> None:
    """Subtract face-trained from object-trained networks, architecture by architecture, in all that was measured."""
    pair, network = pretrainings_of(run.study), run.study.inference.network
    assert pair is not None
    parts = [
        _with_measure(contrast_pretrainings(each, pretrainings=pair, network=network, summary=summary or None), name)
        for name, (each, summary) in _measured(run).items()
    ]
    result = run.result("layers.nc")
    joined = join_measures(parts)
    joined.attrs["simulated"] = bool(result is not None and result.attrs.get("simulated"))
    save(joined, run.folder / "bias.nc")
    write_table(tabulate_bias(joined), run.folder / "bias.csv")


def _measured(run: Run) -> dict[str, tuple[Measured, str]]:
    """Return what some architecture has from both pre-trainings in every seed, and what its mean is called."""
    result, curves, saliency, pair = (
        run.result("layers.nc"), run.study.psychophysics, run.result("saliency.nc"), pretrainings_of(run.study),
    )  # fmt: skip
    measured = {} if result is None else {"similarity": (similarities_of(result), ALL_LAYERS)}
    answers = read_choices(run.folder / "answers.csv") if run.has("answers.csv") else None
    if curves is not None and answers is not None and any_curve(answers):
        measured["PSE"] = (pses_of(answers, run.stimuli, curves.curve), ALL_FACES)
    if saliency is not None:
        measured["saliency"] = (shares_of(saliency, run.stimuli), "")
    missing = [name for name, (each, _) in measured.items() if pair and not shared_quantities(each, pair)]
    for name in missing:
        run.say(f"left out: the bias of {name}, which no architecture has from both pre-trainings in every seed")
        del measured[name]
    return measured


def pses_of(answers: pd.DataFrame, stimuli: StimulusSet, curve: Curve) -> Measured:
    """Return each network's PSE under each occlusion, and how it varies with the people whose faces it judged.

    Quantities are occlusions; by a jackknife over identities, where there are three or more.
    """
    alone = curve.changed(pooling="none")
    fit = fit_psychometric(answers, alone, interval="none")
    networks, occlusions = ([str(name) for name in fit[dim].values] for dim in ("network", "occlusion"))
    people = _identities(stimuli).reindex(answers["stimulus"].astype(str)).to_numpy()
    names = sorted(set(people[pd.notna(people)]))
    sampling = None
    if len(names) >= 3:
        rest = [answers[people != name] for name in names]
        without = [fit_psychometric(each, alone, interval="none") for each in rest if any_curve(each)]
        # the fit's own PSE: one that all faces determine may be a little outside the levels without one identity
        sampling = jackknifed(np.stack([each["pse_fit"].sel(network=networks).values for each in without]))
    over = ("identities",) if sampling else ()
    return Measured(tuple(networks), tuple(occlusions), fit["pse"].values, sampling, over)


def shares_of(saliency: xr.Dataset, stimuli: StimulusSet) -> Measured:
    """Return the share of each network's saliency in each region of whole faces, and how it varies with faces.

    Quantities are regions; by a jackknife over identities, or over faces where none are named.
    """
    ids = [str(name) for name in saliency["stimulus"].values]
    table = stimuli.table.set_index(stimuli.table["stimulus"].astype(str)).loc[ids]
    unmasked = (table["occlusion"] == "none").to_numpy() if "occlusion" in table else np.ones(len(ids), dtype=bool)
    shares = saliency["proportion"].transpose("stimulus", "network", "region").values[unmasked]
    people = _identities(stimuli).reindex(ids).to_numpy()[unmasked]
    units = list(dict.fromkeys(people))
    without = np.stack([_over_faces(shares[people != unit]) for unit in units])
    networks, regions = (tuple(str(name) for name in saliency[dim].values) for dim in ("network", "region"))
    over = ("identities",) if "identity" in table else ("stimuli",)
    return Measured(networks, regions, _over_faces(shares), jackknifed(without), over)


def join_measures(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put the contrasts of several measures one below the other; `over` says what each one's intervals are over."""
    joined = []
    for dim in (BIAS, AGAINST):
        each = [
            part[[name for name in part.data_vars if dim in part[name].dims]] for part in parts if dim in part.dims
        ]
        if each:
            joined.append(xr.concat(each, dim, combine_attrs="drop_conflicts"))
    over = [f"{part.attrs['measure']}: {', '.join(part.attrs['over'])}" for part in parts]
    return xr.merge(joined, combine_attrs="override").assign_attrs(over=over)


def tabulate_bias(bias: xr.Dataset) -> pd.DataFrame:
    """Return biases, and what compares them between architectures, as one table.

    The columns on the comparison with the network in question are empty on the rows of that network.
    """
    tables = []
    for dim, names in ((BIAS, ("architecture", "quantity")), (AGAINST, ("other", "compared"))):
        if dim in bias.dims:
            table = table_along(bias, dim)
            tables.append(
                table.rename(columns=dict(zip(names, ("architecture", "quantity"), strict=True))).rename(
                    columns={f"{dim}_measure": "measure"}
                )
            )
    joined = tables[0] if len(tables) == 1 else tables[0].merge(tables[1], how="left")
    return joined.assign(first_pretraining=bias.attrs["first"], second_pretraining=bias.attrs["second"])


def _with_measure(contrast: xr.Dataset, measure: str) -> xr.Dataset:
    # objects, since text of fixed width is cut to the first array's when arrays are joined
    labels = {name: coord.astype(object) for name, coord in contrast.coords.items() if name != "bound"}
    for dim in (BIAS, AGAINST):
        if dim in contrast.dims:
            labels[f"{dim}_measure"] = xr.DataArray(np.array([measure] * contrast.sizes[dim], object), dims=dim)
    return contrast.assign_coords(labels).assign_attrs(measure=measure)


def _identities(stimuli: StimulusSet) -> pd.Series:
    table = stimuli.table
    whose = table["identity"] if "identity" in table else table["stimulus"]
    return pd.Series(whose.astype(str).to_numpy(), index=table["stimulus"].astype(str))


def _over_faces(shares: np.ndarray) -> np.ndarray:
    return xr.DataArray(shares).mean("dim_0").values  # without the maps that are 0 everywhere


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
    faces: mean .514, SD .092. An architecture is ahead of all others by more than chance if it is so of each.
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
    sentences = []
    for measure, best in _MEASURES.items():
        rows = table[table["measure"] == measure]
        each = rows.to_dict("records")
        place = next(row["place"] for row in each if str(row["start"]).startswith(f"{network}/"))
        if np.isnan(place):
            sentences.append(f"{measure}: {network} has none, since a seed gave one answer to every face.")
            continue
        others = [row for row in each if not np.isnan(row["ahead"])]
        rival = min(others, key=lambda row: float(row["ahead"]))
        first = "came first" if place == 1 else f"did not come first (place {place:.0f} of {len(each)})"
        chance = "by more than chance" if all(row["p_ahead"] < 0.05 for row in others) else "by no more than chance"
        verdict = f", {chance}" if place == 1 else ""
        sentences.append(
            f"{measure} ({best}): {network} {first}{verdict}; ahead of {rival['start']} by {rival['ahead']:+.3f} "
            f"({rival['ahead_lower']:+.3f} to {rival['ahead_upper']:+.3f})."
        )
    people = "simulated observers" if simulated else "participants"
    over = dict(zip(table["measure"], table["over"], strict=True))
    rest = "; ".join(f"{name}: {value}" for name, value in over.items())
    sentences.append(
        f"Similarity is to {people}. Human PSEs (.514, SD .092) are those published for another morph. 95% intervals "
        f"are over ({rest}), and end where shares and correlations do."
    )
    return sentences


def _accuracy(scores: xr.Dataset, condition: str) -> Measured:
    names = tuple(str(name) for name in scores["network"].values)
    return Measured(names, ("accuracy",), scores["accuracy"].sel(condition=condition).values[:, None])


def _pse(folder: Path) -> Measured:
    study = recorded_study(Manifest(folder, print).read().get("study"))
    curve = study.psychophysics.curve if study is not None and study.psychophysics is not None else Curve()
    answers = read_choices(folder / "answers.csv")
    stimuli = read_stimuli(folder / "stimuli.csv")
    pses = pses_of(answers, stimuli, curve)
    column = [pses.quantities.index(WHOLE) if WHOLE in pses.quantities else 0]
    signed = bool(answers["level"].min() < 0)
    size, shift = (0.5, 0.5) if signed else (1.0, 0.0)
    values = pses.values[:, column] * size + shift
    sampling = None if pses.sampling is None else _of_column(pses.sampling, column[0], pses.values.shape[1], size)
    return replace(pses, quantities=("PSE",), values=values, sampling=sampling)


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
    complete = {start: not np.isnan(measured.values[list(places.values())]).any()
             for start, places in measured.starts.items()}  # fmt: skip
    for start in measured.starts:
        row: dict[str, Any] = {"start": start, "measure": name, "seeds": len(measured.starts[start])}
        if complete[start]:
            mean = sum_over_seeds(measured, [{(start, quantity): 1.0}])
            lower, upper = mean.interval(confidence)[0]
            if quantity != "PSE":  # the t interval of shares near 1, or of a correlation, may reach past its end
                lower, upper = max(lower, -1.0 if name == "similarity" else 0.0), min(upper, 1.0)
            row |= {"value": mean.estimate[0], "lower": lower, "upper": upper, "over": ", ".join(mean.over)}
            if start != network and complete[network]:
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
