"""What a comparison's result holds for one network: its layers in order of depth, their similarities and draws."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Int

from rsa_face.inference.jackknife import ROW
from rsa_face.inference.simultaneous import Resampled
from rsa_face.inference.uncertainty import draws_of
from rsa_face.schema import DEPTH, LAYER, NETWORK, ORDER, must_be_known

MATCHES = ("auto", "name", "depth")
LOWER_CEILING = -2
UPPER_CEILING = -1


@dataclass(frozen=True, eq=False)
class Matched:
    """Layers of two networks, side by side.

    Parameters
    ----------
    network : array, shape (layer,)
        Places along the result's `rdm` of one network's layers, in order of depth.
    baseline : array, shape (layer,)
        Places of the other network's layers that are set beside these.
    alone : tuple of str
        Layers of the network that have no counterpart.
    by : str
        ``name`` or ``depth``.
    """

    network: Int[np.ndarray, " layer"]
    baseline: Int[np.ndarray, " layer"]
    alone: tuple[str, ...]
    by: str


def layers_of(result: xr.Dataset, network: str) -> Int[np.ndarray, " layer"]:
    """Return where a network's layers lie along a result's `rdm`, in order of depth.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    network : str
        The network.

    Returns
    -------
    array, shape (layer,)
        Places along `rdm`.

    Raises
    ------
    ValueError
        If the result holds no such network.
    """
    names = np.asarray(result[NETWORK].values, dtype=str)
    must_be_known(network, sorted(set(names.tolist())), "network of this result")
    places = np.flatnonzero(names == network)
    along = ORDER if ORDER in result.coords else DEPTH
    return np.asarray(places[np.argsort(result[along].values[places], kind="stable")])


def matched_layers(result: xr.Dataset, *, network: str, baseline: str, match: str = "auto") -> Matched:
    """Set each layer of a network beside the layer of another that stands at the same place.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison that holds both networks. Not changed.
    network, baseline : str
        The two networks.
    match : str
        ``"name"``: the layer of the same name; layers without one are left out and named. ``"depth"``: the layer at
        the nearest relative depth, the shallower of two. ``"auto"``: by name where the network has every layer of
        the baseline (FE-AlexNet and AlexNet), by depth otherwise (FE-AlexNet and VGG16).

    Returns
    -------
    Matched
        The pairs, in order of the network's depth.

    Raises
    ------
    ValueError
        If a network is unknown, both are the same, the match is unknown, or no layer has a counterpart.
    """
    must_be_known(match, MATCHES, "match")
    if network == baseline:
        message = f"Network and baseline are both {network!r}: name another baseline."
        raise ValueError(message)
    ours, theirs = layers_of(result, network), layers_of(result, baseline)
    names = np.asarray(result[LAYER].values, dtype=str)
    place = {names[index]: index for index in theirs}
    if match == "auto":
        match = "name" if set(place) <= set(names[ours].tolist()) else "depth"
    if match == "depth":
        depth = np.asarray(result[DEPTH].values, dtype=float)
        gap = np.abs(depth[ours][:, None] - depth[theirs][None, :])
        return Matched(ours, theirs[np.argmin(np.round(gap, 9), axis=1)], (), match)
    kept = np.array([index for index in ours if names[index] in place], dtype=int)
    if kept.size == 0:
        message = (
            f"No layer of {network!r} has a counterpart of the same name in {baseline!r}: {names[ours].tolist()} and "
            f"{names[theirs].tolist()}. Match them by depth."
        )
        raise ValueError(message)
    alone = tuple(str(names[index]) for index in ours if names[index] not in place)
    return Matched(kept, np.array([place[names[index]] for index in kept], dtype=int), alone, match)


def resampled_of(result: xr.Dataset) -> Resampled:
    """Return a result's similarities and, last, its lower and upper noise ceiling, with the draws of all of them.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison with draws. Not changed.

    Returns
    -------
    Resampled
        One quantity for each RDM, then the two ceilings where the result has them.

    Raises
    ------
    ValueError
        If the result holds no draws.
    """
    draws = draws_of(result, "similarity_draws")
    estimate = np.asarray(result["similarity"].values, dtype=float)
    if "noise_ceiling_draws" in result:
        draws = np.concatenate([draws, draws_of(result, "noise_ceiling_draws")], axis=2)
        estimate = np.concatenate([estimate, np.asarray(result["noise_ceiling"].values, dtype=float)])
    units = (int(result.attrs["stimuli"]), int(result.attrs["participants"]))
    resampled = Resampled(estimate, draws, str(result.attrs["resample"]), units, int(result.attrs["seed"]))
    if "similarity_jackknife" not in result:
        return resampled
    rows = [result[name].transpose(ROW, ...).values for name in ("similarity_jackknife", "noise_ceiling_jackknife")]
    components = [str(name) for name in result["component"].values]
    return replace(resampled, rows=np.concatenate(rows, axis=1)[:, : estimate.size], components=components)
