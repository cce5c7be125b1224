"""The ten-line example of activations/README.md: any torch network, by the paths of its modules."""

import re
from pathlib import Path

import numpy as np
import torch

from rsa_face.stimuli.images import read_batches

README = Path(__file__).parents[2] / "activations/README.md"


def test_the_example_of_the_readme_runs_on_a_resnet_of_torchvision(tmp_path, stimuli, monkeypatch, capsys):
    stimuli.table.to_csv(tmp_path / "stimuli.csv", index=False)
    monkeypatch.chdir(tmp_path)
    code = re.search(r"## Any torch network.*?```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL).group(1)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "right" in capsys.readouterr().out
    rdms, network = names["rdms"], names["network"]
    assert rdms["layer"].values.tolist() == ["conv1", "layer4.1.bn2", "fc"]
    with torch.inference_mode():
        outputs = network.module(next(iter(read_batches(stimuli, network.preprocessing))))
    np.testing.assert_allclose(rdms.values[2], 1 - np.corrcoef(outputs.double().numpy()), atol=1e-5)
