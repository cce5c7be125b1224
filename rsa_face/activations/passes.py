"""Forward passes over batches, in order: on a CPU two at a time, each with half of torch's threads."""

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from rsa_face.networks.architectures import ARCHITECTURES
from rsa_face.networks.zoo import Network

_AT_ONCE = 2
Captured = dict[str, Tensor]
Record = Callable[[Network, Tensor], Captured]
Passes = Callable[[Iterable[Tensor]], Iterator[Captured]]


@contextmanager
def passes_of(network: Network, record: Record, device: torch.device) -> Iterator[Passes]:
    """Share torch's threads out between forward passes that run side by side.

    Threads that compute one layer together wait for each other at its end, and the longer the more else there is to
    do, as reading images and writing files; two passes of half the threads each need not. So the five networks run on
    a CPU, each pass on modules of its own that share the weights. Any other network runs one batch after another,
    since two of its passes might get in each other's way.

    Parameters
    ----------
    network : Network
        On the device, and left there.
    record : callable
        Runs one batch through a network, and returns what is kept of it.
    device : torch.device
        Where the network is.

    Yields
    ------
    callable
        Takes batches, and yields what `record` returns of each, in order. Until the end, all that this process
        computes in torch has as many threads as one pass has, so that values are the same wherever they are computed.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < _AT_ONCE or network.architecture not in ARCHITECTURES:
        yield lambda batches: (record(network, inputs) for inputs in batches)
        return
    torch.set_num_threads(threads // _AT_ONCE)  # threads that begin later start from this number
    stopping = threading.Event()
    free: SimpleQueue[Network] = SimpleQueue()
    for _ in range(_AT_ONCE):
        free.put(_sharing_weights(network, stopping))

    def run(inputs: Tensor) -> Captured:
        mine = free.get()
        try:
            return record(mine, inputs)
        finally:
            free.put(mine)

    def in_order(batches: Iterable[Tensor]) -> Iterator[Captured]:
        running: deque[Future[Captured]] = deque()
        for inputs in batches:
            running.append(pool.submit(run, inputs))
            if len(running) == _AT_ONCE:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passes") as pool:
            try:
                yield in_order
            finally:
                stopping.set()
    finally:
        torch.set_num_threads(threads)


class _StoppedError(Exception):
    """Ends a pass that nobody waits for any more."""


def _sharing_weights(network: Network, stopping: threading.Event) -> Network:
    """Return a network of modules of its own, whose weights are the other's, and which stops between two of them."""
    module = network.module
    shared: dict[int, Any] = {id(value): value for value in (*module.parameters(), *module.buffers())}
    replica = copy.deepcopy(module, shared)

    def go_on(*_: object) -> None:
        if stopping.is_set():
            raise _StoppedError

    for child in replica.modules():
        child.register_forward_pre_hook(go_on)
    return replace(network, module=replica)
