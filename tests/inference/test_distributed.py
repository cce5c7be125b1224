"""Draws computed by workers of a cluster are those of one process, though one worker is killed."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.draws import evaluate_draws, evaluate_draws_on
from rsa_face.inference.resampling import draw_resamples
from rsa_face.provenance import rng_from

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask warns of the worker that the test kills
def test_draws_by_workers_of_which_one_is_killed_equal_those_of_one_process():
    rng = np.random.default_rng(0)
    stimuli, people = 40, 9
    pairs = stimuli * (stimuli - 1) // 2
    layers, humans = rng.random((5, pairs)), rng.random((people, pairs))
    ids = [str(place) for place in range(stimuli)]
    square = np.zeros((people, stimuli, stimuli))
    human = xr.DataArray(square, {"stimulus_i": ids}, ("participant", "stimulus_i", "stimulus_j"))
    draws = draw_resamples(human, resample="dual", draws=1000, rng=rng_from(0, "bootstrap"))
    alone = evaluate_draws(layers, humans, draws, comparison="rho-a")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
        distributed.Client(workers) as client,
    ):
        first = client.run(os.getpid).popitem()[1]

        def kill():
            time.sleep(0.5)
            os.kill(first, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        spread = evaluate_draws_on(workers.scheduler_address, layers, humans, draws, comparison="rho-a")
        assert not killer.is_alive()
    np.testing.assert_array_equal(spread.similarity, alone.similarity)
    np.testing.assert_array_equal(spread.ceiling, alone.ceiling)
