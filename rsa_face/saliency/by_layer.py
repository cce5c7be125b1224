"""Where a network looks, from its first layer to its last."""

import numpy as np
import xarray as xr

from rsa_face.networks.zoo import Network
from rsa_face.saliency.maps import layers_with_space
from rsa_face.schema import LAYER, NETWORK, RDM, STIMULUS

_WHOLE = "none"
_KEPT = ("method", "answer", "untrained", "simulated")


def main_layers_with_space(network: Network) -> list[str]:
    """Return the names of the main layers that can have maps.

    Parameters
    ----------
    network : Network
        Any.

    Returns
    -------
    list of str
        In the order they run: every ReLU after a convolution, and the feature-excitation blocks among them.
    """
    main = {layer.name for layer in network.select("main")}
    return [layer.name for layer in layers_with_space(network) if layer.name in main]


def average_layer(regions: xr.Dataset, network: Network) -> xr.Dataset:
    """Return the mean shares of one layer, under each occlusion, labelled as the layer's RDM is.

    Parameters
    ----------
    regions : Dataset, dims (network, stimulus, region)
        From `saliency_regions`. Not changed.
    network : Network
        Whose layer it is.

    Returns
    -------
    Dataset, dims (rdm, occlusion, region)
        `proportion` and `enrichment`, means over the faces whose map is not 0 everywhere; `se`, the standard error
        of the proportion; `faces`, how many there are. `rdm` is ``<network>/<layer>``, with `network`, `layer`,
        `depth` and `order`, as in RDMs and comparisons.
    """
    name = str(regions[LAYER].values[0])
    layer = network.select([name])[0]
    here = regions.isel({NETWORK: 0}, drop=True)
    whole = np.full(here.sizes[STIMULUS], _WHOLE)
    shown = here["occlusion"].values.astype(str) if "occlusion" in here.coords else whole
    occlusions = list(dict.fromkeys(shown.tolist()))
    rows = [_mean_of(here.isel({STIMULUS: np.flatnonzero(shown == occlusion)})) for occlusion in occlusions]
    found = xr.concat(rows, "occlusion").assign_coords(occlusion=occlusions)
    found = found.expand_dims({RDM: [f"{network.name}/{name}"]})
    places = {NETWORK: network.name, LAYER: name, "depth": layer.depth, "order": layer.order}
    found = found.assign_coords({key: (RDM, np.array([value], dtype=object if isinstance(value, str) else None))
                                 for key, value in places.items()})  # fmt: skip
    return found.assign_attrs({key: regions.attrs[key] for key in _KEPT if key in regions.attrs})


def join_layers(layers: list[xr.Dataset]) -> xr.Dataset:
    """Put the shares of several layers, of one network or more, into one.

    Parameters
    ----------
    layers : list of Dataset, dims (rdm, occlusion, region)
        From `average_layer`.

    Returns
    -------
    Dataset, dims (rdm, occlusion, region)
        In the order given.
    """
    named = [one.assign_coords({RDM: one[RDM].values.astype(object)}) for one in layers]
    joined = xr.concat(named, RDM, join="exact", coords="minimal", compat="equals", combine_attrs="drop_conflicts")
    joined.attrs["untrained"] = sorted({name for one in layers for name in one.attrs.get("untrained", [])})
    return joined


def _mean_of(here: xr.Dataset) -> xr.Dataset:
    share = here["proportion"]
    faces = share.notnull().all("region").sum(STIMULUS)
    spread = (
        share.std(STIMULUS, ddof=1) if int(faces) > 1 else xr.full_like(share.isel({STIMULUS: 0}, drop=True), np.nan)
    )
    return xr.Dataset(
        {
            "proportion": share.mean(STIMULUS),
            "enrichment": here["enrichment"].mean(STIMULUS),
            "se": spread / np.sqrt(faces),
            "faces": faces,
        }
    )
