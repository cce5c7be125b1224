"""What the tests of trust share: one small study, its undisturbed results, and processes to disturb it in."""

from collections.abc import Iterator

import pytest

from tests.trust.faults import Harness


@pytest.fixture(scope="session")
def harness(tmp_path_factory) -> Iterator[Harness]:
    return Harness(tmp_path_factory.mktemp("harness"), seed=0)
