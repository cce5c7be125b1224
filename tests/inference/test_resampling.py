"""Draws are multiplicities that depend on the seed alone; groups are drawn as wholes; small draws are drawn again."""

import numpy as np
import pytest

from rsa_face.inference.resampling import draw_resamples
from tests.inference.conftest import make_vectors, to_array


def human(stimuli=9, people=4, identity=None):
    return to_array(make_vectors(stimuli, 1, people, seed=0)[1], "participant", identity)


@pytest.mark.parametrize("resample", ["stimulus", "participant", "both", "dual"])
def test_every_draw_is_as_large_as_the_sample(resample):
    drawn = draw_resamples(human(), resample=resample, draws=70, rng=np.random.default_rng(0))
    assert (drawn.stimuli.sum(axis=1) == 9).all()
    assert (drawn.participants.sum(axis=1) == 4).all()
    assert (drawn.stimuli == 1).all() == (resample == "participant")
    assert (drawn.participants == 1).all() == (resample == "stimulus")


def test_a_draw_does_not_depend_on_how_many_follow():
    few, many = (draw_resamples(human(), resample="dual", draws=n, rng=np.random.default_rng(5)) for n in (65, 200))
    np.testing.assert_array_equal(few.stimuli, many.stimuli[:65])
    np.testing.assert_array_equal(few.participants, many.participants[:65])


def test_stimuli_of_a_group_are_drawn_together():
    groups = list("aaabbccdd")
    drawn = draw_resamples(
        human(identity=groups), resample="stimulus", draws=50, rng=np.random.default_rng(0), groups="identity"
    )
    for group in "abcd":
        members = drawn.stimuli[:, [place for place, name in enumerate(groups) if name == group]]
        assert (members == members[:, :1]).all()
    assert drawn.units == (4, 4)


def test_draws_of_fewer_than_three_stimuli_are_drawn_again_and_counted():
    drawn = draw_resamples(human(stimuli=4), resample="both", draws=100, rng=np.random.default_rng(0))
    assert ((drawn.stimuli > 0).sum(axis=1) >= 3).all()
    assert drawn.redrawn > 10
    assert drawn.usable.all()


def test_a_stimulus_without_a_group_is_named():
    with pytest.raises(ValueError, match=r"\['s08'\] have no 'identity'"):
        draw_resamples(human(identity=[*"aabbccdd", ""]), resample="both", groups="identity")


def test_draws_come_from_a_generator():
    with pytest.raises(ValueError, match="`rng` is None"):
        draw_resamples(human(), resample="both")
