"""Workers of a cluster write the same store, byte for byte, though one of them is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn

from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import verify_store
from rsa_face.cluster import connect
from rsa_face.human.observers import simulate_ratings
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.provenance import load
from rsa_face.rdms.measures import compute_rdms
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.faces import draw_faces
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.batch import Batch, Source, batch_of, compute_batch, load_batch
from rsa_face.study.config import load_study
from rsa_face.study.graph import run_study
from tests.trust import hostile

distributed = pytest.importorskip("distributed")

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks: [{name: alexnet, preprocessing: {resize: 64, crop: 64}}]
activations: {layers: [relu1, relu5, fc8]}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}}
inference: {comparison: corr, resample: dual, draws: 30}
"""


def make_network() -> Network:
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16 * 62 * 62, 5))
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 5)
    return Network("tiny", module.eval(), name_modules(module), Preprocessing(resize=64, crop=64))


def contents(store):
    files = [file for file in sorted(store.rglob("c/**/*")) if file.is_file()]
    return {str(file.relative_to(store)): file.read_bytes() for file in files}


@pytest.fixture
def many(stimuli):
    """120 stimuli that share ten images."""
    files = stimuli.table["file"].tolist() * 12
    return StimulusSet(pd.DataFrame({"stimulus": [f"t{place:03d}" for place in range(120)], "file": files}))


@pytest.mark.filterwarnings("ignore")  # dask warns of the worker that the test kills
def test_a_store_written_by_workers_of_which_one_is_killed_equals_that_of_one_process(tmp_path, many):
    settings = {"layers": "all", "batch": 2, "options": Options(chunk=4), "progress": False}
    complete = extract([make_network()], many, tmp_path / "whole.zarr", **settings)
    (tmp_path / f".made.zarr.task-{0:016x}").write_text("left by a run that was killed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
        distributed.Client(workers) as client,
    ):
        first, *others = client.run(os.getpid).values()
        killed = []

        def kill():
            while not list((tmp_path / "made.zarr/tiny").glob("3/activation/c/*/0")):
                time.sleep(0.01)
            os.kill(first, signal.SIGKILL)
            killed.append(len(list((tmp_path / "made.zarr/tiny").glob("3/activation/c/*/0"))))

        killer = threading.Thread(target=kill)
        killer.start()
        address = workers.scheduler_address
        made = extract([make_network()], many, tmp_path / "made.zarr", cluster=address, **settings)
        killer.join()
        assert others
        assert 0 < killed[0] < 30
        assert contents(tmp_path / "made.zarr") == contents(tmp_path / "whole.zarr")
        assert verify_store(tmp_path / "made.zarr") == []
        assert not [file for file in tmp_path.iterdir() if ".task-" in file.name]
        alone = compute_rdms(complete)
        np.testing.assert_array_equal(compute_rdms(made, cluster=address).values, alone.values)


@pytest.mark.filterwarnings("ignore")  # dask warns of sockets that close as its workers end
def test_a_network_that_somebody_swaps_before_workers_read_it_is_refused_and_does_not_run(
    tmp_path, stimuli, monkeypatch
):
    mark = tmp_path / "it ran"

    @contextmanager
    def swap_and_connect(cluster):
        (file,) = tmp_path.glob(".made.zarr.task-*")
        file.write_bytes(hostile.pickled(mark, how="zip"))
        with connect(cluster) as client:
            yield client

    monkeypatch.setattr("rsa_face.activations.extract.connect", swap_and_connect)
    with pytest.raises(ValueError, match=r"\.made\.zarr\.task-\w+ was changed"):
        extract([make_network()], stimuli, tmp_path / "made.zarr", layers="all", cluster="local:1")
    assert not mark.exists()


@contextmanager
def workers_elsewhere(folder, number=2):
    """Start a scheduler here and workers in folders of their own, as on the machines of a cluster."""
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as scheduler:
        address, started = scheduler.scheduler_address, []
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            for place in range(number):
                home = folder / f"machine{place}"
                home.mkdir()
                words = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard",
                         "--nthreads", "1", "--local-directory", str(home / "scratch")]  # fmt: skip
                started.append(subprocess.Popen(words, cwd=home, env=environment, stderr=subprocess.DEVNULL))
            with distributed.Client(address) as client:  # the default of its process, as in a notebook
                client.wait_for_workers(number, timeout=120)
                yield address, client
        finally:
            for worker in started:
                worker.kill()
                worker.wait()


@pytest.mark.filterwarnings("ignore")  # dask warns of workers that are killed
def test_workers_that_were_started_in_other_folders_take_relative_paths(tmp_path, stimuli, monkeypatch):
    (tmp_path / "lab").mkdir()
    names = [Path(file).name for file in stimuli.table["file"]]
    for name, file in zip(names, stimuli.files, strict=True):
        (tmp_path / "lab" / name).write_bytes(file.read_bytes())
    stimuli.table.assign(file=names).to_csv(tmp_path / "lab/stimuli.csv", index=False)
    monkeypatch.chdir(tmp_path / "lab")
    by_hand = StimulusSet(stimuli.table.assign(file=names))
    settings = {"layers": "all", "batch": 2, "options": Options(chunk=4), "progress": False}
    alone = extract([make_network()], by_hand, "alone.zarr", **settings)
    with workers_elsewhere(tmp_path) as (address, client):
        homes = set(client.run(os.getcwd).values())
        assert homes == {str(tmp_path / "machine0"), str(tmp_path / "machine1")}
        spread = extract([make_network()], by_hand, "spread.zarr", cluster=address, **settings)
        assert contents(Path("spread.zarr")) == contents(Path("alone.zarr"))
        rdms = compute_rdms(xr.open_datatree("spread.zarr", engine="zarr", consolidated=False), cluster=address)
        np.testing.assert_array_equal(rdms.values, compute_rdms(alone).values)
        assert spread.equals(alone)
        source = Source("tiny", 0, "given", "mine", make_network)
        batch = Batch(read_stimuli("stimuli.csv"), Path("rdms"), (source,), layers="all")
        files = compute_batch(batch, stream=False, cluster=address)
    assert files == [Path("rdms/tiny-seed0-all-correlation.nc")]
    np.testing.assert_array_equal(load_batch("rdms")[files[0].stem].values, rdms.values)


@pytest.mark.filterwarnings("ignore")  # dask warns of sockets that close as its workers end
def test_passes_side_by_side_write_what_workers_of_one_thread_write(tmp_path, stimuli, alexnet):
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # one for each of two passes
    try:
        for name, cluster in (("alone", None), ("spread", "local:2")):
            extract([alexnet], stimuli, tmp_path / f"{name}.zarr", layers="all", batch=2, options=Options(chunk=4),
                    cluster=cluster, progress=False)  # fmt: skip
    finally:
        torch.set_num_threads(before)
    assert contents(tmp_path / "spread.zarr") == contents(tmp_path / "alone.zarr")


@pytest.mark.filterwarnings("ignore")  # dask warns of sockets that close as its workers end
def test_a_study_and_its_batch_by_workers_equal_those_of_one_process(tmp_path):
    stimuli = draw_faces(tmp_path, identities=2, levels=3, size=64)
    simulate_ratings(stimuli, participants=3)[0].to_csv(tmp_path / "ratings.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    run_study(load_study(tmp_path / "study.yaml", output=tmp_path / "alone"))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers:
        address = workers.scheduler_address
        study = load_study(tmp_path / "study.yaml", output=tmp_path / "spread")
        run_study(study.model_copy(update={"cluster": address}))
        batch = batch_of(study)
        compute_batch(batch, stream=False, cluster=address)
    alone, spread = (load(tmp_path / name / "rdms.nc") for name in ("alone", "spread"))
    # streamed alone, stored by workers; logits near 16 are rounded to 1e-6 in float32
    np.testing.assert_allclose(spread.values, alone.values, atol=5e-5)
    one, other = (load(tmp_path / name / "layers.nc") for name in ("alone", "spread"))
    np.testing.assert_allclose(other["similarity_draws"], one["similarity_draws"], atol=1e-3)
    (unit,) = load_batch(batch.folder).values()
    np.testing.assert_array_equal(unit.values, spread.values)
