"""The methods section, written from what a study recorded of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from rsa_face.figures.forms import names_in
from rsa_face.figures.palette import architecture_of, in_order, network_label
from rsa_face.report.citations import CITATIONS
from rsa_face.report.findings import behaviour, turning
from rsa_face.report.narrate import listed
from rsa_face.schema import (
    LAYER,
    MEASURES,
    NETWORK,
    OCCLUSIONS,
    OTHER_MEASURES,
    PARTICIPANT,
    STIMULUS_I,
    comparison_label,
)
from rsa_face.study.folder import StudyFolder

_ORIGINS = {
    "alexnet": ("AlexNet is that of Krizhevsky et al. (2017)", ["alexnet"]),
    "vgg": ("VGGs are those of Simonyan & Zisserman (2015)", ["vgg"]),
    "fe_alexnet": (
        "FE-AlexNet is AlexNet (Krizhevsky et al. 2017) with a block that weighs channels (Hu et al. 2018), as in "
        "Ying et al. (2023)",
        ["alexnet", "excitation", "fe_alexnet"],
    ),
}
_RESAMPLED = {
    "stimulus": "resampling stimuli",
    "participant": "resampling participants",
    "both": "resampling stimuli and participants together",
    "dual": "the dual bootstrap over stimuli and participants",
}
_ABOVE_ZERO = {
    "t": "by a t test, which generalises to other stimuli and participants",
    "shuffle": "by shuffling stimulus labels (Nichols & Holmes 2002), about these stimuli and participants",
    "shuffle of groups": "by shuffling stimulus labels in groups (Nichols & Holmes 2002), about what goes beyond the "
    "design of these stimuli",
}
_CORRECTED = {
    "max": "the largest statistic over layers",
    "holm": "Holm's method",
    "fdr": "the false discovery rate",
}


@dataclass(frozen=True)
class MethodsText:
    """A methods section.

    Parameters
    ----------
    paragraphs : tuple of str
        Ready to paste.
    references : tuple of str
        The works cited, each with its DOI.
    """

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def methods_of(study: StudyFolder) -> MethodsText:
    """Write what was done in a study, with its numbers and versions.

    Only what the folder records is said; a part that is not recorded is left out.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    MethodsText
        Paragraphs and references.
    """
    cited: list[str] = []
    parts = [
        _stimuli(study),
        " ".join(filter(None, (_networks(study, cited), _training(study, cited)))),
        _rdms(study, cited),
        _people(study),
        _inference(study, cited),
        " ".join(filter(None, (*turning(study, cited), *behaviour(study, cited)))),
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
    said = []
    for name in networks:
        layers = [str(layer) for layer in part[LAYER].values[part[NETWORK].values.astype(str) == name]]
        said.append(
            f"{network_label(name)} ({len(layers)} layers, {layers[0]} to {layers[-1]}{_weights(study, name)})"
        )
        if "imagenet" in _weights(study, name):
            said[-1] = said[-1].replace("weights: imagenet", "weights: imagenet, Deng et al. 2009")
            cited.append("imagenet")
    return f"Networks were {listed(said, most=12)}. {_origins(networks, cited)}".strip()


def _origins(networks: list[str], cited: list[str]) -> str:
    """Return whose architectures the networks are."""
    kinds = dict.fromkeys(architecture_of(name).rstrip("0123456789") for name in networks)
    said = []
    for kind, (text, works) in _ORIGINS.items():
        if kind in kinds:
            said.append(text)
            cited += works
    return f"{'; '.join(said)}." if said else ""


def _weights(study: StudyFolder, network: str) -> str:
    config = study.manifest.get("study")
    entries = config.get("networks") if isinstance(config, Mapping) else None
    for entry in entries or []:
        if isinstance(entry, Mapping) and network in (entry.get("label"), entry.get("name")):
            return f"; weights: {entry.get('weights', 'not recorded')}, seed {entry.get('seed', 0)}"
    return "; untrained weights" if network in study.untrained else ""


def _training(study: StudyFolder, cited: list[str]) -> str:
    config = study.manifest.get("study")
    asked = config.get("training") if isinstance(config, Mapping) else None
    recorded = "Activations of each layer were recorded in evaluation mode."
    if not isinstance(asked, Mapping):
        return recorded if study.rdms is not None else ""
    cited.append("adam")
    classes = listed([str(name) for name in asked.get("classes") or ("sad", "happy")])
    learnt = "all layers" if asked.get("freeze", "none") == "none" else f"all but the frozen part ({asked['freeze']})"
    text = (
        f"All networks were then trained alike to tell {classes} faces apart: Adam (Kingma & Ba 2015), step size "
        f"{asked.get('lr')}, batches of {asked.get('batch')}, {asked.get('epochs')} epochs, {learnt}."
    )
    scores = study.extras.get("training")
    if scores is None or "accuracy" not in scores or "condition" not in scores.dims:
        return f"{text} {recorded}"
    conditions = [str(name) for name in scores["condition"].values]
    whole = conditions.index("none") if "none" in conditions else 0
    accuracy = scores["accuracy"].isel(condition=[whole, 0]).transpose("condition", NETWORK).values
    text += f" On {'whole ' if whole else ''}faces of other people they answered {_span(accuracy[0])} correctly"
    text += f", on these and masked ones {_span(accuracy[1])}." if whole else "."
    return f"{text} {recorded}"


def _span(shares: Any) -> str:
    return f"{shares.min():.0%} to {shares.max():.0%}"


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
    return f"Human RDMs of {people} {who} and {stimuli} stimuli were made{kind}, one for each of them.{left}"


def _inference(study: StudyFolder, cited: list[str]) -> str:
    if study.result is None:
        return ""
    attrs, result = study.result.attrs, study.result
    comparison = str(attrs.get("comparison", ""))
    text = f"Each layer RDM was compared with each participant's RDM by {comparison_label(comparison)}"
    text += " and the similarities averaged."
    cited.append("inference")
    if "noise_ceiling" in result:
        cited.append("ceiling")
        lower, upper = (float(value) for value in result["noise_ceiling"].values)
        text += f" The noise ceiling, {lower:.3f} to {upper:.3f}, was estimated as in Nili et al. (2014): its lower "
        text += "bound leaves each participant out of the mean it is compared with."
    if "similarity_interval" in result:
        resample = attrs.get("resample")
        how = _RESAMPLED.get(str(resample), "the spread over participants")
        draws = f" ({attrs['draws']} draws, seed {attrs.get('seed', 0)})" if resample and attrs.get("draws") else ""
        kind = attrs.get("interval_kind", "kind not recorded")
        text += f" {float(attrs.get('confidence', 0.95)):.0%} intervals ({kind})"
        text += f" rest on {how}{draws}; see Schütt et al. (2023)."
        if attrs.get("groups") and resample in ("stimulus", "both", "dual"):
            text += f" Stimuli of one {attrs['groups']} are not independent and were drawn together"
            text += f" ({attrs.get('stimuli')} groups), so that results generalise to others."
        if attrs.get("variance") == "jackknife":
            cited += ["jackknife", "crossed"]
            text += " Standard errors are jackknifed: stimuli and participants left out, one and two at a time, the"
            text += " second-order term taken off (Efron & Stein 1981; crossed factors as in Clark 1973)."
    if "p_above_zero" in result or "p_above_zero_corrected" in result:
        text += _tested(result, cited)
    elif str(attrs.get("p_above_zero_kind", "")).startswith("none"):
        text += " Similarities were not tested against 0, which unrelated RDMs exceed in this comparison."
    controls = attrs.get("controls") or []
    if "partial_similarity" in result and controls:
        named = listed([str(name) for name in controls])
        text += f" Similarities were computed again with control RDMs ({named}) partialled out."
    return text


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
