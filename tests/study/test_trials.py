"""A study of odd-one-out trials predicts them layer by layer, beside its comparison of RDMs."""

import numpy as np
import pandas as pd
import pytest

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.human.observers import simulate_triplets
from rsa_face.report.narrate import tell_study
from rsa_face.report.page import write_report
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study
from rsa_face.study.graph import run_study

STUDY = """\
name: odd
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, classes: 1000, layers: [relu1, relu5], preprocessing: {resize: 64, crop: 64}}
human: {table: odd.csv, kind: triplet, layout: {keep: {phase: main}}}
inference: {comparison: rho-a, network: alexnet, baseline: alexnet, draws: 40, groups: none}
output: results
"""


def test_a_study_of_trials_predicts_them_as_the_function_does(tmp_path):
    stimuli = draw_faces(tmp_path, identities=1, levels=7, size=64)
    level = rf.control_rdms(stimuli, ["level"])[0]
    trials = simulate_triplets(level, participants=4, trials=120, temperature=0.3)
    practice = simulate_triplets(level, participants=4, trials=30, temperature=5.0, seed=1).assign(phase="practice")
    every = pd.concat([trials.assign(phase="main"), practice])
    every.assign(simulated=True).to_csv(tmp_path / "odd.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY)
    run_study(load_study(tmp_path / "study.yaml"))
    results = tmp_path / "results"
    saved, rdms = rf.load(results / "trials.nc"), rf.load(results / "rdms.nc")
    result = rf.predict_trials(rdms, trials, draws=40, groups=None)
    np.testing.assert_allclose(saved["accuracy"], result["accuracy"])
    np.testing.assert_allclose(saved["similarity_interval"], result["similarity_interval"])
    assert saved.attrs["simulated"]
    table = pd.read_csv(results / "trials.csv")
    assert table["layer"].tolist() == ["relu1", "relu5"]
    np.testing.assert_allclose(table["accuracy"], result["accuracy"], rtol=1e-5)
    out = str(tmp_path / "figures")
    with pytest.raises(SystemExit) as end:
        main(["figures", str(results), "--only", "trials", "--formats", "png", "--out", out])
    assert end.value.code == 0
    assert (tmp_path / "figures" / "trials.png").stat().st_size > 5000
    told = " ".join(tell_study(results))
    assert f"trials best: accuracy {float(saved['accuracy'].max()):.3f} (95% interval " in told
    assert f"beside {float(saved['guessing_accuracy']):.3f} by guessing" in told
    assert '<section id="trials"' in write_report(results).read_text("utf-8")
