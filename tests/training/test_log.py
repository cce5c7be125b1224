"""A training's history as TensorBoard reads it, where TensorBoard is installed; a plain word where it is not."""

import sys

import pandas as pd
import pytest

from rsa_face.training.loop import write_tensorboard

HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": [0.75, 0.5], "accuracy": [0.5, 1.0]})


def test_tensorboard_reads_every_column_by_epoch(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert write_tensorboard(HISTORY, tmp_path) == tmp_path
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss", "accuracy"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.75), (2, 0.5)]


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[tensorboard\]'"):
        write_tensorboard(HISTORY, tmp_path)
