"""What needs no computation is checked before anything is made: layers, ids and levels that do not fit each other."""

import pytest

from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study
from rsa_face.study.graph import start_run

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks: [{name: "torchvision:resnet18", layers: [layer1.0, fc]}]
output: results
"""
RESNET = '"torchvision:resnet18", layers: [layer1.0, fc]'
HUMAN = "human: {table: ratings.csv, kind: rating}\n"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    faces = draw_faces(folder, identities=2, levels=3, size=32, seed=0)
    ids = faces.ids
    rows = [f"p{n},{a},{b},3" for n in (1, 2) for k, a in enumerate(ids) for b in ids[k + 1 :]]
    (folder / "ratings.csv").write_text("\n".join(["participant,stimulus_a,stimulus_b,rating", *rows]))
    rows = [f"p1,{level},{word},{ids[0]}" for level in (-1, 0, 1) for word in ("happy", "sad")]
    (folder / "choices.csv").write_text("\n".join(["participant,level,response,stimulus", *rows]))
    rows = [f"p1,{level},{word},elsewhere" for level in (0, 50, 100) for word in ("happy", "sad")]
    (folder / "others.csv").write_text("\n".join(["participant,level,response,stimulus", *rows]))
    (folder / "scale.csv").write_text((folder / "others.csv").read_text().replace("elsewhere", ids[0]))
    (folder / "learnt.safetensors").touch()
    return folder


def start(faces, text):
    (faces / "study.yaml").write_text(text)
    return start_run(load_study(faces / "study.yaml"))


def test_a_study_that_fits_is_started(faces):
    run = start(faces, STUDY + HUMAN + "psychophysics: {table: choices.csv}\n")
    assert not run.has("rdms.nc")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (STUDY.replace(RESNET, '"tests.activations.odd:twice", layers: [unused]'), "unused"),
        (STUDY.replace(RESNET, '"tests.activations.odd:views", preprocessing: {resize: 48, crop: 48}'),
         "Views does not run on images of 48 x 48 pixels"),
        (STUDY.replace(RESNET, "alexnet, preprocessing: {resize: 16, crop: 16}"),
         "alexnet cannot be run on images of 16 x 16 pixels"),
        (STUDY + HUMAN + "activations: {where: {level: [-1.0, 1.0]}}\n",
         "2 of 6 stimuli that people judged would have no layer RDMs: 'id01_level02', 'id02_level02'"),
        (STUDY + "psychophysics: {table: others.csv}\n", r"None of the stimuli in the choices .* \('elsewhere'\) is"),
        (STUDY.replace(RESNET, "alexnet, weights: learnt.safetensors") + "psychophysics: {table: scale.csv}\n",
         "People's levels are on the scale 'other' and the stimuli's on 'signed'"),
    ],
    ids=["layer", "size", "size of the five", "ids", "choices", "scale"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_made(faces, text, problem):
    with pytest.raises(ValueError, match=problem):
        start(faces, text)
