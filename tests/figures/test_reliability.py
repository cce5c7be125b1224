"""The figure of reliability keeps what it says in its own panel, in every style."""

import numpy as np
import pytest

from rsa_face.figures.agreement import plot_reliability
from rsa_face.figures.style import STYLES, figure_style
from rsa_face.human.reliability import assess_reliability


@pytest.mark.parametrize("name", STYLES)
def test_no_panels_heading_reaches_into_the_next(human, name):
    people = human.fillna(float(human.mean()))
    reliability = assess_reliability(people, comparison="corr", halves=20)
    with figure_style(name):
        panels = plot_reliability(reliability)
        figure = panels["halves"].figure
        figure.draw_without_rendering()
        heads = {key: ax._left_title.get_window_extent() for key, ax in panels.items() if ax.get_title(loc="left")}
        frames = {key: ax.get_window_extent() for key, ax in panels.items()}
    assert set(heads) == {"halves", "agreement", "coverage"}
    for key, head in heads.items():
        assert head.x1 <= frames[key].x1 + 1, key
        assert not any(head.overlaps(frame) for frame in frames.values())
        assert np.isfinite(head.height)
