"""A cluster is named in words that are checked, and hands results back in order."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from rsa_face import cluster
from rsa_face.cluster import connect, map_in_order


@pytest.mark.parametrize("words", ["local", "local:0", "local:two", "http://x:1", "tcp:host", "slurm"])
def test_words_that_name_no_cluster_are_refused(words):
    with pytest.raises(ValueError, match=f"'{words}' names no cluster"), connect(words):
        pass


def test_a_missing_package_names_the_extra(monkeypatch):
    def missing(_name):
        raise ModuleNotFoundError

    monkeypatch.setattr("rsa_face.cluster.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"rsa-face\[cluster\]"), connect("local:2"):
        pass


class Client:
    """Answers like dask's, in this process."""

    def map(self, function, items, *shared, **_options):
        given = [[each.value for each in futures] for futures in shared]
        return [Future(function(*arguments)) for arguments in zip(items, *given, strict=True)]

    def submit(self, function, *arguments, **_options):
        self.sent = [*getattr(self, "sent", []), *arguments]
        return Future(function(*arguments))

    def cancel(self, futures):
        self.cancelled = len(futures)


class Future:
    def __init__(self, value):
        self.value = value

    def result(self):
        return self.value

    def release(self):
        pass


def test_results_come_in_the_order_of_the_items():
    client = Client()
    assert list(map_in_order(client, lambda item: item * 2, [3, 1, 2])) == [6, 2, 4]
    assert client.cancelled == 3


def test_what_every_call_needs_is_sent_once():
    client = Client()
    found = list(map_in_order(client, lambda item, shared: item * shared["factor"], [3, 1], shared={"factor": 5}))
    assert found == [15, 5]
    assert client.sent == [{"factor": 5}]


@contextmanager
def started(tmp_path, workers=1):
    """Start a scheduler in a process of its own, and workers; yield its address and the processes."""
    pytest.importorskip("distributed")
    file = tmp_path / "address.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = {
        "dask_scheduler": ["--scheduler-file", str(file), "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        "dask_worker": ["--scheduler-file", str(file), "--no-nanny", "--no-dashboard", "--nthreads", "1"],
    }
    processes = []

    def start(kind):
        command = [sys.executable, "-m", f"distributed.cli.{kind}", *words[kind]]
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL))

    try:
        start("dask_scheduler")
        while not file.is_file() or not file.read_text():
            time.sleep(0.05)
        for _ in range(workers):
            start("dask_worker")
        yield json.loads(file.read_text())["address"], processes, start
    finally:
        for process in processes:
            process.kill()
            process.wait()


def named(item):
    return item, str(Path.cwd())


def slow(item):
    time.sleep(0.3)
    return item


@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")
def test_a_scheduler_without_workers_is_said_to_be_waited_for_and_a_late_worker_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_MOMENT", 0.2)
    with started(tmp_path, workers=0) as (address, _, start):
        timer = threading.Timer(1, start, ["dask_worker"])
        timer.start()
        with (
            pytest.warns(UserWarning, match=rf"{address} has no workers yet.*dask worker {address}"),
            connect(address) as client,
        ):
            assert list(map_in_order(client, named, [3, 1])) == [(3, str(tmp_path)), (1, str(tmp_path))]
        timer.join()


@pytest.mark.filterwarnings("ignore")  # dask warns of what the test kills
def test_a_killed_scheduler_is_named_with_the_way_to_go_on(tmp_path):
    def compute(address, scheduler):
        with connect(address) as client:
            for place, _ in enumerate(map_in_order(client, slow, range(40))):
                if place == 1:
                    scheduler.kill()

    with started(tmp_path) as (address, processes, _):
        message = rf"scheduler at {address} ended.*same command"
        with pytest.raises(ConnectionError, match=message):
            compute(address, processes[0])


def test_a_worker_of_other_code_is_named():
    with pytest.raises(ValueError, match=r"The worker on .* has rsa_face .*, and this command 0\.0 \(abc\)"):
        cluster._checked(named, "0.0 (abc)", 1)


def test_a_worker_that_lacks_a_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"The worker on .* does not see a file: .*nowhere.*same path"):
        cluster._checked(lambda path: path.read_bytes(), cluster._build(), tmp_path / "nowhere")
