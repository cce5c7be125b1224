"""Held-out faces are scored from the answers the networks gave, which are those they would give again."""

import numpy as np
import pandas as pd
import pytest

from rsa_face.networks.zoo import build_network
from rsa_face.psychophysics.choices import network_choices
from rsa_face.stimuli.faces import draw_faces
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.networks import judgements_of
from rsa_face.training.data import label_images
from rsa_face.training.evaluation import judge_valence


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    return draw_faces(tmp_path_factory.mktemp("faces"), identities=2, levels=3, size=64)


def test_scores_from_answers_are_those_of_judging_again(stimuli):
    network = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    network = type(network)(**{**vars(network), "outputs": ("sad", "happy")})
    held_out = label_images(stimuli, label="level")
    answers = network_choices(network, stimuli).sample(frac=1, random_state=0)
    ours, again = judgements_of(answers, held_out), judge_valence(network, held_out)
    assert len(ours) == 4  # the faces in the middle are neither
    np.testing.assert_allclose(ours["happy"], again["happy"], atol=1e-6)
    pd.testing.assert_frame_equal(ours.drop(columns="happy"), again.drop(columns="happy"))


def test_a_face_nobody_judged_is_named(stimuli):
    held_out = label_images(stimuli, label="level")
    answers = pd.DataFrame({"stimulus": stimuli.ids[1:], "p_happy": 0.5})
    with pytest.raises(ValueError, match=rf"not judged: \['{stimuli.ids[0]}'\]"):
        judgements_of(answers, held_out)
