"""Ctrl-C ends any stage at once, with a sentence that says how to go on; no process is left, and the next run goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rsa_face.activations.store import describe_store
from rsa_face.cli import INTERRUPTED, SENTENCE, heeding_interrupts
from rsa_face.networks.weights import read_record
from tests.trust.faults import STUDY, Harness, begin
from tests.trust.processes import start_calling

ROOT = Path(__file__).parents[2]
MANY = """\
name: many
stimuli: {table: many.csv}
networks: [{name: alexnet, preprocessing: {resize: 64, crop: 64}}]
activations: {store: stores, layers: all, batch: 2}
output: results
"""


def interrupted_in(stage: str, harness: Harness, study: str, *, once: Callable[[], bool] = lambda: True) -> str:
    """Run a study, press Ctrl-C soon after a stage has begun and more holds; hold what it says to being right."""
    (harness.here / "study.yaml").write_text(study)
    running = begin(harness.words[:2])
    begun = running.hear(f"{stage} ...\n")
    while running.is_running() and not once():
        time.sleep(0.01)
    code, rest = running.end(after=0.1, by=signal.SIGINT)
    assert code == INTERRUPTED, begun + rest
    assert rest.endswith(f"{SENTENCE}\n")
    assert "Traceback" not in rest
    assert "Error" not in rest
    assert not running.left()
    return begun


def test_training_goes_on_from_the_last_epoch(harness):
    harness.fresh(finished=False)
    study = STUDY.replace("epochs: 4", "epochs: 100000")
    begun = harness.here / "results" / "weights" / "alexnet.begun.safetensors"
    interrupted_in("training of alexnet", harness, study, once=begun.is_file)
    first = read_record(begun)["history"]
    before = interrupted_in(
        "training of alexnet", harness, study, once=lambda: len(read_record(begun)["history"]) > len(first)
    )
    assert "human RDMs: up to date" in before
    assert len(read_record(begun)["history"]) < 100000
    assert read_record(begun)["history"][: len(first)] == first


def test_extraction_goes_on_from_the_last_batch(harness):
    harness.fresh(finished=False)
    faces = pd.read_csv(harness.here / "faces" / "stimuli.csv")
    table = pd.concat([faces.assign(file="faces/" + faces["file"])] * 500, ignore_index=True)
    table["stimulus"] = [f"s{place}" for place in range(len(table))]
    table.to_csv(harness.here / "many.csv", index=False)
    store = harness.here / "stores" / "alexnet.zarr"
    done = 0
    for _ in range(2):
        interrupted_in("RDMs of alexnet", harness, MANY, once=lambda done=done: stimuli_in(store) > done)
        assert done < stimuli_in(store) < len(table)
        done = stimuli_in(store)


def stimuli_in(store: Path) -> int:
    networks = describe_store(store)["networks"] if store.is_dir() else []
    return networks[0]["done"] if networks else 0


def test_draws_are_left_and_what_came_before_is_kept(harness):
    harness.fresh(finished=False)
    study = STUDY.replace("draws: 20,", "draws: 200000,")
    interrupted_in("comparison", harness, study)
    before = interrupted_in("comparison", harness, study)
    assert "RDMs of all networks: up to date\n" in before
    assert before.count("...") == 1


def test_a_report_ends_at_once_and_leaves_none_or_a_whole_one(harness):
    harness.fresh(finished=True)
    results = harness.here / "results"
    before = set(results.rglob("*"))
    running = begin(["report", str(results)])
    code, said = running.end(after=0.1, by=signal.SIGINT)
    assert (code, said.strip()) == (INTERRUPTED, SENTENCE)
    report = results / "report.html"
    assert set(results.rglob("*")) - before <= {report}
    assert not report.exists() or report.read_text().endswith("</html>")  # a library may have swallowed Ctrl-C


def test_what_a_library_fails_to_put_away_after_ctrl_c_is_not_shown():
    class Torn:
        def __del__(self) -> None:
            raise KeyError("put away")

    def press() -> None:
        with heeding_interrupts():
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            Torn()

    assert start_calling(press).end() == (INTERRUPTED, f"{SENTENCE}\n")


def test_workers_of_a_cluster_end_with_the_study(harness):
    harness.fresh(finished=True)
    (harness.here / "results" / "layers.nc").unlink()
    (harness.here / "study.yaml").write_text(STUDY.replace("draws: 20,", "draws: 200000,"))
    code = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have begun us without one
from tests.trust.faults import use_small_networks; from rsa_face.cli import main
use_small_networks(); main()"""
    command = [sys.executable, "-c", code, *harness.words[:2], "--cluster", "local:2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as run:
        assert any(line == "comparison ...\n" for line in run.stderr)
        while len(members(run.pid)) < 4:  # itself, two workers, and what tracks them
            assert run.poll() is None
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        said = run.stderr.read()
        assert run.wait() == INTERRUPTED, said
        assert said.count(SENTENCE) == 1
        assert "Traceback" not in said
    ends = time.monotonic() + 20
    while members(run.pid) and time.monotonic() < ends:
        time.sleep(0.05)
    assert members(run.pid) == []


def members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, of_group = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(folder.name))
    return found
