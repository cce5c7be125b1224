"""A run that is stopped leaves word of what it has yet to do, and a finished one none."""

import pytest

from rsa_face.cli.status import stages_of
from rsa_face.human.observers import simulate_ratings
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study
from rsa_face.study.manifest import Manifest
from rsa_face.study.planning import planned_stages
from rsa_face.study.running import run_study

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
activations: {layers: [relu1, fc8]}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 20}
output: results
"""


@pytest.fixture
def study(tmp_path):
    stimuli = draw_faces(tmp_path / "faces", identities=2, levels=3, size=64)
    simulate_ratings(stimuli, participants=4)[0].to_csv(tmp_path / "ratings.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY)
    return load_study(tmp_path / "study.yaml")


def test_a_run_that_is_stopped_says_what_it_has_yet_to_do_until_it_is_through(study, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rsa_face.study.running.compare", stop)
        with pytest.raises(KeyboardInterrupt):
            run_study(study, progress=False)
    states = {stage.name: stage.state for stage in stages_of(study.output)}
    assert states.pop("RDMs of all networks") == "done"
    to_come = ["comparison", "fe_alexnet minus alexnet", "localization", "figures"]
    assert [name for name, state in states.items() if state == "missing"] == to_come
    run_study(study, progress=False)
    done = [stage.name for stage in stages_of(study.output)]
    assert [stage for stage in stages_of(study.output) if stage.state != "done"] == []
    assert "begun" not in Manifest(study.output, print).read()
    assert [name for name in done if name in planned_stages(study)] == planned_stages(study)


def test_what_a_study_does_not_ask_for_is_not_planned(study):
    plan = planned_stages(study.model_copy(update={"human": None}))
    assert plan == [
        "masked faces",
        "RDMs of alexnet",
        "RDMs of fe_alexnet",
        "RDMs of all networks",
        "figures",
    ]
