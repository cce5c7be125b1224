"""What a file of results must hold to be shown: which numbers, along what."""

import xarray as xr

from rsa_face.schema import BOUND, DEPTH, LAYER, NETWORK, PARTICIPANT, RDM

_NUMBERS = "fiu"  # numpy's kinds: floats and integers
_RESULT: dict[str, tuple[str, ...]] = {
    "similarity": (RDM,),
    "similarity_interval": (RDM, BOUND),
    "noise_ceiling": (BOUND,),
    "participant_similarity": (RDM, PARTICIPANT),
}
_FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "localization": ("probability", (LAYER,)),
    "contrast": ("difference", (LAYER,)),
    "psychometric_likeness": ("rmse", (NETWORK,)),
    "psychometric": ("proportion", ("level",)),
    "saliency_layers": ("proportion", (RDM, "region")),
    "agreement": ("rank", (NETWORK, "quantity")),
    "partial": ("similarity", (RDM,)),
    "training": ("accuracy", (NETWORK,)),
    "seeds": ("difference", ("seeded",)),
}


_ALSO: dict[str, tuple[str, ...]] = {
    "localization": (
        "in_set",
        "picked",
        "value",
        "value_band",
        "similarity",
        "similarity_band",
        "half_way_depth",
        "half_way_interval",
        "half_way_layer",
    ),
    "contrast": ("difference_band",),
    "agreement": (
        "value",
        "peak_layer",
        "rank_correlation",
        "rank_correlation_p",
        "rank_correlation_interval",
        "n_networks",
    ),
}


def has_form(array: xr.DataArray | xr.Dataset, dims: tuple[str, ...]) -> bool:
    """Return whether RDMs, or the comparison of layers with people, are as this version writes them.

    A file may come from an older version, or from a stranger; what is shown of it is drawn without another look.
    """
    if isinstance(array, xr.DataArray) != (len(dims) > 1) or not set(dims) <= set(array.dims):
        return False
    if 0 in array.sizes.values():
        return False
    coords = set(map(str, array.coords))
    if isinstance(array, xr.DataArray):
        return array.dtype.kind in _NUMBERS and (RDM not in dims or {NETWORK, LAYER} <= coords)
    there = {name: array[name] for name in _RESULT if name in array}
    fit = all(set(_RESULT[name]) == set(one.dims) and one.dtype.kind in _NUMBERS for name, one in there.items())
    return fit and "similarity" in there and {NETWORK, LAYER, DEPTH} <= coords and _is_bounded(array)


def is_shown(name: str, extra: xr.Dataset) -> bool:
    """Return whether another result holds what is shown of its kind."""
    kind = next((kind for kind in _FORMS if name.startswith(kind)), None)
    if kind is None:
        return _is_bounded(extra)
    variable, dims = _FORMS[kind]
    whole = {variable, *_ALSO.get(kind, ())} <= set(map(str, extra.data_vars)) and set(dims) <= set(
        extra[variable].dims
    )
    return whole and extra[variable].dtype.kind in _NUMBERS and _is_bounded(extra)


def _is_bounded(result: xr.Dataset) -> bool:
    """Return whether intervals have two ends, and a confidence that is one."""
    confidence = result.attrs.get("confidence", 0.95)
    return result.sizes.get(BOUND, 2) == 2 and isinstance(confidence, int | float) and 0 < confidence <= 1
