"""A study that is killed, starved or damaged ends as if it had not been, or says which file is to blame."""

import pytest

from tests.trust.faults import KINDS, Harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    folder.chmod(0o777)
    return Harness(folder, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbed_study_ends_as_an_undisturbed_one_or_names_the_file(harness, kind):
    for _ in range(3):
        harness.moment(kind)
    assert harness.table.wrong == []
