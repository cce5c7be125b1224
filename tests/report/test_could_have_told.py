"""Whether a study could have told layers apart: three sentences, and a warning beside the answer."""

from types import SimpleNamespace

import numpy as np
import pytest

import rsa_face as rf
from rsa_face.report.narrate import _not_told_apart, could_have_told, recovery_sentence
from tests.inference.simulated import simulate
from tests.made_up import made_up_localization

LAYERS = ["relu1", "relu5", "fe"]


@pytest.fixture(scope="module")
def parts():
    shares = {f"fe_alexnet/{layer}": share for layer, share in zip(LAYERS, (0.1, 0.85, 0.9), strict=True)}
    rdms, human = simulate(shares, stimuli=10, participants=5, rng=np.random.default_rng(2))
    rsa = rf.RSA(rdms, human, comparison="corr")
    peak = {"peak": dict.fromkeys(LAYERS, 0.2) | {"fe": 0.6}}
    return {
        "localization": made_up_localization(LAYERS, peak, {"peak": "fe"}),
        "recovery": rf.recover_layers(rsa, network="fe_alexnet", simulations=20, reweight=False),
        "stability": rf.assess_stability(rsa, baseline=None, halves=4),
        "plan": rf.plan(rsa, participants=[5], stimuli=[10], draws=60),
    }


def told(parts):
    return list(_not_told_apart(SimpleNamespace(extras=parts)))


def test_three_sentences_say_it_and_a_missing_part_is_left_out(parts):
    assert len(could_have_told(SimpleNamespace(extras=parts))) == 3
    assert could_have_told(SimpleNamespace(extras={"recovery": parts["recovery"]})) == [
        recovery_sentence(parts["recovery"])
    ]
    assert could_have_told(SimpleNamespace(extras={})) == []


def test_a_neighbour_that_simulated_studies_confuse_is_warned_of(parts):
    recovery = parts["recovery"].copy(deep=True)
    recovery["told_apart"][:] = True
    assert told({**parts, "recovery": recovery, "plan": None}) == []
    recovery["told_apart"].loc[{"true": "fe_alexnet/fe", "picked": "fe_alexnet/relu5"}] = False
    (warning,) = told({**parts, "recovery": recovery, "plan": None})
    assert warning.startswith("Warning")
    assert "fe from" in warning
    assert "relu5 (simulated studies confuse them)" in warning
    recovery["told_apart"].loc[{"true": "fe_alexnet/relu5", "picked": "fe_alexnet/fe"}] = False
    assert "; not told apart: relu5 and fe." in recovery_sentence(recovery)


def test_a_neighbour_that_takes_more_power_than_there_is_is_warned_of(parts):
    planned = parts["plan"].copy(deep=True)
    planned.attrs["peak"] = "fe"
    planned["left_out"].loc[{"layer": "relu5"}] = 0.31
    (warning,) = told({"localization": parts["localization"], "plan": planned})
    assert "relu5 (a study like this does so with a power of 31%)" in warning
    planned["left_out"].loc[{"layer": "relu5"}] = 0.9
    assert told({"localization": parts["localization"], "plan": planned}) == []


def test_where_no_layer_is_picked_there_is_nothing_to_warn_of(parts):
    where = parts["localization"].assign(picked=("target", ["none"]))
    assert told({**parts, "localization": where}) == []
