"""Every mistake of a newcomer is answered in a sentence that names it, with exit code 2 and no traceback."""

import pytest

from tests.trust.mistakes import MISTAKES, beginners_folder, make


@pytest.fixture(scope="module")
def folder():
    with beginners_folder() as folder:
        yield folder


def test_there_are_sixty_and_each_is_another():
    assert len({mistake.what for mistake in MISTAKES}) >= 60


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_is_named_and_answered(folder, mistake):
    answer = make(mistake, folder)
    assert answer.lacks == (), answer.said
