"""The dask workers that a stage may run on: some on this machine, or a scheduler elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

Result = TypeVar("Result")


@contextmanager
def connect(cluster: str) -> Iterator[Any]:
    """Connect to dask workers, starting them if they are to run on this machine.

    Parameters
    ----------
    cluster : str
        ``local:N`` for N processes here, ended afterwards; or the address of a scheduler,
        ``tcp://HOST:8786``, whose workers see the same folders.

    Yields
    ------
    distributed.Client
        While it is connected.

    Raises
    ------
    ValueError
        If the words are neither, or no scheduler answers there.
    ModuleNotFoundError
        If dask.distributed is not installed.
    """
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError as error:
        message = "A cluster needs dask.distributed, but it is not installed. Run pip install 'rsa-face[cluster]'."
        raise ModuleNotFoundError(message) from error
    kind, _, rest = cluster.partition(":")
    if kind == "local" and rest.isdigit() and int(rest) > 0:
        with (
            distributed.LocalCluster(
                n_workers=int(rest), threads_per_worker=1, processes=True, dashboard_address=None
            ) as workers,
            distributed.Client(workers) as client,
        ):
            yield client
        return
    if kind not in ("tcp", "tls") or not rest.startswith("//"):
        message = f"A cluster must be local:N or tcp://HOST:PORT, but is {cluster!r}. Write local:2, for example."
        raise ValueError(message)
    try:
        client = distributed.Client(cluster, timeout=10)
    except (OSError, TimeoutError) as error:
        message = f"A scheduler must answer at the cluster's address, but none does at {cluster!r}. Start it first."
        raise ValueError(message) from error
    with client:
        yield client


def map_in_order(client: Any, function: Callable[..., Result], items: Sequence[Any]) -> Iterator[Result]:
    """Run a function on workers for every item, and hand back the results in the order of the items.

    A worker that dies takes nothing with it: dask runs what it had begun again elsewhere. So the function must
    give the same result, and do no harm, if it is run twice.

    Parameters
    ----------
    client : distributed.Client
        From `connect`.
    function : callable
        Takes one item.
    items : sequence
        Small enough to be sent.

    Yields
    ------
    object
        What the function returned.
    """
    futures = client.map(function, items, pure=False, retries=2)
    try:
        for future in futures:
            result: Result = future.result()
            future.release()
            yield result
    finally:
        client.cancel(futures)
