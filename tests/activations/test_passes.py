"""Passes side by side give what one after another gives, in order, and leave network and threads as they were."""

import threading
from contextlib import suppress

import pytest
import torch

from rsa_face.activations.capture import capture
from rsa_face.activations.extract import passes_of
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 64, 64, generator=generator) for _ in range(5)]


def record_all(network: Network, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    return capture(network, network.layers, inputs)


def test_they_come_in_order_and_equal_those_with_as_many_threads(fe_alexnet, batches):
    torch.set_num_threads(2)
    expected = [record_all(fe_alexnet, inputs) for inputs in batches]
    torch.set_num_threads(4)
    with passes_of(fe_alexnet, record_all, CPU) as run:
        outputs = list(run(iter(batches)))
    assert len(outputs) == 5
    for one, other in zip(outputs, expected, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_two_run_at_once_on_modules_of_their_own_with_the_same_weights(alexnet, batches):
    together = threading.Barrier(2, timeout=30)
    seen = []

    def record(network, inputs):
        seen.append((network.module, torch.get_num_threads()))
        together.wait()
        return {"inputs": inputs}

    with passes_of(alexnet, record, CPU) as run:
        outputs = list(run(batches[:4]))
    assert [torch.equal(one["inputs"], inputs) for one, inputs in zip(outputs, batches, strict=False)] == [True] * 4
    assert {threads for _, threads in seen} == {2}
    modules = {id(module): module for module, _ in seen}
    assert len(modules) == 2
    assert id(alexnet.module) not in modules
    for module in modules.values():
        for mine, shared in zip(module.parameters(), alexnet.module.parameters(), strict=True):
            assert mine.data_ptr() == shared.data_ptr()


def test_torch_has_its_threads_back_and_the_network_no_hook_after_an_error(alexnet, batches):
    with pytest.raises(RuntimeError), passes_of(alexnet, record_all, CPU) as run:
        list(run([batches[0], batches[1][:, :1], batches[2]]))
    assert torch.get_num_threads() == 4
    assert not any(child._forward_pre_hooks or child._forward_hooks for child in alexnet.module.modules())


def test_a_pass_that_nobody_waits_for_stops_at_its_next_layer(alexnet, batches):
    finished, told = [], threading.Event()

    def record(network, inputs):
        if inputs is batches[1]:
            network.module.features[0].register_forward_hook(lambda *_: told.wait(30) and None)
        finished.append(network.module(inputs))
        return {}

    with suppress(KeyboardInterrupt), passes_of(alexnet, record, CPU) as run:
        assert next(run(batches)) == {}
        threading.Timer(0.5, told.set).start()  # by then it has been told to stop, and is waited for
        raise KeyboardInterrupt
    assert told.is_set()
    assert len(finished) == 1


@pytest.mark.parametrize("threads", [1, 4])
def test_another_network_or_a_single_thread_runs_one_batch_after_another(alexnet, batches, threads):
    torch.set_num_threads(threads)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(inplace=True)).eval()
    network = alexnet if threads == 1 else Network("mine", module, name_modules(module))
    seen = []

    def record(one, _inputs):
        seen.append((one, threading.current_thread(), torch.get_num_threads()))
        return {}

    with passes_of(network, record, CPU) as run:
        assert list(run(batches)) == [{}] * 5
    assert seen == [(network, threading.main_thread(), threads)] * 5
