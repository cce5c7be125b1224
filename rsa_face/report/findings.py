"""The later part of a methods section: where a network turns human-like, choices, saliency."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from rsa_face.figures.palette import in_order, network_label
from rsa_face.figures.saliency import how_mapped
from rsa_face.report.narrate import listed, percent
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, RDM
from rsa_face.study.folder import StudyFolder

_MATCHED = {"name": "of the same name", "depth": "nearest in depth"}
_CURVES = {"gaussian": "cumulative Gaussian", "logistic": "logistic"}
_MAPPED = {
    "gradcam": "Selvaraju et al. 2017",
    "gradcam++": "Chattopadhay et al. 2018",
    "layercam": "Jiang et al. 2021",
}


def turning(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how networks were contrasted and the turning layer was located.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.
    cited : list of str
        Names of the works cited; added to.

    Yields
    ------
    str
        A sentence.
    """
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
            yield "The ceiling was extrapolated to many participants by the Spearman-Brown formula (Brown 1910)."


def behaviour(study: StudyFolder, cited: list[str]) -> Iterator[str]:
    """Say how choices were fitted and saliency was measured.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.
    cited : list of str
        Names of the works cited; added to.

    Yields
    ------
    str
        A sentence.
    """
    people = study.extras.get("psychometric")
    if people is not None and "pse" in people:
        cited.append("psychometric")
        curve = _CURVES.get(str(people.attrs.get("sigmoid")), "psychometric")
        observers = "simulated observers" if people.attrs.get("simulated") else "participants"
        of = f" of {people.sizes[PARTICIPANT]} {observers}" if PARTICIPANT in people.sizes else ""
        also = " and of the networks" if "psychometric_networks" in study.extras else ""
        yield (
            f"Choices{of}{also} were fitted with a {curve} curve with guesses and lapses (Wichmann & Hill 2001); its "
            "point of subjective equality (PSE) is the level at which happy is chosen half the time."
        )
        without = int((people["status"] == "undetermined").sum()) if "status" in people else 0
        if without:
            curves = "curve has" if without == 1 else "curves have"
            yield (
                f"{without} of their {people['pse'].size} {curves} no PSE that the choices determine, and no mean "
                "takes them in."
            )
    looked = study.extras.get("saliency", study.extras.get("saliency_layers"))
    if looked is not None:
        method = str(looked.attrs.get("method", "gradcam"))
        cited += [method] if method in _MAPPED else []
        by = f" ({_MAPPED[method]})" if method in _MAPPED else ""
        how = how_mapped({**looked.attrs, "method": method})
        yield (
            f"Saliency was mapped by {how}{by}{_mapped_at(looked)}, and the share of each map in the eyes, the nose "
            "and the mouth measured."
        )


def _mapped_at(looked: xr.Dataset) -> str:
    """Return at which layers maps were made."""
    if RDM in looked.dims or LAYER not in looked.coords or NETWORK not in looked.dims:
        return ""
    of_layer: dict[str, list[str]] = {}
    for network in in_order(map(str, looked[NETWORK].values)):
        of_layer.setdefault(str(looked[LAYER].sel({NETWORK: network}).item()), []).append(network_label(network))
    return f", at {listed([f'{layer} of {listed(names)}' for layer, names in of_layer.items()])}"
