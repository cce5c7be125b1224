"""The dask workers that a stage may run on: some on this machine, or a scheduler elsewhere."""

import re
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any, TypeVar

Result = TypeVar("Result")


@contextmanager
def connect(cluster: str) -> Iterator[Any]:
    """Connect to dask workers, starting them if they are to run on this machine."""
    distributed = find_distributed(cluster)
    kind, _, workers_wanted = cluster.partition(":")
    if kind == "local":
        with _leaving_interrupts_to_us():
            workers = distributed.LocalCluster(
                n_workers=int(workers_wanted), threads_per_worker=1, processes=True, dashboard_address=None
            )
        with workers, distributed.Client(workers) as client:
            yield client
        return
    try:
        client = distributed.Client(cluster, timeout=10)
    except (OSError, TimeoutError) as error:
        message = f"No scheduler answers at {cluster!r}. Start it first."
        raise ValueError(message) from error
    with client:
        yield client


@contextmanager
def _leaving_interrupts_to_us() -> Iterator[None]:
    """Begin processes that do not hear Ctrl-C: this one does, and they end with it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would let the signal through again, in whatever thread it is first needed
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def find_distributed(cluster: str) -> Any:
    """Return dask.distributed, so that what is missing is known before any time is spent on what comes first."""
    if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+", cluster):
        message = f"{cluster!r} names no cluster. Write local:N, such as local:2, or tcp://HOST:PORT."
        raise ValueError(message)
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        message = "dask.distributed is not installed, which a cluster needs. Run pip install 'rsa-face[cluster]'."
        raise ModuleNotFoundError(message) from error


def map_in_order(
    client: Any, function: Callable[..., Result], items: Sequence[Any], *, shared: Any = None
) -> Generator[Result, None, None]:
    """Run a function on workers for every item, and hand back the results in the order of the items.

    A worker that dies takes nothing with it: dask runs what it had begun again elsewhere. So the function must
    give the same result, and do no harm, if it is run twice.
    """
    sent = [] if shared is None else [[_share(client, shared)] * len(items)]
    futures = client.map(function, items, *sent, pure=False, retries=2)
    try:
        for future in futures:
            result: Result = future.result()
            future.release()
            yield result
    finally:
        client.cancel(futures)


def _share(client: Any, shared: Any) -> Any:
    # a task that returns its argument, not `scatter`: scattered values are lost with the workers that hold them
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_itself, shared, pure=False, retries=2)


def _itself(shared: Any) -> Any:
    return shared
