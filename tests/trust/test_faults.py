"""A study that is killed, starved or damaged ends as if it had not been, or says which file is to blame."""

import pytest

from tests.trust.faults import KINDS

MOMENTS = {"bytes flipped": 2}  # 200 of all kinds: python -m tests.trust.faults


@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbed_study_ends_as_an_undisturbed_one_or_names_the_file(harness, kind):
    before, moments = sum(harness.table.counts.values()), MOMENTS.get(kind, 1)
    for _ in range(moments):
        harness.moment(kind)
    assert harness.table.wrong == []
    assert sum(harness.table.counts.values()) == before + moments
