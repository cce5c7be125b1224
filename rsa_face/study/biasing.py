"""What pre-training does to a study's networks: to their similarity to people, their PSE and their saliency."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_table
from rsa_face.inference.pretraining import AGAINST, ALL_LAYERS, BIAS, contrast_pretrainings, shared_quantities
from rsa_face.inference.seeds import Measured, jackknifed, similarities_of
from rsa_face.provenance import save
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.psychometric import fit_psychometric
from rsa_face.psychophysics.settings import Curve
from rsa_face.psychophysics.stage import any_curve
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.graph import Run
from rsa_face.study.stages import pretrainings_of

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
    """Return each network's PSE under each occlusion, and how it strays with the people whose faces it judged.

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
        # the fit's own PSE: one that all faces determine may be a little beyond the levels without one identity
        sampling = jackknifed(np.stack([each["pse_fit"].sel(network=networks).values for each in without]))
    over = ("identities",) if sampling else ()
    return Measured(tuple(networks), tuple(occlusions), fit["pse"].values, sampling, over)


def shares_of(looked: xr.Dataset, stimuli: StimulusSet) -> Measured:
    """Return the share of each network's saliency in each region of whole faces, and how it strays with faces.

    Quantities are regions; by a jackknife over identities, or over faces where none are named.
    """
    ids = [str(name) for name in looked["stimulus"].values]
    table = stimuli.table.set_index(stimuli.table["stimulus"].astype(str)).loc[ids]
    whole = (table["occlusion"] == "none").to_numpy() if "occlusion" in table else np.ones(len(ids), dtype=bool)
    shares = looked["proportion"].transpose("stimulus", "network", "region").values[whole]
    people = _identities(stimuli).reindex(ids).to_numpy()[whole]
    units = list(dict.fromkeys(people))
    without = np.stack([_mean(shares[people != unit]) for unit in units])
    networks, regions = (tuple(str(name) for name in looked[dim].values) for dim in ("network", "region"))
    over = ("identities",) if "identity" in table else ("stimuli",)
    return Measured(networks, regions, _mean(shares), jackknifed(without), over)


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
        if dim not in bias.dims:
            continue
        labels = [f"{dim}_measure", *names]
        table = pd.DataFrame({label: bias[label].values.astype(str) for label in labels})
        table.columns = pd.Index(["measure", "architecture", "quantity"])
        for name, column in bias.data_vars.items():
            if column.dims == (dim,):
                table[str(name)] = column.values
            elif column.dims == (dim, "bound"):
                table[[f"{name}_{bound}" for bound in bias["bound"].values]] = column.values
        tables.append(table)
    joined = tables[0] if len(tables) == 1 else tables[0].merge(tables[1], how="left")
    return joined.assign(first_pretraining=bias.attrs["first"], second_pretraining=bias.attrs["second"])


def _with_measure(contrast: xr.Dataset, measure: str) -> xr.Dataset:
    # objects, since text of fixed width is cut to the first array's when arrays are joined
    labels = {name: coord.astype(object) for name, coord in contrast.coords.items() if name != "bound"}
    for dim in (BIAS, AGAINST):
        if dim in contrast.dims:
            labels[f"{dim}_measure"] = xr.DataArray(np.array([measure] * contrast.sizes[dim], object), dims=dim)
    return contrast.assign_coords(labels).assign_attrs(measure=measure)


def _mean(shares: np.ndarray) -> np.ndarray:
    there = ~np.isnan(shares)
    counts = there.sum(axis=0)
    sums = np.where(there, shares, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _identities(stimuli: StimulusSet) -> pd.Series:
    table = stimuli.table
    whose = table["identity"] if "identity" in table else table["stimulus"]
    return pd.Series(whose.astype(str).to_numpy(), index=table["stimulus"].astype(str))
