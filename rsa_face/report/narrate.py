"""Sentences about results, in one voice and one number format: for the report, the command line and findings."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from rsa_face.figures.palette import network_label
from rsa_face.schema import BOUND, LAYER

NONE = "none"


def number(value: float, *, signed: bool = False) -> str:
    """Return a similarity or another quantity of its size as it is read: three decimals and a true minus.

    Examples
    --------
    >>> number(-0.04217), number(0.5, signed=True)
    ('−0.042', '+0.500')
    """
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else "unbounded"
    return f"{value:+.3f}".replace("-", "−") if signed else f"{value:.3f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as it is read.

    Examples
    --------
    >>> percent(0.957)
    '96%'
    """
    return f"{share:.0%}".replace("-", "−") if np.isfinite(share) else number(share)


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


def localization_sentences(where: xr.Dataset) -> list[str]:
    """Say where a network is most like people and half-way there, reaches the ceiling, and leaves its baseline."""
    return [_peak(where), _half_way(where), _ceiling(where), *_baseline(where)]


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


def _peak(where: xr.Dataset) -> str:
    answer, network = where.sel(target="peak"), network_label(str(where.attrs["network"]))
    picked = str(answer["picked"].item())
    if picked == NONE:
        return (
            f"No layer of {network} is shown to be similar to people: the band over all of them includes 0 "
            f"({_in_draws(answer)})."
        )
    layer, held_out = where.sel({LAYER: picked}), ""
    if "held_out_similarity" in answer:
        value = number(float(answer["held_out_similarity"]))
        held_out = f", and {value} on stimuli and participants that did not pick it"
    similarity = _with_band(float(layer["similarity"]), layer["similarity_band"].values)
    peak = f"{network} is most like people at {picked}, with a similarity of {similarity}{held_out}"
    return f"{peak}. {_stability(answer)}."


def _half_way(where: xr.Dataset) -> str:
    low, high = where["half_way_interval"].values
    return (
        f"Its similarity is half-way from the first layer to the peak at a depth of "
        f"{float(where['half_way_depth']):.2f} ({percent(float(where.attrs['confidence']))} interval {low:.2f} to "
        f"{high:.2f}), first passed at {where['half_way_layer'].item()}."
    )


def _ceiling(where: xr.Dataset) -> str:
    if "noise_ceiling" not in where:
        return "Whether it reaches the noise ceiling is not known: there is no ceiling above 0."
    answer, least = where.sel(target="reaches_ceiling"), percent(1 - float(where.attrs["ceiling_margin"]))
    picked, many = str(answer["picked"].item()), float(where["noise_ceiling_extrapolated"])
    lower = number(float(where["noise_ceiling"][0]))
    bar = f"the noise ceiling, that is to be above {least} of its lower bound of {lower}"
    bar += f" (about {number(many)} with many participants)" if np.isfinite(many) else ""
    if picked == NONE:
        near = [name for name, below in zip(_names(where), where["below_ceiling"].values, strict=True) if not below]
        return f"No layer is shown to reach {bar}; {_in_draws(answer)}. {_not_to_be_told(near[:-1])}"
    layer = where.sel({LAYER: picked})
    low, high = (percent(float(limit)) for limit in layer["share_of_ceiling_band"].values)
    share = percent(float(layer["share_of_ceiling"]))
    return (
        f"{picked} is the first layer shown to reach {bar}: it is at {share} of it (band {low} to {high}). "
        f"{_stability(answer)}."
    )


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
    first, other = str(above["picked"].item()), str(differs["picked"].item())
    if first == NONE and other == NONE:
        yield f"No layer of {network} is shown to differ from {baseline} ({_in_draws(differs)})."
        return
    if first == NONE:
        yield f"No layer of {network} is shown to be above {baseline} ({_in_draws(above)})."
    else:
        yield f"{first} is the first layer above {baseline}, by {_difference(above, first)}. {_stability(above)}."
    if other != first:
        how = "more" if float(differs["value"].sel({LAYER: other})) > 0 else "less"
        yield (
            f"{other} is the first layer to differ from {baseline}: {network} is {how} like people there, by "
            f"{_difference(differs, other)}. {_stability(differs)}."
        )


def _names(along_layers: xr.Dataset) -> list[str]:
    return [str(name) for name in along_layers[LAYER].values]


def _stability(answer: xr.Dataset) -> str:
    """Say in how many draws the layer is picked, and which others may be meant."""
    inside = [name for name, kept in zip(_names(answer), answer["in_set"].values, strict=True) if kept]
    share = percent(float(answer["probability"].sel({LAYER: answer["picked"].item()})))
    level = percent(float(answer.attrs["confidence"]))
    return f"It is picked in {share} of draws; the {level} set of layers not ruled out is {listed(inside)}"


def _in_draws(answer: xr.Dataset) -> str:
    return f"in {percent(float(answer['probability'].sel({LAYER: NONE})))} of draws none is"


def _difference(answer: xr.Dataset, layer: str) -> str:
    one = answer.sel({LAYER: layer})
    return _with_band(float(one["value"]), one["value_band"].values, signed=True)


def _with_band(value: float, limits: Sequence[float] | np.ndarray, *, signed: bool = False) -> str:
    low, high = (number(float(limit), signed=signed) for limit in limits)
    return f"{number(value, signed=signed)} (band {low} to {high})"
