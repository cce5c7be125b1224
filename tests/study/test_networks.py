"""A study's networks: several blocks if asked for, and where their weights came from in the manifest."""

import hashlib

import numpy as np
import pytest
import safetensors.torch

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.networks.attention import find_attention
from rsa_face.networks.settings import Attention
from rsa_face.networks.zoo import build_network
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study, networks_of
from rsa_face.study.graph import Run, run_study
from rsa_face.study.networks import build, note_weights

STUDY = """\
name: two
stimuli: {table: stimuli.csv}
networks:
  - name: fe_alexnet
    weights: given.safetensors
    attention: [{position: pool1, reduction: 4}, {position: pool5, bias: true}]
output: results
"""


@pytest.fixture
def study(tmp_path):
    state = build_network("alexnet").module.features.state_dict()
    safetensors.torch.save_file(
        {f"features.{key}": value for key, value in state.items()}, tmp_path / "given.safetensors"
    )
    (tmp_path / "stimuli.csv").touch()
    (tmp_path / "study.yaml").write_text(STUDY)
    return load_study(tmp_path / "study.yaml")


def test_several_blocks_stand_where_the_study_says_and_the_files_hash_is_kept(study, tmp_path):
    run = Run(study)
    network = build(run, networks_of(study)[0])
    assert find_attention(network.module) == (
        Attention(position="pool1", reduction=4),
        Attention(position="pool5", reduction=16, bias=True),
    )
    run.manifest.note(weights={"other": {"from": "random", "sha256": None}})
    note_weights(network, run)
    weights = run.manifest.read()["weights"]
    digest = hashlib.sha256((tmp_path / "given.safetensors").read_bytes()).hexdigest()
    assert weights["fe_alexnet"] == {"from": str(tmp_path / "given.safetensors"), "sha256": digest}
    assert weights["other"] == {"from": "random", "sha256": None}


def test_a_block_where_none_can_stand_is_named_with_its_line(study, tmp_path):
    (tmp_path / "wrong.yaml").write_text(STUDY.replace("pool1", "pool3"))
    with pytest.raises(ValueError, match=r"line 6: networks.0.attention.*\n?.*'pool3'"):
        load_study(tmp_path / "wrong.yaml")


def test_a_study_and_a_batch_pool_what_the_study_says(tmp_path):
    stimuli = draw_faces(tmp_path, identities=1, levels=4, size=32)
    (tmp_path / "study.yaml").write_text(
        "name: pooled\nstimuli: {table: stimuli.csv}\noutput: out\nactivations: {layers: [stem, fc], pool: mean}\n"
        "networks: [{name: 'tests.activations.odd:twice', weights: random}]\n"
    )
    run_study(load_study(tmp_path / "study.yaml"))
    with pytest.raises(SystemExit) as exit_:
        main(["rdms", str(tmp_path / "study.yaml"), "--measure", "correlation"])
    assert exit_.value.code == 0
    network = rf.build_network("tests.activations.odd:twice", weights="random")
    pooled, plain = (
        rf.stream_rdms([network], stimuli, layers=["stem", "fc"], pool=pool) for pool in ("mean", "none")
    )
    assert abs(pooled - plain).max() > 0.01
    (file,) = (tmp_path / "out" / "batch").glob("*.nc")
    for rdms in (rf.load(tmp_path / "out" / "rdms.nc"), rf.load(file)):
        np.testing.assert_allclose(rdms.values, pooled.values, atol=1e-9)
    with pytest.raises(SystemExit):
        main(["rdms", str(tmp_path / "study.yaml"), "--pool", "class"])
