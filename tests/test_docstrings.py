"""Every public function says what it takes and what it returns; internals need one sentence."""

from collections.abc import Callable

import pytest
from numpydoc.validate import validate

import rsa_face

CHECKS = [
    "GL01",
    "GL02",
    "GL03",
    "GL08",
    "SS02",
    "SS03",
    "SS05",
    "PR01",
    "PR02",
    "PR03",
    "PR04",
    "PR06",
    "RT01",
    "RT03",
    "YD01",
]
PUBLIC = {name: getattr(rsa_face, name) for name in rsa_face.__all__}


@pytest.mark.parametrize("public", [one for one in PUBLIC.values() if callable(one)])
def test_the_public_api_is_documented_in_full(public: Callable[..., object]) -> None:
    faults = validate(f"{public.__module__}.{public.__qualname__}")["errors"]
    assert [fault for fault in faults if fault[0] in CHECKS] == []
