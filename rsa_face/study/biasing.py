"""What pre-training does to a study's networks: to their similarity to people, their PSE and their saliency."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_table
from rsa_face.inference.pretraining import AGAINST, ALL_LAYERS, BIAS, contrast_pretrainings, shared_quantities
from rsa_face.inference.seeds import Measured, jackknifed, similarities_of
from rsa_face.provenance import load, save
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.psychometric import Curve, fit_psychometric
from rsa_face.psychophysics.stage import any_curve
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.answering import ANSWERS
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest

CONTRAST = "bias"
ALL_FACES = "mean of occlusions"
_FACE = "face"


def pretrainings_of(study: Study) -> tuple[str, str] | None:
    """Return which two pre-trainings a study compares, the one that is subtracted last.

    Parameters
    ----------
    study : Study
        Those its `inference` section names; else the two that its networks' `pretraining` name, of which the one
        with ``face`` in its name is subtracted.

    Returns
    -------
    tuple of str, or None
        None where it names none, or does not say which is which.
    """
    if study.inference.pretrainings is not None:
        return study.inference.pretrainings
    named = list(dict.fromkeys(section.start for section in study.networks if section.pretraining))
    faces = [name for name in named if _FACE in name.lower()]
    if len(named) != 2 or len(faces) != 1:
        return None
    return next(name for name in named if name not in faces), faces[0]


def measure_bias(
    study: Study, stimuli: StimulusSet, result: xr.Dataset | None, manifest: Manifest
) -> xr.Dataset | None:
    """Subtract face-trained from object-trained networks, architecture by architecture, in all that was measured.

    Parameters
    ----------
    study : Study
        Its networks' pre-trainings, and `network`, whose bias should be the smallest.
    stimuli : StimulusSet
        For the identities that answers and saliency are left out by.
    result : Dataset or None
        From `compare`.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (bias, bound) and (against, bound), or None
        From `contrast_pretrainings` for each ``measure``; also in ``bias.nc`` and ``bias.csv``. None where the
        study does not compare two pre-trainings.
    """
    pair = pretrainings_of(study)
    if pair is None:
        if any(section.pretraining for section in study.networks):
            manifest.say("left out: the bias of pre-training, since the study does not say which two to compare")
        return None
    measured, files = _measured(study, stimuli, result)
    for name in [name for name, (each, _) in measured.items() if not shared_quantities(each, pair)]:
        manifest.say(f"left out: the bias of {name}, which no architecture has from both pre-trainings in every seed")
        del measured[name]

    def make() -> None:
        parts = [
            _with_measure(
                contrast_pretrainings(
                    each, pretrainings=pair, network=study.inference.network, summary=summary or None
                ),
                name,
            )
            for name, (each, summary) in measured.items()
        ]
        joined = join_measures(parts)
        joined.attrs["simulated"] = bool(result is not None and result.attrs.get("simulated"))
        save(joined, study.output / f"{CONTRAST}.nc")
        write_table(tabulate_bias(joined), study.output / f"{CONTRAST}.csv")

    if not measured:
        return None
    inputs = {"pair": pair, "network": study.inference.network, **{n: manifest.hash_of(f) for n, f in files.items()}}
    manifest.stage("bias of pre-training", make, inputs=inputs, outputs=[f"{CONTRAST}.nc", f"{CONTRAST}.csv"])
    return cast("xr.Dataset", load(study.output / f"{CONTRAST}.nc"))


def _measured(
    study: Study, stimuli: StimulusSet, result: xr.Dataset | None
) -> tuple[dict[str, tuple[Measured, str]], dict[str, str]]:
    answers, looked = study.output / ANSWERS, study.output / "saliency.nc"
    measured = {} if result is None else {"similarity": (similarities_of(result), ALL_LAYERS)}
    files = {"layers": "layers.nc"} if result is not None else {}
    if study.psychophysics is not None and answers.is_file() and any_curve(read_choices(answers)):
        measured["PSE"] = (pses_of(read_choices(answers), stimuli, study.psychophysics.curve.model_dump()), ALL_FACES)
        files["answers"] = ANSWERS
    if study.saliency is not None and looked.is_file():
        measured["saliency"] = (shares_of(cast("xr.Dataset", load(looked)), stimuli), "")
        files["saliency"] = "saliency.nc"
    return measured, files


def pses_of(answers: pd.DataFrame, stimuli: StimulusSet, curve: dict[str, Any]) -> Measured:
    """Return each network's PSE under each occlusion, and how it strays with the people whose faces it judged.

    Parameters
    ----------
    answers : DataFrame
        Of networks; see `ask_networks`.
    stimuli : StimulusSet
        Whose face each stimulus shows.
    curve : dict
        What is fitted; see `Curve`. Networks' curves take its sigmoid, guess, lapse and width.

    Returns
    -------
    Measured
        Quantities are occlusions; by a jackknife over identities, where there are three or more.
    """
    alone = Curve(**{**curve, "pooling": "none"})
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

    Parameters
    ----------
    looked : Dataset, dims (network, stimulus, region)
        From `saliency_regions`. Not changed.
    stimuli : StimulusSet
        Whose face each stimulus shows, and which are whole.

    Returns
    -------
    Measured
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
    """Put the contrasts of several measures one below the other.

    Parameters
    ----------
    parts : sequence of Dataset
        From `contrast_pretrainings`, with a coordinate `measure` along `bias` and `against`.

    Returns
    -------
    Dataset, dims (bias, bound) and (against, bound)
        Attr `over` says of each measure what its intervals are over.
    """
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

    Parameters
    ----------
    bias : Dataset
        From `measure_bias`.

    Returns
    -------
    DataFrame
        A row for each architecture, measure and quantity; the columns on the comparison with the network in question
        are empty on the rows of that network.
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
