"""Run networks over stimuli and write what every layer computes into a store, a batch at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
import zarr
from torch import Tensor
from tqdm.auto import tqdm

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.activations.store import begin_network, begin_store, open_activations, write_block
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.schema import must_be_known, repeated
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

DTYPES = {"float32": np.float32, "float16": np.float16}


def extract(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    store: str | Path,
    *,
    layers: str | Sequence[str] = "main",
    device: str = "auto",
    batch: int = 32,
    dtype: str = "float32",
    progress: bool = True,
) -> xr.DataTree:
    """Record layers of networks for all stimuli, into a zarr store.

    Memory holds one batch, never all stimuli. A store that is there already is continued: networks that are
    finished are not run again, and one that was interrupted goes on with the stimuli it lacks. A store made from
    other stimuli, weights, preprocessing or settings is refused.

    Parameters
    ----------
    networks : sequence of Network
        Their names differ.
    stimuli : StimulusSet
        What they look at.
    store : str or Path
        A ``.zarr`` folder, made if need be.
    layers : str or sequence of str
        ``main``, ``all`` or names that every network has.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int
        Stimuli run at once, and written as one file for each layer.
    dtype : {"float32", "float16"}
        How values are kept; float16 keeps three digits and refuses values beyond 65,504.
    progress : bool
        Whether to show a bar, where there is a terminal or notebook.

    Returns
    -------
    DataTree
        As `open_activations` returns it: lazily loaded.

    Raises
    ------
    ValueError
        If two networks share a name, a layer or dtype is unknown, the store was made otherwise, an image cannot
        be read, or an activation is not finite.
    """
    must_be_known(dtype, DTYPES, "dtype")
    _must_differ(networks)
    where = resolve_device(device)
    chosen = [(network, network.select(layers if isinstance(layers, str) else list(layers))) for network in networks]
    root = begin_store(store, stimuli, {"dtype": dtype, "batch": batch})
    for network, wanted in chosen:
        node = begin_network(root, network, describe_network(network, wanted))
        if not node.attrs["finished"]:
            _run(network, wanted, stimuli, node, device=where, batch=batch, dtype=dtype, progress=progress)
    return open_activations(store)


def describe_network(network: Network, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return what identifies a network's activations, for attrs and manifests.

    Parameters
    ----------
    network : Network
        Which.
    layers : sequence of Layer
        The layers recorded.

    Returns
    -------
    dict
        Plain values, fit for JSON.
    """
    settings = {key: list(value) if isinstance(value, tuple) else value
                for key, value in network.preprocessing.record().items()}  # fmt: skip
    return {
        "network": network.name,
        "architecture": network.architecture,
        "weights": network.weights,
        "weights_hash": network.content_hash(),
        "untrained": len(network.untrained),
        "preprocessing": settings,
        "layers": [layer.name for layer in layers],
    }


def _run(
    network: Network,
    layers: Sequence[Layer],
    stimuli: StimulusSet,
    node: zarr.Group,
    *,
    device: torch.device,
    batch: int,
    dtype: str,
    progress: bool,
) -> None:
    done = int(str(node.attrs["done"]))
    left = StimulusSet(stimuli.table.iloc[done:].reset_index(drop=True))
    network.module.to(device)
    try:
        with tqdm(total=len(stimuli), initial=done, desc=network.name, unit="image", disable=_quiet(progress)) as bar:
            for inputs in read_batches(left, network.preprocessing, batch=batch):
                captured = capture(network, layers, inputs.to(device))
                ids = stimuli.ids[done : done + len(inputs)]
                for layer in layers:
                    values = _as_array(captured.pop(layer.name), dtype, layer.name, ids)
                    write_block(node, layer, values, done, total=len(stimuli), block=min(batch, len(stimuli)))
                done += len(inputs)
                node.attrs["done"] = done
                bar.update(len(inputs))
    finally:
        network.module.to("cpu")
    node.attrs["finished"] = True


def _as_array(values: Tensor, dtype: str, layer: str, ids: Sequence[str]) -> np.ndarray:
    array = values.cpu().numpy().astype(DTYPES[dtype], copy=False)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        where = ids[int(np.argmin(finite))]
        message = f"Activations must be finite in {dtype}, but {layer!r} is not for {where!r}. Check the weights."
        raise ValueError(message)
    return array


def _must_differ(networks: Sequence[Network]) -> None:
    twice = repeated([network.name for network in networks])
    if twice or not networks:
        message = f"Networks must have names of their own, but {twice or 'no network'} is given. Use label=."
        raise ValueError(message)


def _quiet(progress: bool) -> bool | None:
    return None if progress else True
