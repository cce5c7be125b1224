"""The commands print what they wrote, go on where they stopped, and answer wrong requests in a line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from rsa_face.cli import main
from rsa_face.provenance import load


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Four images of noise and their table."""
    folder = tmp_path_factory.mktemp("stimuli")
    rng = np.random.default_rng(0)
    lines = ["stimulus,file,occlusion"]
    for place in range(4):
        Image.fromarray(rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)).save(folder / f"{place}.png")
        lines.append(f"s{place},{place}.png,none")
    (folder / "stimuli.csv").write_text("\n".join(lines), "utf-8")
    return folder / "stimuli.csv"


def run(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return exit_.value.code, out, err


def test_extract_writes_a_store_that_can_be_shown_verified_and_removed(capsys, table, tmp_path):
    store = tmp_path / "x.zarr"
    words = ("extract", table, "--network", "alexnet", "--store", store, "--layers", "relu1,fc8")
    code, out, _ = run(capsys, *words)
    assert (code, out.strip()) == (0, str(store))
    code, _, err = run(capsys, *words)
    assert code == 0
    assert "alexnet: 4 of 4 stimuli are there" in err
    assert "alexnet: finished, 2 layers, random weights" in run(capsys, "activations", "show", store)[1]
    described = json.loads(run(capsys, "activations", "show", store, "--json")[1])
    assert described["networks"][0]["layers"] == ["relu1", "fc8"]
    assert run(capsys, "activations", "verify", store)[:2] == (0, f"{store}: all blocks are sound\n")
    block = next(store.glob("alexnet/relu1/activation/c/0/0/0/0"))
    block.write_bytes(block.read_bytes()[:-9])
    code, out, _ = run(capsys, "activations", "verify", store)
    assert code == 1
    assert "alexnet/relu1, stimuli 0 to 3: the file is damaged" in out
    assert run(capsys, "activations", "remove", store, "--yes")[0] == 0
    assert not store.exists()


def test_a_store_begun_otherwise_is_a_wrong_request(capsys, table, tmp_path):
    words = ("extract", table, "--network", "alexnet", "--store", tmp_path / "x.zarr", "--layers", "fc8")
    assert run(capsys, *words)[0] == 0
    code, _, err = run(capsys, *words, "--dtype", "float16")
    assert code == 2
    assert "dtype ('float32' in the store, now 'float16')" in err
    assert "Traceback" not in err


def test_rdms_are_computed_unit_by_unit_listed_and_gone_on_with(capsys, table, tmp_path):
    words = ["rdms", table, "--network", "alexnet", "--out", tmp_path, "--layers", "relu5,fc6"]
    words += ["--measure", "correlation", "--measure", "cosine", "--occlusion", "none"]
    assert "0 of 2 done" in run(capsys, *words, "--list")[1]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert str(tmp_path / "alexnet-seed0-none-correlation.nc") in out
    assert "2 units, 2 computed now" in out
    assert "2 units, 0 computed now" in run(capsys, *words)[1]
    assert "done   alexnet-seed0-none-cosine" in run(capsys, *words, "--list")[1]


def test_rdms_of_a_study_are_those_of_its_networks_seeds_and_occlusions(capsys, table, tmp_path):
    study = tmp_path / "study.yaml"
    network = "name: alexnet, preprocessing: {resize: 64, crop: 64}"
    study.write_text(
        f"name: small\nstimuli: {{table: {table}}}\noutput: out\nactivations: {{layers: [relu5, fc8]}}\n"
        f"networks:\n  - {{{network}, label: one}}\n  - {{{network}, seeds: [3, 4]}}\n",
        "utf-8",
    )
    code, _, err = run(capsys, "rdms", study, "--list")
    assert code == 2
    assert str(tmp_path / "out/batch") in err
    words = ("rdms", study, "--measure", "correlation", "--measure", "cosine", "--measure", "fc8=euclidean")
    code, out, _ = run(capsys, *words)
    assert code == 0
    made = load(tmp_path / "out/batch/one-seed0-none-cosine.nc")["measure"].values.tolist()
    assert made == ["cosine", "euclidean"]
    assert str(tmp_path / "out/batch/alexnet-random-4-seed4-none-cosine.nc") in out
    assert "6 units, 6 computed now" in out
    assert "6 units, 0 computed now" in run(capsys, *words)[1]
    (tmp_path / "out/batch/one-seed0-none-cosine.nc").unlink()
    listed = run(capsys, "rdms", study, "--list")[1]
    assert "to do  one-seed0-none-cosine" in listed
    assert "5 of 6 done" in listed
    code, _, err = run(capsys, *words, "--network", "vgg11")
    assert code == 2
    assert "--network cannot be given" in err


def test_doctor_says_what_an_uncopied_hook_would_get_wrong(capsys):
    code, out, _ = run(capsys, "doctor", "--network", "alexnet")
    assert code == 0
    (row,) = [line.split() for line in out.splitlines() if " alexnet " in line]
    assert [word for word in row if word.isdigit()] == ["18", "0", "7", "0"]
    assert "does not copy gets conv1 conv2 conv3 conv4 conv5 fc6 fc7 wrong" in out
    assert json.loads(run(capsys, "doctor", "--network", "alexnet", "--json")[1])["right"] is True


def test_doctor_goes_on_after_a_network_that_it_cannot_check(capsys):
    names = ("tests.activations.odd:scripted", "tests.activations.odd:answers")
    code, out, _ = run(capsys, "doctor", "--network", names[0], "--network", names[1])
    assert code == 1
    assert "odd:scripted cannot be checked: Cannot record from TopLevelTracedModule" in out
    assert "odd:answers: memory[1][0], memory[1][1] cannot be recorded: has the shape (1, 3, 6)" in out
    assert "All is well" not in out
    listed = json.loads(run(capsys, "doctor", "--network", names[0], "--json")[1])
    assert (listed["right"], list(listed["refused"])) == (False, [names[0]])


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("activations", "show", "absent.zarr"), "absent.zarr"),
        (("extract", "absent.csv", "--network", "alexnet", "--store", "x.zarr"), "absent.csv"),
        (("doctor", "--network", "resnet"), "'resnet'"),
        (("rdms", "stimuli.csv", "--network", "alexnet"), "--out is missing"),
    ],
)
def test_wrong_requests_end_with_code_2_and_one_line(capsys, words, fault):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert fault in err
    assert len(err.strip().splitlines()) == 1


def test_help_loads_no_torch_xarray_pandas_or_scipy():
    code = (
        "import sys\nfrom rsa_face.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'xarray', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
