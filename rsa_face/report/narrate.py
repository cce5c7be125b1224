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
    return [*_peak(where), _half_way(where), *_ceiling(where), *_baseline(where)]


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


def _peak(where: xr.Dataset) -> Iterator[str]:
    answer, network = where.sel(target="peak"), network_label(str(where.attrs["network"]))
    picked = str(answer["picked"].item())
    if picked == NONE:
        yield (
            f"No layer of {network} is shown to be similar to people: the band over all of them includes 0"
            f"{_stability(answer)}."
        )
        return
    layer = where.sel({LAYER: picked})
    held_out = (
        f", {number(float(answer['held_out_similarity']))} on stimuli and participants that did not pick it"
        if "held_out_similarity" in answer
        else ""
    )
    yield (
        f"{network} is most like people at {picked} "
        f"({_with_band(float(layer['similarity']), layer['similarity_band'].values)}{held_out}"
        f"{_stability(answer)}); {_set(answer, where)}."
    )


def _half_way(where: xr.Dataset) -> str:
    limits = where["half_way_interval"].values
    return (
        f"Its similarity is half-way from the first layer to the peak at a depth of "
        f"{float(where['half_way_depth']):.2f} ({percent(float(where.attrs['confidence']))} interval "
        f"{limits[0]:.2f} to {limits[1]:.2f}), that is at {where['half_way_layer'].item()}."
    )


def _ceiling(where: xr.Dataset) -> Iterator[str]:
    if "noise_ceiling" not in where:
        yield "Whether it reaches the noise ceiling is not known: there is no ceiling above 0."
        return
    answer, least = where.sel(target="reaches_ceiling"), percent(1 - float(where.attrs["ceiling_margin"]))
    lower, picked = number(float(where["noise_ceiling"][0])), str(answer["picked"].item())
    bar = f"the noise ceiling (to be above {least} of its lower bound, {lower})"
    if picked == NONE:
        near = [name for name, below in zip(_names(where), where["below_ceiling"].values, strict=True) if not below]
        near.remove(NONE)
        yield f"No layer is shown to reach {bar}{_stability(answer)}. " + (
            f"{listed(near)} cannot be told from it, which does not show that {'it' if len(near) == 1 else 'they'} "
            f"{'reaches' if len(near) == 1 else 'reach'} it."
            if near
            else "Every layer is below it."
        )
    else:
        layer = where.sel({LAYER: picked})
        low, high = layer["share_of_ceiling_band"].values
        yield (
            f"{picked} is the first layer shown to reach {bar}: it is at {percent(float(layer['share_of_ceiling']))} "
            f"(band {percent(low)} to {percent(high)}{_stability(answer)}); {_set(answer, where)}."
        )
    many = float(where["noise_ceiling_extrapolated"])
    if np.isfinite(many):
        yield f"With many participants, the ceiling would be about {number(many)}."


def _baseline(where: xr.Dataset) -> Iterator[str]:
    if "above_baseline" not in where["target"].values:
        return
    network, baseline = (network_label(str(where.attrs[name])) for name in ("network", "baseline"))
    above, differs = where.sel(target="above_baseline"), where.sel(target="differs_from_baseline")
    first, other = str(above["picked"].item()), str(differs["picked"].item())
    if first == NONE and other == NONE:
        yield f"No layer of {network} is shown to differ from {baseline}{_stability(differs)}."
        return
    if first == NONE:
        yield f"No layer of {network} is shown to be above {baseline}{_stability(above)}."
    else:
        yield (
            f"{first} is the first layer above {baseline} (by {_difference(above, first)}{_stability(above)}); "
            f"{_set(above, where)}."
        )
    if other != first:
        how = "more" if float(differs["value"].sel({LAYER: other})) > 0 else "less"
        yield (
            f"{other} is the first layer to differ from {baseline}: {network} is {how} like people there "
            f"({_difference(differs, other)}{_stability(differs)})."
        )


def _names(along_layers: xr.Dataset) -> list[str]:
    return [str(name) for name in along_layers[LAYER].values]


def _set(answer: xr.Dataset, where: xr.Dataset) -> str:
    inside = [name for name, kept in zip(_names(answer), answer["in_set"].values, strict=True) if kept]
    level = percent(float(where.attrs["confidence"]))
    return f"the {level} set of layers that the data do not rule out is {listed(inside)}"


def _stability(answer: xr.Dataset) -> str:
    picked = str(answer["picked"].item())
    return f", so in {percent(float(answer['probability'].sel({LAYER: picked})))} of draws"


def _difference(answer: xr.Dataset, layer: str) -> str:
    one = answer.sel({LAYER: layer})
    return _with_band(float(one["value"]), one["value_band"].values, signed=True)


def _with_band(value: float, limits: Sequence[float] | np.ndarray, *, signed: bool = False) -> str:
    low, high = (number(float(limit), signed=signed) for limit in limits)
    return f"{number(value, signed=signed)}, band {low} to {high}"
