"""The dask workers that a stage may run on: some on this machine, or a scheduler elsewhere."""

import hashlib
import logging
import os
import platform
import re
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module, metadata
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

_MOMENT = 5.0  # seconds after which a scheduler without workers is said to be waited for


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
        with workers, distributed.Client(workers) as client, _naming_what_ended(distributed, cluster):
            yield client
        return
    try:
        client = distributed.Client(cluster, timeout=10)
    except (OSError, TimeoutError) as error:
        message = f"No scheduler answers at {cluster!r}. Start it first."
        raise ValueError(message) from error
    with client, _naming_what_ended(distributed, cluster):
        _wait_for_workers(client, cluster)
        yield client


@contextmanager
def _naming_what_ended(distributed: Any, cluster: str) -> Iterator[None]:
    """Say what ended meanwhile, and how to go on, in place of a library's words."""
    for name in ("distributed.client", "distributed.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    except distributed.KilledWorker as error:
        message = (
            f"Workers of {cluster} were killed again and again at the same work, most likely because they ran out of "
            "memory. Give each more, or start fewer on a machine, and run the same command: it goes on."
        )
        raise MemoryError(message) from error
    except (distributed.comm.CommClosedError, CancelledError, ConnectionError, TimeoutError) as error:
        message = (
            f"The scheduler at {cluster} ended. Start it and its workers again, and run the same command: it goes on."
        )
        raise ConnectionError(message) from error


def _wait_for_workers(client: Any, cluster: str) -> None:
    """Wait for the first worker, however late, and say so where it takes more than a moment."""
    try:
        client.wait_for_workers(1, timeout=_MOMENT)
    except TimeoutError:
        message = f"The scheduler at {cluster} has no workers yet; waiting for one. Start some: dask worker {cluster}"
        warnings.warn(message, stacklevel=4)
        client.wait_for_workers(1)


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
    futures = client.map(partial(_checked, function, _build()), items, *sent, pure=False, retries=2)
    try:
        for future in futures:
            result: Result = future.result()
            future.release()
            yield result
    finally:
        client.cancel(futures)


def _checked(function: Callable[..., Result], build: str, *arguments: Any) -> Result:
    """Run a function on a worker; say which machine has other code, or lacks a folder."""
    machine = f"The worker on {platform.node()} (process {os.getpid()})"
    if _build() != build:
        message = f"{machine} has rsa_face {_build()}, and this command {build}. Install the same version there."
        raise ValueError(message)
    try:
        return function(*arguments)
    except FileNotFoundError as error:
        message = f"{machine} does not see a file: {error}. Mount its folder there under the same path."
        raise ValueError(message) from error


@cache
def _build() -> str:
    """Return the version of this package, and the hash of its code: workers must compute the same."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    try:
        version = metadata.version("rsa-face")
    except metadata.PackageNotFoundError:
        version = "of unknown version"
    return f"{version} ({digest.hexdigest()[:8]})"


def _share(client: Any, shared: Any) -> Any:
    # a task that returns its argument, not `scatter`: scattered values are lost with the workers that hold them
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_itself, shared, pure=False, retries=2)


def _itself(shared: Any) -> Any:
    return shared
