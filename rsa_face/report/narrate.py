"""Sentences about results and methods, in one voice and one number format: for the report and the command line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pydantic import ValidationError

from rsa_face.figures.layers import controls_in_words, matched, partial_of
from rsa_face.figures.layout import number, p_equals, percent
from rsa_face.figures.planning import hardest_rival, plural_of
from rsa_face.figures.saliency import how_mapped
from rsa_face.figures.style import architecture_of, in_order, network_label
from rsa_face.inference.planning import HALF
from rsa_face.inference.recovery import LEFT_OUT, RAW, REWEIGHTED, neighbours_of, not_told_apart
from rsa_face.inference.seeds import ALL_LAYERS
from rsa_face.schema import (
    BOUND,
    LAYER,
    MEASURES,
    NETWORK,
    OCCLUSIONS,
    OTHER_MEASURES,
    PARTICIPANT,
    PEOPLE,
    RDM,
    STIMULUS,
    STIMULUS_I,
    UNSIGNED,
    comparison_label,
    names_in,
    split_seed,
    table_along,
)
from rsa_face.study.config import NetworkSection
from rsa_face.study.folder import StudyFolder, read_results

NONE = "none"
_GENERAL = {
    "stimulus": "to other faces like these, but not to other people",
    UNSIGNED: "to other faces like these and other ratings of them, but not to other people: nobody recorded whose "
    "each rating is, so that how people differ is not known",
    "participant": "to other people like these, but not to other faces",
    "both": "to other faces and other people like these",
    "dual": "to other faces and other people like these",
}
_RANKED = {"pse_distance": "distance in PSE", "curve_rmse": "distance in choices"}
_BEST = "similarity_peak"
_MANY = 10

_ORIGINS = {
    "alexnet": ("AlexNet is that of Krizhevsky et al. (2017)", ["alexnet"]),
    "vgg": ("VGGs are those of Simonyan & Zisserman (2015)", ["vgg"]),
    "fe_alexnet": (
        "FE-AlexNet is AlexNet (Krizhevsky et al. 2017) with a block that weighs channels (Hu et al. 2018), as in "
        "Ying et al. (2023)",
        ["alexnet", "excitation", "fe_alexnet"],
    ),
}
_TRIALS = {
    "triplet": "odd-one-out ",
    "anchored": "anchored-triplet ",
    "ranking": "ranking ",
    "samediff": "same-different ",
    "choice": "two-choice ",
}
_RESAMPLED = {
    "stimulus": "resampling stimuli",
    UNSIGNED: "resampling stimuli, each with its ratings",
    "participant": "resampling participants",
    "both": "resampling stimuli and participants together",
    "dual": "the dual bootstrap over stimuli and participants",
}
_ABOVE_ZERO = {
    "t": "by a t test, which generalises to other stimuli and participants",
    "shuffle": "by shuffling stimulus labels (Nichols & Holmes 2002), about these stimuli and judgements",
    "shuffle of groups": "by shuffling stimulus labels in groups (Nichols & Holmes 2002), about more than the design "
    "of these stimuli",
}
_CORRECTED = {
    "max": "the largest statistic over layers",
    "holm": "Holm's method",
    "fdr": "the false discovery rate",
}
_MATCHED = {"name": "of the same name", "depth": "nearest in depth"}
_CURVES = {"gaussian": "cumulative Gaussian", "logistic": "logistic"}
_MAPPED = {
    "gradcam": "Selvaraju et al. 2017",
    "gradcam++": "Chattopadhay et al. 2018",
    "layercam": "Jiang et al. 2021",
}
CITATIONS = {
    "rsa": "Kriegeskorte, Mur & Bandettini 2008, Representational similarity analysis. doi:10.3389/neuro.06.004.2008",
    "ceiling": "Nili et al. 2014, A toolbox for representational similarity analysis. "
    "doi:10.1371/journal.pcbi.1003553",
    "inference": "Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, Statistical inference on representational "
    "geometries. doi:10.7554/eLife.82566",
    "freedom": "Satterthwaite 1946, An approximate distribution of estimates of variance components. "
    "doi:10.2307/3002019",
    "jackknife": "Efron & Stein 1981, The jackknife estimate of variance. doi:10.1214/aos/1176345462",
    "crossed": "Clark 1973, The language-as-fixed-effect fallacy. doi:10.1016/S0022-5371(73)80014-3",
    "alexnet": "Krizhevsky, Sutskever & Hinton 2017, ImageNet classification with deep convolutional neural "
    "networks. doi:10.1145/3065386",
    "vgg": "Simonyan & Zisserman 2015, Very deep convolutional networks for large-scale image recognition. "
    "doi:10.48550/arXiv.1409.1556",
    "excitation": "Hu, Shen & Sun 2018, Squeeze-and-excitation networks. doi:10.1109/CVPR.2018.00745",
    "fe_alexnet": "Ying, Li & Chen 2023, arXiv 2310.13674. doi:10.48550/arXiv.2310.13674",
    "imagenet": "Deng et al. 2009, ImageNet: a large-scale hierarchical image database. "
    "doi:10.1109/CVPR.2009.5206848",
    "adam": "Kingma & Ba 2015, Adam: a method for stochastic optimization. doi:10.48550/arXiv.1412.6980",
    "shuffles": "Nichols & Holmes 2002, Nonparametric permutation tests for functional neuroimaging. "
    "doi:10.1002/hbm.1058",
    "best": "Hsu 1981, Simultaneous confidence intervals for all distances from the “best”. "
    "doi:10.1214/aos/1176345582",
    "brown": "Brown 1910, Some experimental results in the correlation of mental abilities. "
    "doi:10.1111/j.2044-8295.1910.tb00207.x",
    "recovery": "Avitan & Golan 2025. doi:10.48550/arXiv.2510.23321",
    "power": "Westfall, Kenny & Judd 2014, Statistical power and optimal design in experiments in which samples of "
    "participants respond to samples of stimuli. doi:10.1037/xge0000014",
    "multiverse": "Steegen, Tuerlinckx, Gelman & Vanpaemel 2016, Increasing transparency through a multiverse "
    "analysis. doi:10.1177/1745691616658637",
    "errors": "Geirhos, Meding & Wichmann 2020, Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and "
    "humans by measuring error consistency. doi:10.48550/arXiv.2006.16736",
    "error_intervals": "Klein et al. 2025. doi:10.48550/arXiv.2507.06645",
    "psychometric": "Wichmann & Hill 2001, The psychometric function: I. Fitting, sampling, and goodness of fit. "
    "doi:10.3758/BF03194544",
    "gradcam": "Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks via gradient-based "
    "localization. doi:10.1109/ICCV.2017.74",
    "gradcam++": "Chattopadhay et al. 2018, Grad-CAM++: improved visual explanations for deep convolutional "
    "networks. doi:10.1109/WACV.2018.00097",
    "layercam": "Jiang et al. 2021, LayerCAM: exploring hierarchical class activation maps for localization. "
    "doi:10.1109/TIP.2021.3089943",
    "torch": "Paszke et al. 2019, PyTorch. doi:10.48550/arXiv.1912.01703",
    "xarray": "Hoyer & Hamman 2017, xarray: N-D labeled arrays and datasets in Python. doi:10.5334/jors.148",
    "scaling": "Kruskal 1964, Multidimensional scaling by optimizing goodness of fit. doi:10.1007/BF02289565",
}


@dataclass(frozen=True)
class Answer:
    """A study's question, its answer in one sentence, what else it found, and what all that does not say."""

    question: str
    headline: str
    sentences: tuple[str, ...]
    limits: tuple[str, ...]


def answer_of(study: StudyFolder) -> Answer:
    """Return a study's question and its answer; where a stage is missing, a sentence says so."""
    network = asked_of(study)
    if network is not None and "seeds" in study.extras:
        network = split_seed(network)[0]
    if network is None:
        question = "At which layer does a network become like people?"
    else:
        question = f"At which layer does {network_label(network)} become like people in how it arranges these faces?"
    nothing = "Layers were not compared with people in this folder, so the question has no answer here."
    headline, *others = findings_of(study) or [nothing]
    return Answer(question, headline, tuple(others), tuple(_limits(study)))


def tell_study(folder: str | Path) -> list[str]:
    """Return what a finished study found and what that does not say; nothing where no layer met people."""
    study = read_results(folder)
    findings = findings_of(study)
    return [*findings, *_limits(study)] if findings else []


def findings_of(study: StudyFolder) -> list[str]:
    """Return what a study found: first its answer in one sentence, then each result in a sentence or two.

    Where the network in question was trained with several seeds, the answer and the comparison with its baseline
    are over all of them, and what was found of one of them alone says so.
    """
    result = study.result
    if result is None:
        return []
    where, contrast = study.extras.get("localization"), _contrast_in_question(study)
    names = ("bias", "agreement", "training", "seeds")
    bias, agreement, scores, seeds = (study.extras.get(name) for name in names)
    seeded = None if seeds is None else _rows_over_seeds(seeds)
    if where is None:
        located = [_not_below_ceiling(result)]
    else:
        peak, *located = localization_sentences(where, contrast, against_baseline=seeded is None)
        alone = [] if seeded is None else [f"Seed {split_seed(str(where.attrs['network']))[1]} alone: {peak}"]
        located = [*alone, *located]  # without seeds the answer has said the peak
    return [
        headline_of(study),
        *(_over_seeds(seeds) if seeds is not None else []),
        *located,
        *([contrast_sentence(contrast)] if contrast is not None and seeded is None else []),
        most_similar_sentence(result),
        *(people_sentences(study.extras["people"], asked_of(study)) if "people" in study.extras else []),
        *(_accuracy(scores) if scores is not None else []),
        *(_bias(bias) if bias is not None else []),
        *(_ranks(agreement) if agreement is not None else []),
        *(trial_sentences(study.extras["trials"], asked_of(study)) if "trials" in study.extras else []),
        *_consistency(study),
        *_multiverse(study),
    ]


def headline_of(study: StudyFolder) -> str:
    """Return the answer about the network in question: where, how similar, how sure, and what remains."""
    result, where = study.result, study.extras.get("localization")
    assert result is not None
    partial = study.extras.get("partial")
    partial = partial_of(result) if partial is None else partial
    seeds = study.extras.get("seeds")
    seeded = None if seeds is None else _rows_over_seeds(seeds)
    if seeds is not None and seeded is not None:
        return _headline_over_seeds(result, partial, seeds, seeded)
    if where is not None:
        network, layer = str(where.attrs["network"]), str(where["picked"].sel(target="peak").item())
        if layer == NONE:
            return _peak(where)
        best = where.sel({LAYER: layer})
        similarity = (
            f"{number(float(best['similarity']))} ({_limits_of(best['similarity_band'], 'band over layers')})"
        )
    else:
        network = str(asked_of(study))
        rows = result.isel({RDM: result[NETWORK].values.astype(str) == network})
        best = rows.isel({RDM: int(np.nanargmax(rows["similarity"].values))})
        layer = str(best[LAYER].item())
        spread = "no interval estimated"
        if "similarity_interval" in best:
            spread = _limits_of(best["similarity_interval"], f"{_level(result)} interval")
        similarity = f"{number(float(best['similarity']))} ({spread})"
    return (
        f"{network_label(network)} is most like people at {layer}: {_measured(result)} {similarity}"
        f"{_remains(result, partial, [f'{network}/{layer}'])}."
    )


def _headline_over_seeds(
    result: xr.Dataset, partial: xr.Dataset | None, seeds: xr.Dataset, seeded: xr.Dataset
) -> str:
    best = seeded.isel(seeded=int(np.nanargmax(seeded["similarity"].values)))
    layer, start = str(best[LAYER].item()), str(seeds.attrs["network"])
    spread = _limits_of(best["similarity_interval"], f"{_level(seeds)} interval")
    of_start = [name for name in dict.fromkeys(map(str, result[NETWORK].values)) if split_seed(name)[0] == start]
    return (
        f"{network_label(start)} is most like people at {layer}: {_measured(result)} "
        f"{number(float(best['similarity']))} over {int(best['seeds'])} seeds ({spread}, over "
        f"{listed(list(seeds.attrs['over']))})"
        f"{_remains(result, partial, [f'{name}/{layer}' for name in of_start])}."
    )


def _measured(result: xr.Dataset) -> str:
    return comparison_label(str(result.attrs.get("comparison", ""))) or "similarity"


def _level(part: xr.Dataset) -> str:
    return percent(float(part.attrs.get("confidence", 0.95)))


def _limits_of(limits: xr.DataArray, name: str) -> str:
    lower, upper = (number(float(limit)) for limit in limits.values)
    return f"{name} {lower} to {upper}"


def _remains(result: xr.Dataset, partial: xr.Dataset | None, labels: Sequence[str]) -> str:
    """Say what remains of a similarity under the controls: of several seeds, their mean and how far they spread."""
    if partial is None:
        return ""
    values = matched(partial, np.array(labels, dtype=object), "similarity")
    if not np.isfinite(values).any():
        return ""
    spread = ""
    if len(labels) > 1:
        spread = f" ({number(float(np.nanmin(values)))} to {number(float(np.nanmax(values)))} from seed to seed)"
    elif "partial_similarity_interval" in result:
        interval = result["partial_similarity_interval"].isel({RDM: result[RDM].values.astype(str) == labels[0]})
        spread = f" ({_limits_of(interval.isel({RDM: 0}), f'{_level(result)} interval')})"
    controls = listed(controls_in_words(partial).split(", "))
    return f"; with {controls} partialled out, {number(float(np.nanmean(values)))}{spread} remains"


def _rows_over_seeds(seeds: xr.Dataset) -> xr.Dataset | None:
    """Return the layers of the network in question over its seeds, if it has any."""
    rows = seeds.isel(seeded=(seeds["start"] == str(seeds.attrs.get("network"))).values)
    return rows if rows.sizes["seeded"] and np.isfinite(rows["similarity"].values).any() else None


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def most_similar_sentence(result: xr.Dataset) -> str:
    """Say which layer of all networks is most similar to people, how similar, and from how many data."""
    best = result.isel({RDM: int(np.nanargmax(result["similarity"].values))})
    named = {NETWORK, LAYER} <= set(best.coords)
    name = f"{network_label(str(best[NETWORK].item()))} {best[LAYER].item()}" if named else str(best[RDM].item())
    interval = ", no interval estimated"
    if "similarity_interval" in best:
        interval = f", {_limits_of(best['similarity_interval'], f'{_level(best)} interval')}"
    people = f"{result.sizes[PARTICIPANT]} participants" if PARTICIPANT in result.sizes else "the participants"
    people = f"means of {_ratings_of(result.attrs)}" if result.attrs.get(UNSIGNED) else people
    sample = f"{people} and {_stimuli_of(result)}" if "stimuli" in result.attrs else people
    remains = ""
    if "partial_similarity" in best:
        controls = listed(controls_in_words(result).split(", "))
        remains = f" With {controls} partialled out its similarity is {number(float(best['partial_similarity']))}."
    return (
        f"Of {result.sizes[RDM]} layers, {name} is most similar to people ({_measured(result)} "
        f"{number(float(best['similarity']))}{interval}; {sample}).{remains}"
    )


def _stimuli_of(result: xr.Dataset) -> str:
    """Say how many stimuli a comparison has, and how many groups where they are drawn in groups."""
    units, groups = result.attrs["stimuli"], result.attrs.get("groups")
    if not groups:
        return f"{units} stimuli"
    return (
        f"{result.sizes[STIMULUS]} stimuli in {units} groups by {groups}"
        if STIMULUS in result.sizes
        else f"{units} groups"
    )


def localization_sentences(
    where: xr.Dataset, contrast: xr.Dataset | None = None, *, against_baseline: bool = True
) -> list[str]:
    """Say where a network is most like people and half-way there, reaches the ceiling, and leaves its baseline.

    Where it never leaves it, the sentence on their contrast, if there is one, says so already.
    """
    never = "above_baseline" in where["target"].values and set(_picked_against_baseline(where)) == {NONE}
    same_baseline = contrast is not None and contrast.attrs.get("baseline") == where.attrs.get("baseline")
    said = not against_baseline or (never and same_baseline)
    against = () if said else _baseline(where)
    return [_peak(where), *_picking(where), _half_way(where), _ceiling(where), *against]


def _picked_against_baseline(where: xr.Dataset) -> list[str]:
    return [str(where["picked"].sel(target=target).item()) for target in ("above_baseline", "differs_from_baseline")]


def multiverse_sentences(multiverse: xr.Dataset, *, brief: bool = False) -> list[str]:
    """Say in how many of many analyses the study's own answers hold, and how many could not be made."""
    made = np.isfinite(multiverse["half_way_depth"].values)
    shown, total = multiverse.isel(universe=np.flatnonzero(made)), multiverse.sizes["universe"]
    count = int(made.sum())
    gone = [f"{number} because: {reason}" for reason, number in dict(multiverse.attrs.get("impossible", {})).items()]
    lost = [f"{total - count} of {total} analyses could not be made: {'; '.join(gone)}."] if gone else []
    if not count:
        return lost
    network = network_label(str(multiverse.attrs["network"]))
    layers = [str(name) for name in shown["peak_layer"].values]
    own = np.flatnonzero(shown["own"].values)
    said = str(shown["peak_layer"].values[own[0]]) if own.size else max(set(layers), key=layers.count)
    depth, half = shown["peak_depth"].values, shown["half_way_depth"].values
    impossible = f" ({total - count} more could not be made)" if total > count else ""
    lines = [
        f"In {layers.count(said)} of {count} possible analyses{impossible} the layer of {network} most like people "
        f"is {said}{', as in the study' if own.size else ''}; its depth lies between {number(depth.min(), digits=2)} "
        f"and {number(depth.max(), digits=2)}.",
        *_difference_over_analyses(shown, own),
    ]
    if brief:
        return lines
    half_way = f"Half-way depth lies between {number(half.min(), digits=2)} and {number(half.max(), digits=2)}" + (
        f"; in the study it is {number(half[own[0]], digits=2)}." if own.size else "."
    )
    return [*lines, half_way, *lost]


def _difference_over_analyses(shown: xr.Dataset, own: np.ndarray) -> Iterator[str]:
    """Say how far the difference from the baseline goes over analyses, and where the study's own lies."""
    value, ends = shown["difference"].values, shown["difference_interval"].transpose(BOUND, "universe").values
    known = np.isfinite(value)
    if not known.any():
        return
    network, baseline = (network_label(str(shown.attrs[name])) for name in ("network", "baseline"))
    low, high = (number(end, signed=True) for end in (value[known].min(), value[known].max()))
    text = (
        f"{network} minus {baseline} lies between {low} and {high} over {int(known.sum())} of them (interval above 0 "
        f"in {int((ends[0] > 0).sum())}, below 0 in {int((ends[1] < 0).sum())})"
    )
    if own.size and known[own[0]]:
        lower = int((value[known] < value[own[0]]).sum())
        text += f"; in the study it is {number(value[own[0]], signed=True)}, more than in {lower} of them"
    yield f"{text}."


def _multiverse(study: StudyFolder) -> list[str]:
    """Say what other analyses find, or that they are of other results than those of the folder."""
    multiverse, result = study.extras.get("multiverse"), study.result
    if multiverse is None:
        return []
    own = multiverse.isel(universe=np.flatnonzero(multiverse["own"].values & (multiverse["peak_layer"] != "").values))
    if result is not None and own.sizes["universe"] and "peak_similarity" in own:
        row = own.isel(universe=0)
        label = f"{multiverse.attrs['network']}/{row['peak_layer'].item()}"
        similarity = result["similarity"].values[result[RDM].values.astype(str) == label]
        if not (similarity.size and np.isclose(similarity[0], float(row["peak_similarity"]))):
            return ["The multiverse is of an earlier run of this study. Make it again: rsa-face multiverse."]
    return multiverse_sentences(multiverse, brief=True)


def trial_sentences(trials: xr.Dataset, network: str | None = None) -> list[str]:
    """Say how well the best layer predicts trials, beside guessing and other people, and a network's best layer."""
    score = str(trials.attrs.get("comparison", "accuracy")).replace("-", "_")
    words = {"accuracy": "accuracy", "log_likelihood": "log-likelihood in bits"}[score]
    best = trials.isel({RDM: int(np.nanargmax(trials["similarity"].values))})
    guess = float(trials[f"guessing_{score}"])
    ceiling, repeats = trials[f"ceiling_{score}"].values, float(trials.get(f"repeats_{score}", np.nan))
    others = f" and {number(ceiling[0])} to {number(ceiling[1])} by other people’s answers (the human ceiling)"
    if not np.isfinite(ceiling).all():
        others = "; no other person was asked the same, so that no human ceiling is known"
    kind = _TRIALS.get(str(trials.attrs.get("kind")), "")
    sentences = [
        f"Of {trials.sizes[RDM]} layers, {network_label(str(best[NETWORK].item()))} {best[LAYER].item()} predicts "
        f"{int(trials.attrs['trials']):,} {kind}trials best: {words} {_trial_score(best, score)}, beside "
        f"{number(guess)} by guessing{others}."
    ]
    if np.isfinite(repeats):
        sentences[0] = f"{sentences[0][:-1]}; the same person’s other answers reach {number(repeats)}."
    mine = trials[NETWORK].values.astype(str) == network
    if mine.any() and str(best[NETWORK].item()) != network:
        rows = trials.isel({RDM: mine})
        own = rows.isel({RDM: int(np.nanargmax(rows["similarity"].values))})
        sentences.append(
            f"Of {network_label(str(network))}, {own[LAYER].item()} predicts them best: {words} "
            f"{_trial_score(own, score)}."
        )
    return sentences


def _trial_score(layer: xr.Dataset, score: str) -> str:
    """Return a layer's score with its interval, which is that above guessing."""
    if "similarity_interval" not in layer:
        return f"{number(float(layer[score]))} (no interval estimated)"
    limits = layer["similarity_interval"] + layer[f"guessing_{score}"]
    return f"{number(float(layer[score]))} ({_limits_of(limits, f'{_level(layer)} interval')})"


def consistency_sentences(consistency: xr.Dataset, likeness: xr.Dataset | None = None) -> list[str]:
    """Say how consistent the errors of networks and people are, how sure that is, and how many faces it takes."""
    kappa = consistency["error_consistency"]
    if not {"interval_lower", "interval_upper", "trials", "trials_needed"} <= set(kappa.coords):
        return []  # of an older version
    conditions = kappa["occlusion"].values.astype(str).tolist()
    condition = "none" if "none" in conditions else conditions[0]
    kappa = kappa.sel(occlusion=condition)
    defined = int(np.isfinite(kappa.values).sum())
    if not defined:
        return []
    mean = kappa.mean(PARTICIPANT)
    interval = None if likeness is None else likeness.get("error_consistency_interval")
    each = []
    for name in in_order(map(str, mean[NETWORK].values)):
        limits = ""
        if interval is not None and name in interval[NETWORK].values and condition in interval["occlusion"].values:
            of = interval.sel({NETWORK: name, "occlusion": condition})
            limits = f" ({' to '.join(number(float(end)) for end in of.values)})"
        each.append(f"{network_label(name)} {number(float(mean.sel({NETWORK: name})))}{limits}")
    level = percent(float(kappa.attrs.get("confidence", 0.95)))
    over = f"; {level} intervals over participants" if interval is not None else ""
    none = kappa.size - defined
    undefined = f" No κ for {none} of {kappa.size} pairs, for want of errors." if none else ""
    width = number(float(kappa.attrs.get("half_width", 0.1)), digits=2)
    reach = float(np.nanmedian(kappa["interval_upper"] - kappa["interval_lower"])) / 2
    faces, needed = (int(np.ceil(np.nanmedian(kappa[name]))) for name in ("trials", "trials_needed"))
    return [
        f"Error consistency with people, face by face (Cohen’s κ, mean over people; 0 is chance): "
        f"{listed(each, most=12)}{over}.{undefined}",
        f"κ of one network and one person is known to within ±{number(reach, digits=2)} from {faces} faces ({level} "
        f"interval over faces), and ±{width} would take {needed:,} faces "
        f"(medians of {defined} pairs).",
    ]


def contrast_sentence(contrast: xr.Dataset) -> str:
    """Say at which layers a network is more or less like people than another, by the band over all of them."""
    network, baseline = (network_label(str(contrast.attrs.get(name))) for name in ("network", "baseline"))
    names, value = _names(contrast), contrast["difference"].values
    lower, upper = contrast["difference_band"].transpose(BOUND, LAYER).values
    more = [name for name, low in zip(names, lower, strict=True) if low > 0]
    less = [name for name, high in zip(names, upper, strict=True) if high < 0]
    if more and less:
        differs = f"more like people than {baseline} at {listed(more)} and less so at {listed(less)}"
    elif more or less:
        differs = f"{'more' if more else 'less'} like people than {baseline} at {listed(more or less)}"
    else:
        differs = f"not shown to differ from {baseline} at any layer"
    top = int(np.nanargmax(np.abs(value)))
    shared = list(contrast.attrs.get("shared", []))
    same = f" ({len(shared)} of them shared by both)" if shared else ""
    return (
        f"{network} is {differs}, of {len(names)} matched layers{same}; the largest difference, at {names[top]}, is "
        f"{_with_band(value[top], (lower[top], upper[top]), signed=True)}."
    )


def people_sentences(people: xr.Dataset, network: str | None = None) -> list[str]:
    """Say how two groups of participants differ: in the layers, in where a network turns, and in their ceilings."""
    table = table_along(people, RDM, across=PEOPLE)
    names = [str(name) for name in people[PEOPLE].values]
    counts = [int(count) for count in people["participants"].values]
    low, high = (people["noise_ceiling"].sel({BOUND: "lower"}).values[place] for place in (0, 1))
    differ = table[table["p_difference_corrected"] < 0.05]
    groups = f"{counts[0]} {names[0]} and {counts[1]} {names[1]}"
    strongest = table.iloc[int(np.nanargmax(np.abs(table["difference"])))]
    label = f"{network_label(str(strongest[NETWORK]))} {strongest[LAYER]}"
    span = (strongest["difference_interval_lower"], strongest["difference_interval_upper"])
    value = _with_band(float(strongest["difference"]), span, signed=True, kind="interval")
    by = f"the largest difference, at {label}, is {value}"
    if len(differ):
        at = listed([f"{network_label(str(row[NETWORK]))} {row[LAYER]}" for _, row in differ.iterrows()])
        sentences = [f"Layers differ in their similarity to {groups} at {at} (corrected over {len(table)}); {by}."]
    else:
        sentences = [f"No layer is shown to differ in its similarity to {groups}; {by}."]
    sentences.append(
        f"The lower noise ceiling is {number(float(low))} for {names[0]} and {number(float(high))} for {names[1]}: a "
        "group whose members agree less is less similar to every layer."
    )
    if network is not None and "half_way_depth" in people and network in people["of_network"].values:
        of = people.sel(of_network=network)
        first, second = (number(float(value)) for value in of["half_way_depth"].values)
        ends = [float(end) for end in of["half_way_depth_difference_interval"].values]
        between = f"interval of the difference {number(ends[0], signed=True)} to {number(ends[1], signed=True)}, "
        between = between if np.isfinite(ends).all() else ""  # few draws bound none
        sentences.append(
            f"{network_label(network)} is half-way to its peak at depth {first} for {names[0]} and {second} for "
            f"{names[1]} ({between}{p_equals(float(of['p_half_way_depth_difference']))})."
        )
    return sentences


def _over_seeds(seeded: xr.Dataset) -> Iterator[str]:
    """Say where, and by how much, the network in question is more like people than its baseline over seeds."""
    rows = seeded.isel(seeded=(seeded["start"] == str(seeded.attrs.get("network"))).values)
    rows = rows.isel(seeded=rows["difference"].notnull().values)
    if not rows.sizes["seeded"]:
        return
    network, baseline = (network_label(str(seeded.attrs[name])) for name in ("network", "baseline"))
    names, value = _names(rows), rows["difference"].values
    lower, upper = rows["difference_interval"].transpose(BOUND, "seeded").values
    more = [name for name, low in zip(names, lower, strict=True) if low > 0]
    less = [name for name, high in zip(names, upper, strict=True) if high < 0]
    differs = [f"more like people than {baseline} at {listed(more)}"] if more else []
    differs += [f"less like people than {baseline} at {listed(less)}"] if less else []
    verdict = " and ".join(differs) or f"not shown to differ from {baseline} in likeness to people at any layer"
    both = seeded.isel(seeded=(seeded[LAYER] == names[-1]).values).set_index(seeded="start")["similarity"]
    pair = [number(float(both.sel(seeded=str(seeded.attrs[name])))) for name in ("network", "baseline")]
    level = percent(float(seeded.attrs["confidence"]))
    yield (
        f"Over {int(rows['seeds'].values[0])} seeds, {network} is {verdict}, of {len(names)} layers that both have; "
        f"at {names[-1]} their similarities are {listed(pair)}, a difference of {number(value[-1], signed=True)} "
        f"({level} interval {number(lower[-1], signed=True)} to {number(upper[-1], signed=True)}, over "
        f"{listed(list(seeded.attrs['over']))}; intervals hold for one layer each)."
    )


def _not_below_ceiling(result: xr.Dataset) -> str:
    """Say how many layers are not significantly below the ceiling, where no network was looked at by itself."""
    if "noise_ceiling" not in result:
        return "No noise ceiling was estimated, so it is not known how much of people’s agreement is reached."
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    band = f"the noise ceiling ({number(lower)} to {number(upper)})"
    name = next((test for test in ("p_below_ceiling_corrected", "p_below_ceiling") if test in result), None)
    if name is None:
        above = int((result["similarity"].values >= lower).sum())
        return (
            f"{above} of {result.sizes[RDM]} layers lie at or above the lower bound of {band}; this was not tested."
        )
    close = int((~((result[name].values < 0.05) & (result["similarity"].values < lower))).sum())
    how = "corrected for the number of layers" if name.endswith("corrected") else "not corrected"
    return (
        f"{close} of {result.sizes[RDM]} layers cannot be told from {band} (p ≥ .05, {how}), which does not show "
        "that they reach it."
    )


def _peak(where: xr.Dataset) -> str:
    answer, network = where.sel(target="peak"), network_label(str(where.attrs["network"]))
    picked = str(answer["picked"].item())
    if picked == NONE:
        return (
            f"No layer of {network} is shown to be similar to people, {_in_draws(answer)}: the band over all of them "
            "includes 0."
        )
    layer = where.sel({LAYER: picked})
    similarity = _with_band(float(layer["similarity"]), layer["similarity_band"].values)
    return f"{network} is most like people at {picked}, with a similarity of {similarity}."


def _picking(where: xr.Dataset) -> Iterator[str]:
    """Say how sure the layer most like people is, and what it is worth where it was not picked."""
    answer = where.sel(target="peak")
    picked = str(answer["picked"].item())
    if picked == NONE:
        return
    share = percent(float(answer["probability"].sel({LAYER: picked})))
    held_out = _held_out(where)
    if held_out and "same_pairs_similarity" in answer:
        same = number(float(answer["same_pairs_similarity"]))
        held_out += f" ({same} there for the layer that they help to pick)"
    worth = f", and its similarity is {held_out}" if held_out else ""
    yield f"{picked} is picked in {share} of draws{worth}; {_not_ruled_out(answer)}."


def _held_out(where: xr.Dataset) -> str:
    """Return what the layer most like people is worth on what did not pick it."""
    answer = where.sel(target="peak")
    if "held_out_similarity" not in answer or not np.isfinite(float(answer["held_out_similarity"])):
        return ""
    return f"{number(float(answer['held_out_similarity']))} on {_rest_of(where)} that did not pick it"


def _rest_of(where: xr.Dataset) -> str:
    return "stimuli" if where.attrs.get(UNSIGNED) else "stimuli and participants"


def _half_way(where: xr.Dataset) -> str:
    low, high = where["half_way_interval"].values
    return (
        f"Its similarity is half-way from the first layer to the peak at a depth of "
        f"{number(float(where['half_way_depth']), digits=2)} ({percent(float(where.attrs['confidence']))} interval "
        f"{number(low, digits=2)} to {number(high, digits=2)}), first passed at {where['half_way_layer'].item()}."
    )


def _ceiling(where: xr.Dataset) -> str:
    if "noise_ceiling" not in where:
        return "Whether it reaches the noise ceiling is not known: there is no ceiling above 0."
    answer, least = where.sel(target="reaches_ceiling"), percent(1 - float(where.attrs["ceiling_margin"]))
    picked, many = str(answer["picked"].item()), float(where["noise_ceiling_extrapolated"])
    lower = number(float(where["noise_ceiling"][0]))
    bar = f"the noise ceiling, that is, to be above {least} of its lower bound of {lower}"
    more = "ratings" if where.attrs.get(UNSIGNED) else "participants"
    bar += f" (about {number(many)} with many {more})" if np.isfinite(many) else ""
    if picked == NONE:
        near = [name for name, below in zip(_names(where), where["below_ceiling"].values, strict=True) if not below]
        peak = str(where.sel(target="peak")["picked"].item())
        most = "" if peak == NONE else f"{peak} is at {_share_of_ceiling(where, peak)}. "
        return f"No layer is shown to reach {bar}, {_in_draws(answer)}. {most}{_not_to_be_told(near[:-1])}"
    share = _share_of_ceiling(where, picked)
    return f"{picked} is the first layer shown to reach {bar}: it is at {share}. {_stability(answer)}."


def _share_of_ceiling(where: xr.Dataset, name: str) -> str:
    """Return which share of the ceiling's lower bound a layer is at, with its band."""
    layer = where.sel({LAYER: name})
    low, high = (percent(float(limit)) for limit in layer["share_of_ceiling_band"].values)
    return f"{percent(float(layer['share_of_ceiling']))} of it (band {low} to {high})"


def _not_to_be_told(near: Sequence[str]) -> str:
    if not near:
        return "Every layer is below it."
    they = "it reaches" if len(near) == 1 else "they reach"
    return f"{listed(near)} cannot be told from it, which does not show that {they} it."


def _baseline(where: xr.Dataset) -> Iterator[str]:
    if "above_baseline" not in where["target"].values:
        return
    network, baseline = (network_label(str(where.attrs[name])) for name in ("network", "baseline"))
    above, differs = where.sel(target="above_baseline"), where.sel(target="differs_from_baseline")
    first, other = _picked_against_baseline(where)
    if first == NONE and other == NONE:
        yield f"No layer of {network} is shown to differ from {baseline}, {_in_draws(differs)}."
        return
    if first == NONE:
        yield f"No layer of {network} is shown to be above {baseline}, {_in_draws(above)}."
    else:
        yield f"{first} is the first layer above {baseline}, by {_difference(above, first)}. {_stability(above)}."
    if other != first:
        how = "more" if float(differs["value"].sel({LAYER: other})) > 0 else "less"
        yield (
            f"{other} is the first layer to differ from {baseline}: {network} is {how} like people there, by "
            f"{_difference(differs, other)}. {_stability(differs)}."
        )


def could_have_told(study: StudyFolder) -> list[str]:
    """Say whether the study could have told layers apart: recovery, stability and power, a sentence or two each."""
    parts = {name: study.extras.get(name) for name in ("recovery", "stability", "plan")}
    voices = {"recovery": recovery_sentence, "stability": stability_sentence, "plan": plan_sentence}
    return [voices[name](part) for name, part in parts.items() if part is not None]


def recovery_sentence(recovery: xr.Dataset) -> str:
    """Say how often simulated studies pick the right layer, which they cannot tell apart, and what weights change."""
    attrs, share = recovery.attrs, recovery["share_recovered"].to_series()
    asked = str(attrs["network"]) if attrs.get("network") else None
    among = f" of {network_label(asked)}" if asked else ""
    pairs = [
        f"{_short(recovery, one)} and {_short(recovery, other)}"
        for at, one in enumerate(recovery["true"].values.astype(str))
        for other in not_told_apart(recovery, one)
        if other in recovery["true"].values.astype(str)[at + 1 :]
    ]
    apart = f"; not told apart: {listed(pairs)}" if pairs else "; every two layers are told apart"
    assumed = "is assumed" if attrs.get("agreement_assumed") else "these people do"
    text = (
        f"Had one layer{among} been exactly right, {attrs['simulations']} simulated studies for each layer, of "
        f"{attrs['participants']} people who agree as {assumed} (mean similarity {number(attrs['agreement'])}), "
        f"would have picked it in {percent(share[RAW])} (chance {percent(attrs['chance'])}){apart}."
    )
    if REWEIGHTED not in share:
        return text
    return (
        f"{text[:-1]}; with weights fitted to each layer it would be {percent(share[REWEIGHTED])}, and without them "
        f"{percent(share[LEFT_OUT])} on the same left-out stimuli."
    )


def _short(recovery: xr.Dataset, name: str) -> str:
    """Return a layer's name, with that of its network where layers of several were told apart."""
    if recovery.attrs.get("network") and LAYER in recovery.coords:
        return str(recovery[LAYER].sel(true=name).item())
    return name


def stability_sentence(stability: xr.Dataset) -> str:
    """Say whether the layer picked, and the sign of the contrast, rest on parts of the data."""
    whole = stability.isel(case=int(np.flatnonzero(stability["kind"].values.astype(str) == "all")[0]))
    same = stability["same_layer"].to_series()
    parts = [kind for kind in same.index if kind != HALF]
    kept = [kind for kind in parts if same[kind] == 1]
    moved = [f"{percent(same[kind])} of cases without one {kind}" for kind in parts if same[kind] < 1]
    picked = str(whole["picked"].item())
    sentences = [f"{picked} is picked whichever {_either(kept)} is left out"] if kept else []
    sentences += [f"{picked} is picked in {listed(moved)}"] if moved else []
    if HALF in same:
        of_halves = f"in {percent(same[HALF])} of random halves of the stimuli"
        sentences.append(f"it is {of_halves}" if sentences else f"{picked} is picked {of_halves}")
    if "same_sign" in stability:
        signs = stability["same_sign"].to_series()
        least = str(signs.idxmin())
        network, baseline = (network_label(str(stability.attrs[name])) for name in (NETWORK, "baseline"))
        always = (
            "in every case"
            if signs.min() == 1
            else f"in at least {percent(signs.min())} of cases of each kind ({least} the fewest)"
        )
        sentences.append(
            f"{network} minus {baseline} at {stability.attrs['contrast_at']}, "
            f"{number(float(whole['contrast']), signed=True)}, keeps its sign {always}"
        )
    return f"{'; '.join(sentences)}."


def _either(names: Sequence[str]) -> str:
    return listed(names).replace(" and ", " or ")


def plan_sentence(planned: xr.Dataset, rival: str | None = None) -> str:
    """Say how many people, or stimuli, tell the layer most like people from the one that is hardest to tell."""
    rival = hardest_rival(planned) if rival is None else rival
    attrs, layer = planned.attrs, planned.sel({LAYER: rival})
    people, units = int(attrs["pilot_participants"]), int(attrs["pilot_stimuli"])
    unit, most = plural_of(str(attrs["unit"])), f"{int(attrs['most']):,}"
    enough = [
        f"{int(layer[f'needed_{what}'])} {name} with these {others}"
        if np.isfinite(float(layer[f"needed_{what}"]))
        else f"no number of {name} up to {most} with these {others}"
        for what, name, others in (
            ("participants", "people", f"{units} {unit}"),
            ("stimuli", unit, f"{people} people"),
        )
    ]
    now = planned.sel({"participants": people, "stimuli": units}, method="nearest")
    shown = f"{int(now['participants'])} people and {int(now['stimuli'])} {unit}"
    return (
        f"To tell {attrs['peak']} from {rival} at {percent(float(attrs['power']))}: {' or '.join(enough)}. With "
        f"{shown} the power is {percent(float(now['left_out'].sel({LAYER: rival})))}, and the set of layers that may "
        f"be the peak is expected to hold {number(float(now['set_size']), digits=1)} of {planned.sizes[LAYER]} (the "
        "differences found are taken as the truth)."
    )


def _not_told_apart(study: StudyFolder) -> Iterator[str]:
    """Warn where the design does not tell the layer most like people from those beside it."""
    where, recovery, planned = (study.extras.get(name) for name in ("localization", "recovery", "plan"))
    picked = NONE if where is None else str(where["picked"].sel(target="peak").item())
    if where is None or picked == NONE:
        return
    reasons = {}
    label = f"{where.attrs['network']}/{picked}"
    if recovery is not None and label in recovery["true"].values:
        alike = not_told_apart(recovery, label)
        for name in neighbours_of(recovery, label):
            if name in alike:
                reasons[_short(recovery, name)] = "simulated studies confuse them"
    if planned is not None and planned.attrs.get("peak") == picked:
        names = [name for name in _names(where) if name in planned[LAYER].values]
        at = names.index(picked)
        now = {what: int(planned.attrs[f"pilot_{what}"]) for what in ("participants", "stimuli")}
        powers = planned["left_out"].sel(now, method="nearest").to_series()
        for name in (names[place] for place in (at - 1, at + 1) if 0 <= place < len(names)):
            if powers[name] < float(planned.attrs["power"]):
                reasons.setdefault(name, f"a study like this does so with a power of {percent(powers[name])}")
    if reasons:
        told = listed([f"{name} ({reason})" for name, reason in reasons.items()])
        yield f"Warning: this design does not reliably tell {picked} from its neighbours in depth: {told}."


def _limits(study: StudyFolder) -> Iterator[str]:
    yield from _not_told_apart(study)
    if study.simulated:
        yield "The observers were simulated: this says whether the analysis works, and nothing about people."
    if study.untrained:
        names = listed([network_label(name) for name in study.untrained])
        yield f"Untrained, random weights: {names}. Their similarity shows what architecture alone gives."
    if study.training_unknown:
        names = listed([network_label(name) for name in study.training_unknown])
        yield f"Training unknown: {names}. Nobody has said whether these weights were learnt or are random."
    if study.result is not None:
        yield "The layer that comes out best of many looks a little better than it is."
        alone = "to no other faces; their spread is that over these participants"
        yield f"The intervals generalise {_GENERAL.get(_drawn(study.result), alone)}."
    config = study.manifest.get("study")
    caveats = config.get("caveats") if isinstance(config, Mapping) else None
    yield from (str(sentence) for sentence in caveats or ())


def _drawn(result: xr.Dataset) -> str:
    """Return what was drawn: stimuli, of mean ratings, bring their ratings with them."""
    return UNSIGNED if result.attrs.get(UNSIGNED) else str(result.attrs.get("resample"))


def _ratings_of(attrs: Mapping[str, Any]) -> str:
    """Return how many ratings of nobody knows whom each stimulus has: ``30 to 32 ratings``."""
    few, most = attrs["ratings"]
    return f"{few} ratings" if few == most else f"{few} to {most} ratings"


def asked_of(study: StudyFolder) -> str | None:
    """Return the network that the study asks about, or else FE-AlexNet, or the one most like people."""
    where = study.extras.get("localization")
    if where is not None:
        return str(where.attrs["network"])
    if study.result is None:
        return None
    names = [str(name) for name in study.result[NETWORK].values]
    return "fe_alexnet" if "fe_alexnet" in names else names[int(np.nanargmax(study.result["similarity"].values))]


def _contrast_in_question(study: StudyFolder) -> xr.Dataset | None:
    """Return the contrast with the baseline of the question, or the first there is."""
    where = study.extras.get("localization")
    baseline = None if where is None else where.attrs.get("baseline")
    contrasts = [part for name, part in study.extras.items() if name.startswith("contrast")]
    return next((one for one in contrasts if one.attrs.get("baseline") == baseline), next(iter(contrasts), None))


def _accuracy(scores: xr.Dataset) -> Iterator[str]:
    conditions = list(map(str, scores["condition"].values)) if "condition" in scores.dims else []
    if "none" not in conditions and "all" not in conditions:
        return
    condition, faces = ("none", "whole faces") if "none" in conditions else ("all", "faces")
    accuracy = scores["accuracy"].sel(condition=condition)
    each = [
        f"{network_label(name)} {percent(float(accuracy.sel({NETWORK: name})))}"
        for name in in_order(map(str, accuracy[NETWORK].values))
    ]
    yield f"Accuracy on {faces} held out from training: {listed(each, most=12)}."


def _bias(bias: xr.Dataset) -> Iterator[str]:
    if ALL_LAYERS not in bias["quantity"].values:
        return
    rows = bias.isel(bias=bias["quantity"].values == ALL_LAYERS)
    each = [
        f"{network_label(str(name))} {_between(value, limits)}"
        for name, value, limits in zip(
            rows["architecture"].values, rows["difference"].values, rows["difference_interval"].values, strict=True
        )
    ]
    confidence, over = float(bias.attrs["confidence"]), next(o for o in bias.attrs["over"] if "similarity" in o)
    yield (
        f"Trained from {bias.attrs['first']} minus trained from {bias.attrs['second']}, mean similarity over layers: "
        f"{listed(each, most=12)}; {percent(confidence)} intervals over {over.split(': ')[1]}."
    )
    if "compared" not in bias.coords:
        return
    against = bias.isel(against=bias["compared"].values == ALL_LAYERS)
    smaller = [
        f"{'smaller' if p < 1 - confidence else 'not shown to be smaller'} than in {network_label(str(name))} "
        f"(by {_between(-size, -limits[::-1])})"
        for name, p, size, limits in zip(
            against["other"].values,
            against["p_smaller"].values,
            against["size_excess"].values,
            against["size_excess_interval"].values,
            strict=True,
        )
    ]
    yield f"In {network_label(str(bias.attrs['network']))} the difference is {listed(smaller, most=12)}."


def _between(value: float, limits: np.ndarray) -> str:
    low, high = (number(float(limit), signed=True) for limit in limits)
    return f"{number(float(value), signed=True)} ({low} to {high})"


def _ranks(agreement: xr.Dataset) -> Iterator[str]:
    if _BEST not in agreement["quantity"].values:
        return
    pairs = agreement.sel(quantity_other=_BEST)
    known = np.isfinite(pairs["rank_correlation"].values) & (pairs["quantity"].values != _BEST)
    pairs = pairs.isel(quantity=known & ~np.char.startswith(pairs["quantity"].values.astype(str), "similarity"))
    if not pairs.sizes["quantity"]:
        return
    each = [
        f"{_RANKED.get(name, name.replace('saliency_', 'saliency on the '))} {number(rho)} ({p_equals(p)})"
        for name, rho, p in zip(
            pairs["quantity"].values.astype(str),
            pairs["rank_correlation"].values,
            pairs["rank_correlation_p"].values,
            strict=True,
        )
    ]
    fewest = int(pairs["n_networks"].min())
    few = f"; {fewest} networks are too few to tell" if fewest < _MANY else ""
    yield (
        f"Networks’ ranks by the similarity of their best layer correlate with those by {listed(each, most=12)} "
        f"(Spearman; p by permuting networks, not corrected{few})."
    )


def _names(along_layers: xr.Dataset) -> list[str]:
    return [str(name) for name in along_layers[LAYER].values]


def _consistency(study: StudyFolder) -> list[str]:
    consistency = study.extras.get("error_consistency")
    likeness = study.extras.get("psychometric_likeness")
    return [] if consistency is None else consistency_sentences(consistency, likeness)


def _stability(answer: xr.Dataset) -> str:
    """Say in how many draws the layer is picked, and which others may be meant."""
    share = percent(float(answer["probability"].sel({LAYER: answer["picked"].item()})))
    return f"It is picked in {share} of draws; {_not_ruled_out(answer)}"


def _not_ruled_out(answer: xr.Dataset) -> str:
    inside = [name for name, possible in zip(_names(answer), answer["in_set"].values, strict=True) if possible]
    return f"the {percent(float(answer.attrs['confidence']))} set of layers not ruled out is {listed(inside)}"


def _in_draws(answer: xr.Dataset) -> str:
    return f"as in {percent(float(answer['probability'].sel({LAYER: NONE})))} of draws"


def _difference(answer: xr.Dataset, layer: str) -> str:
    one = answer.sel({LAYER: layer})
    return _with_band(float(one["value"]), one["value_band"].values, signed=True)


def _with_band(
    value: float, limits: Sequence[float] | np.ndarray, *, signed: bool = False, kind: str = "band"
) -> str:
    low, high = (number(float(limit), signed=signed) for limit in limits)
    return f"{number(value, signed=signed)} ({kind} {low} to {high})"


@dataclass(frozen=True)
class MethodsText:
    """A methods section."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def methods_of(study: StudyFolder) -> MethodsText:
    """Write what was done in a study, with its numbers and versions.

    Only what the folder records is reported; a part that is not recorded is left out.
    """
    cited: list[str] = []
    parts = [
        _stimuli(study),
        " ".join(filter(None, (_networks(study, cited), _training(study, cited)))),
        _rdms(study, cited),
        _people(study),
        _inference(study, cited),
        " ".join(filter(None, (*_localized(study, cited), *_behaviour(study, cited)))),
        " ".join((*_planned(study, cited), *_otherwise(study, cited))),
    ]
    paragraphs = [part for part in [*parts, _software(study, cited)] if part]
    return MethodsText(tuple(paragraphs), tuple(CITATIONS[name] for name in dict.fromkeys(cited)))


def _stimuli(study: StudyFolder) -> str:
    if study.rdms is None:
        return ""
    rdms = study.rdms
    factors = []
    for name, values in rdms.coords.items():
        if values.dims == (STIMULUS_I,) and name not in (STIMULUS_I, *OCCLUSIONS):  # boxes of regions are no factor
            count = len(set(map(str, values.values)))
            if 1 < count < rdms.sizes[STIMULUS_I]:
                factors.append(f"{name} ({count} values)")
    varied = f", which varied in {listed(sorted(factors))}" if factors else ""
    return f"Stimuli were {rdms.sizes[STIMULUS_I]} images{varied}."


def _networks(study: StudyFolder, cited: list[str]) -> str:
    part = study.rdms if study.rdms is not None else study.result
    if part is None:
        return ""
    networks = in_order(map(str, part[NETWORK].values))
    networks_named = []
    for name in networks:
        layers = [str(layer) for layer in part[LAYER].values[part[NETWORK].values.astype(str) == name]]
        label = network_label(name)
        opened = f"{label[:-1]}; " if label.endswith(")") else f"{label} ("
        networks_named.append(f"{opened}{len(layers)} layers, {layers[0]} to {layers[-1]}{_weights(study, name)})")
        if "imagenet" in _weights(study, name):
            networks_named[-1] = networks_named[-1].replace(
                "weights: imagenet", "weights: imagenet, Deng et al. 2009"
            )
            cited.append("imagenet")
    return f"Networks were {listed(networks_named, most=12)}. {_origins(networks, cited)}".strip()


def _origins(networks: list[str], cited: list[str]) -> str:
    """Return whose architectures the networks are."""
    kinds = dict.fromkeys(architecture_of(name).rstrip("0123456789") for name in networks)
    clauses = []
    for kind, (text, works) in _ORIGINS.items():
        if kind in kinds:
            clauses.append(text)
            cited += works
    return f"{'; '.join(clauses)}." if clauses else ""


def _weights(study: StudyFolder, network: str) -> str:
    config = study.manifest.get("study")
    entries = config.get("networks") if isinstance(config, Mapping) else None
    family, seed = split_seed(network)
    for entry in entries or []:
        try:
            section = NetworkSection.model_validate(entry, context={"recorded": True})
        except ValidationError:  # of a stranger, or of another version
            continue
        if network == section.called or (family == section.called and seed in section.seeds):
            return f"; weights: {section.weights}, seed {seed if section.seeds else section.seed}"
    return "; untrained weights" if network in study.untrained else ""


def _training(study: StudyFolder, cited: list[str]) -> str:
    config = study.manifest.get("study")
    settings = config.get("training") if isinstance(config, Mapping) else None
    recorded = "Activations of each layer were recorded in evaluation mode."
    if not isinstance(settings, Mapping):
        return recorded if study.rdms is not None else ""
    cited.append("adam")
    classes = listed([str(name) for name in settings.get("classes") or ("sad", "happy")])
    learnt = (
        "all layers"
        if settings.get("freeze", "none") == "none"
        else f"all but the frozen part ({settings['freeze']})"
    )
    text = (
        f"All networks were then trained alike to tell {classes} faces apart: Adam (Kingma & Ba 2015), step size "
        f"{settings.get('lr')}, batches of {settings.get('batch')}, {settings.get('epochs')} epochs, {learnt}."
    )
    if settings.get("restart") == "classifier":
        text += " Their fully connected layers started from random weights."
    scores = study.extras.get("training")
    if scores is None or "accuracy" not in scores or "condition" not in scores.dims:
        return f"{text} {recorded}"
    conditions = [str(name) for name in scores["condition"].values]
    unmasked = conditions.index("none") if "none" in conditions else 0
    accuracy = scores["accuracy"].isel(condition=[unmasked, 0]).transpose("condition", NETWORK).values
    text += f" On {'whole ' if unmasked else ''}faces of other people they answered {_span(accuracy[0])} correctly"
    text += f", on these and masked ones {_span(accuracy[1])}." if unmasked else "."
    return f"{text} {recorded}"


def _span(shares: Any) -> str:
    return f"{percent(shares.min())} to {percent(shares.max())}"


def _rdms(study: StudyFolder, cited: list[str]) -> str:
    part = study.rdms if study.rdms is not None else study.result
    if part is None or not part.attrs.get("measure"):
        return ""
    cited.append("rsa")
    others = "".join(f" For {layers} it was {_defined(measure)}." for layers, measure in _other_measures(part))
    return (
        "For each layer the dissimilarity of every pair of stimuli was computed and collected in a representational "
        "dissimilarity matrix (RDM; Kriegeskorte et al. 2008). Dissimilarity was "
        f"{_defined(str(part.attrs['measure']))}.{others}"
    )


def _defined(measure: str) -> str:
    return MEASURES[measure].definition if measure in MEASURES else measure


def _other_measures(part: xr.DataArray | xr.Dataset) -> list[tuple[str, str]]:
    """Return the layers whose RDMs another measure made than most, by measure."""
    layers: dict[str, list[str]] = {}
    for entry in names_in(part.attrs, OTHER_MEASURES):
        label, _, measure = entry.rpartition(": ")
        layers.setdefault(measure, []).append(label.rpartition("/")[2])
    return [(listed(list(dict.fromkeys(names))), measure) for measure, names in layers.items()]


def _people(study: StudyFolder) -> str:
    if study.human is None:
        return ""
    attrs = study.human.attrs
    kind = f" from {attrs['kind']} trials" if attrs.get("kind") else ""
    who = "simulated observers" if attrs.get("simulated") else "participants"
    unjudged = int(study.human.isnull().sum()) // 2
    left = f" Pairs never judged ({unjudged} over all of them) were left out pairwise." if unjudged else ""
    people, stimuli = study.human.sizes[PARTICIPANT], study.human.sizes[STIMULUS_I]
    if attrs.get(UNSIGNED):
        return (
            f"One human RDM of {stimuli} stimuli holds the distances between the means of {_ratings_of(attrs)} a "
            "stimulus. Nobody recorded whose each rating is: no rating of one stimulus is known to be by the same "
            "person as a rating of another, so that nothing is said about how people differ."
        )
    return f"Human RDMs of {people} {who} and {stimuli} stimuli were made{kind}, one for each of them.{left}"


def _inference(study: StudyFolder, cited: list[str]) -> str:
    if study.result is None:
        return ""
    attrs, result = study.result.attrs, study.result
    comparison = str(attrs.get("comparison", ""))
    unsigned = bool(attrs.get(UNSIGNED))
    whose = "the RDM of mean ratings" if unsigned else "each participant's RDM"
    text = f"Each layer RDM was compared with {whose} by {comparison_label(comparison)}"
    text += f"{'' if unsigned else ' and the similarities averaged'}.{_ceiling_made(result, cited)}"
    cited.append("inference")
    if "similarity_interval" in result:
        resample = attrs.get("resample")
        how = _RESAMPLED.get(_drawn(result), "the spread over participants")
        draws = f" ({attrs['draws']} draws, seed {attrs.get('seed', 0)})" if resample and attrs.get("draws") else ""
        kind = attrs.get("interval_kind", "kind not recorded")
        text += f" {percent(float(attrs.get('confidence', 0.95)))} intervals ({kind})"
        text += f" rest on {how}{draws}; see Schütt et al. (2023)."
        if attrs.get("groups") and resample in ("stimulus", "both", "dual"):
            text += f" Stimuli of one {attrs['groups']} are not independent and were drawn together"
            text += f" ({attrs.get('stimuli')} groups), so that results generalise to others."
        if attrs.get("variance") == "jackknife":
            cited += ["jackknife", "crossed", "freedom"]
            text += " Standard errors are jackknifed: stimuli and participants left out, one and two at a time, the"
            text += (
                " second-order term taken off (Efron & Stein 1981; crossed factors as in Clark 1973), with degrees"
            )
            text += " of freedom as in Satterthwaite (1946)."
        if attrs.get("variance_reason"):
            text += f" {attrs['variance_reason']}"
    if "p_above_zero" in result or "p_above_zero_corrected" in result:
        text += _tested(result, cited)
    elif str(attrs.get("p_above_zero_kind", "")).startswith("none"):
        text += " Similarities were not tested against 0, which unrelated RDMs exceed in this comparison."
    controls = attrs.get("controls") or []
    if "partial_similarity" in result and controls:
        named = listed([str(name) for name in controls])
        text += f" Similarities were computed again with control RDMs ({named}) partialled out."
    return text


def _ceiling_made(result: xr.Dataset, cited: list[str]) -> str:
    """Say how the noise ceiling was estimated."""
    if "noise_ceiling" not in result:
        return ""
    lower, upper = (number(float(value)) for value in result["noise_ceiling"].values)
    if result.attrs.get(UNSIGNED):
        cited.append("brown")
        return (
            " The noise ceiling is from random halves of each stimulus' ratings (Spearman-Brown; Brown 1910): means "
            f"of as many other ratings would be similar to these by {lower}, those of ever more ratings by {upper}. "
            "It is taken as known: no interval holds a doubt about it."
        )
    cited.append("ceiling")
    return (
        f" The noise ceiling, {lower} to {upper}, was estimated as in Nili et al. (2014): its lower bound leaves "
        "each participant out of the mean it is compared with."
    )


def _tested(result: Any, cited: list[str]) -> str:
    kind = str(result.attrs.get("p_above_zero_kind", "t"))
    cited += ["shuffles"] if kind.startswith("shuffle") else []
    how = _ABOVE_ZERO.get(kind, "by a t test")
    text = f" Similarity above 0 was tested {how}"
    if "p_above_zero_corrected" not in result:
        return f"{text}; p values were not corrected."
    how = _CORRECTED.get(str(result.attrs.get("correction")), "see the study file")
    return f"{text}; p values were corrected over the family of layers ({how})."


def _software(study: StudyFolder, cited: list[str]) -> str:
    versions: Any = study.manifest.get("versions")
    if not isinstance(versions, Mapping) or not versions:
        return ""
    cited += ["torch", "xarray"]
    named = [f"{name} {version}" for name, version in versions.items() if version != "not installed"]
    works = "torch: Paszke et al. 2019; xarray: Hoyer & Hamman 2017"
    return f"Analyses ran in {listed(list(map(str, named)), most=20)} ({works})."


def _planned(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how recovery, stability and the plan were made."""
    recovery, stability, planned = (study.extras.get(name) for name in ("recovery", "stability", "plan"))
    if recovery is not None:
        stray = {"people": "as random sums of the participants' residuals", "pairs": "independently in each pair"}
        yield (
            f"Recovery of layers: {recovery.attrs['simulations']} studies were simulated for each layer, of people "
            f"whose RDM is that layer's plus noise ({stray.get(str(recovery.attrs['noise']), 'noise')}) with which "
            "they agree as the participants do; stimuli were the same."
        )
    if recovery is not None and recovery.attrs.get("components"):
        cited.append("recovery")
        yield (
            f"Reweighted layers have non-negative weights for up to {recovery.attrs['components']} principal "
            "coordinates of their RDM, learnt on other stimuli and people (cf. Avitan & Golan 2025)."
        )
    if stability is not None:
        yield (
            f"Stability: each value of the stimuli's factors and each participant was left out, and stimuli were "
            f"halved at random {stability.attrs['halves']} times."
        )
    if planned is not None:
        cited += ["jackknife", "power"]
        yield (
            "Power was planned by scaling the jackknifed components of variance to other numbers of participants and "
            "stimuli (cf. Westfall, Kenny & Judd 2014), with the differences found taken as the truth."
        )


def _otherwise(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how trials were predicted, errors compared, and other analyses made."""
    trials, consistency, multiverse = (
        study.extras.get(name) for name in ("trials", "error_consistency", "multiverse")
    )
    if trials is not None:
        folds = [int(count) for count in trials.attrs["folds"]]
        yield (
            "Each trial was predicted from the distances of each layer, with a temperature fitted to trials of other "
            f"people and other stimuli ({folds[0]} folds of people, {folds[1]} of stimuli); guessing knows how often "
            "each answer is given."
        )
    if consistency is not None:
        cited += ["errors", "error_intervals"]
        yield (
            "Error consistency is Cohen’s κ of being right (Geirhos, Meding & Wichmann 2020), with percentile "
            "intervals over faces (cf. Klein et al. 2025)."
        )
    if multiverse is not None:
        cited.append("multiverse")
        yield (
            f"The study was analysed in {multiverse.sizes['universe']} ways that its file names (Steegen et al. "
            f"2016), each with {multiverse.attrs['draws']} draws."
        )


def _localized(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how networks were contrasted and the turning layer was located."""
    contrasts = [part for name, part in study.extras.items() if name.startswith("contrast") and "difference" in part]
    if contrasts:
        attrs = contrasts[0].attrs
        baselines = listed([network_label(str(one.attrs.get("baseline"))) for one in contrasts])
        ways = dict.fromkeys(str(one.attrs.get("matched_by")) for one in contrasts)
        matched = " or ".join(_MATCHED.get(way, "that match") for way in ways)
        yield (
            f"{network_label(str(attrs.get('network')))} was contrasted with {baselines} at layers {matched}, within "
            "draws; bands hold for all layers at once."
        )
    where = study.extras.get("localization")
    if where is not None:
        cited.append("best")
        network = network_label(str(where.attrs.get("network")))
        baseline = where.attrs.get("baseline")
        level = percent(float(where.attrs.get("confidence", 0.95)))
        least = percent(1 - float(where.attrs.get("ceiling_margin", 0.1)))
        yield (
            f"{network} reaches the noise ceiling at the first layer whose similarity is shown to be more than "
            f"{least} of the lower ceiling (non-inferiority, by a {level} band over layers)."
        )
        if baseline:
            named = network_label(str(baseline))
            yield f"Its first layer above {named}, and the first to differ, are read from the band of the contrast."
        yield (
            "The sets hold the layers that are not rejected as the answer (for the peak after Hsu 1981). The "
            "half-way depth is where similarity first crosses half of its rise from the first layer to the peak."
        )
        if "noise_ceiling" in where and np.isfinite(float(where["noise_ceiling_extrapolated"])):
            cited.append("brown")
            more = "ratings" if where.attrs.get(UNSIGNED) else "participants"
            yield f"The ceiling was extrapolated to many {more} by the Spearman-Brown formula (Brown 1910)."


def _behaviour(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how choices were fitted and saliency was measured."""
    people = study.extras.get("psychometric")
    if people is not None and "pse" in people:
        cited.append("psychometric")
        curve = _CURVES.get(str(people.attrs.get("sigmoid")), "psychometric")
        observers = "simulated observers" if people.attrs.get("simulated") else "participants"
        of = f" of {people.sizes[PARTICIPANT]} {observers}" if PARTICIPANT in people.sizes else ""
        also = " and of the networks" if "psychometric_networks" in study.extras else ""
        yield (
            f"Choices{of}{also} were fitted with a {curve} curve with guesses and lapses (Wichmann & Hill 2001); its "
            f"point of subjective equality (PSE) is the level at which {people.attrs.get('high', 'happy')} is chosen "
            "half the time."
        )
        without = int((people["status"] == "undetermined").sum()) if "status" in people else 0
        if without:
            curves = "curve has" if without == 1 else "curves have"
            yield (
                f"{without} of their {people['pse'].size} {curves} no PSE that the choices determine, and no mean "
                "takes them in."
            )
    saliency = study.extras.get("saliency", study.extras.get("saliency_layers"))
    if saliency is not None:
        method = str(saliency.attrs.get("method", "gradcam"))
        cited += [method] if method in _MAPPED else []
        by = f" ({_MAPPED[method]})" if method in _MAPPED else ""
        how = how_mapped({**saliency.attrs, "method": method})
        yield (
            f"Saliency was mapped by {how}{by}{_mapped_at(saliency)}, and the share of each map in the eyes, the "
            "nose and the mouth measured."
        )


def _mapped_at(saliency: xr.Dataset) -> str:
    """Return at which layers maps were made."""
    if RDM in saliency.dims or LAYER not in saliency.coords or NETWORK not in saliency.dims:
        return ""
    of_layer: dict[str, list[str]] = {}
    for network in in_order(map(str, saliency[NETWORK].values)):
        of_layer.setdefault(str(saliency[LAYER].sel({NETWORK: network}).item()), []).append(network_label(network))
    return f", at {listed([f'{layer} of {listed(names)}' for layer, names in of_layer.items()])}"
