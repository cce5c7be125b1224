"""What checks a GPU runs on the CPU too, where values are equal."""

import subprocess
from pathlib import Path

import pytest
import torch

from tests.gpu.check import main


def test_the_check_finds_the_cpu_equal_to_itself(capsys):
    assert (
        main(["--device", "cpu", "--networks", "fe_alexnet", "--stimuli", "16", "--size", "64", "--batch", "8"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["fe_alexnet", "one", "draws,", "draws,", "draws,", "Values"]
    assert lines[-1] == "Values that differ from the CPU's: none"


def test_the_script_is_one_that_bash_reads():
    script = Path(__file__).parent / "check.sh"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_the_check_finds_the_gpu_equal_to_the_cpu():
    assert main(["--networks", "alexnet", "--stimuli", "32", "--size", "64"]) == 0
