"""Run networks over stimuli and write what every layer computes into a store, a batch at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm.auto import tqdm

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.distributed import record_on_cluster
from rsa_face.activations.recording import LOSSES, Options, describe_recording
from rsa_face.activations.seals import seal, shapes_of
from rsa_face.activations.store import folder_of, open_activations
from rsa_face.activations.tasks import Task, record_blocks
from rsa_face.activations.writing import begin_network, begin_store, hold_store
from rsa_face.files import naming_what_is_written
from rsa_face.memory import keeping_memory
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.safety import must_be_file_names, one_part
from rsa_face.schema import must_be_known, repeated
from rsa_face.stimuli.catalogue import StimulusSet


def extract(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    store: str | Path,
    *,
    layers: str | Sequence[str] = "main",
    device: str = "auto",
    batch: int = 32,
    dtype: str = "float32",
    options: Options | None = None,
    cluster: str | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Record layers of networks for all stimuli, into a zarr store.

    Memory holds a few batches, never all stimuli. A store that is there already is continued: networks that are
    finished are not run again, and one that was interrupted goes on with the stimuli it lacks; what comes out is
    the same, byte for byte. A store made from other stimuli, weights, preprocessing or settings is refused. While
    one batch is computed (on a CPU two of the five networks' at a time, each by half of torch's threads), the next is
    read and the last one written.

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
        Stimuli run at once.
    dtype : {"float32", "float16", "bfloat16"}
        How values are kept; attrs say what is lost.
    options : Options, optional
        Pooling, projection, file size, autocast, memory format.
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand blocks of stimuli to dask workers that see the same folders.
    progress : bool
        Whether to show a bar, where there is a terminal or notebook.

    Returns
    -------
    DataTree
        As `open_activations` returns it: lazily loaded.

    Raises
    ------
    ValueError
        If two networks share a name, a layer or dtype is unknown, the store was made otherwise or is being written
        by another process, an image cannot be read, or an activation is not finite.
    OSError
        If the disk is full, or the store's folder is not writable. What is written is kept, and the same call goes
        on from there.
    """
    must_be_known(dtype, LOSSES, "dtype")
    must_have_names_of_their_own(networks)
    options = options or Options()
    where = resolve_device(device)
    store = Path(store).absolute()  # workers of a cluster do not share this process's folder
    stimuli = StimulusSet(stimuli.table.assign(file=[str(file.absolute()) for file in stimuli.files]))
    chosen = [(network, network.select(layers if isinstance(layers, str) else list(layers))) for network in networks]
    for network, wanted in chosen:
        must_be_file_names([layer.name for layer in wanted], "layer", network.name)
    settings = {"dtype": dtype, "batch": batch, **options.record()}
    settings |= describe_recording(len(stimuli), dtype, options)
    with hold_store(store), naming_what_is_written(store), keeping_memory():
        root = begin_store(store, stimuli, settings)
        for network, wanted in chosen:
            node = begin_network(root, network.name, describe_network(network, wanted))
            if node.attrs["finished"]:
                continue
            task = Task(network, wanted, stimuli, folder_of(root), batch, dtype, options, where)
            with _bar(task, progress=progress) as bar:
                if cluster is None:
                    record_blocks(task, node, bar)
                else:
                    record_on_cluster(task, node, bar, cluster=cluster, device=device)
            seal(node, shapes_of(task.store / network.name), finished=True)
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
        "untrained": any(network.rests_on_random(layer) for layer in layers),
        "preprocessing": settings,
        "layers": [layer.name for layer in layers],
    }


def must_have_names_of_their_own(networks: Sequence[Network]) -> None:
    """Refuse networks of which two share a name.

    Parameters
    ----------
    networks : sequence of Network
        One or more.

    Raises
    ------
    ValueError
        If a name occurs twice, or there is no network.
    """
    twice = repeated([network.name for network in networks])
    if twice or not networks:
        message = f"Networks must have names of their own, but {twice or 'no network'} is given. Use label=."
        raise ValueError(message)
    must_be_file_names([one_part(network.name) for network in networks], "network", "The list of networks")


@contextmanager
def _bar(task: Task, *, progress: bool) -> Iterator[Any]:
    hidden = None if progress else True
    with tqdm(total=len(task.stimuli), desc=task.network.name, unit="image", disable=hidden) as bar:
        yield bar
