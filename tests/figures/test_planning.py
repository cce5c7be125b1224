"""Figures of recovery, stability and plans say what they show, and keep their numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rsa_face as rf
from rsa_face.figures.layout import captions_of, root_of, sources_of
from rsa_face.figures.planning import hardest_rival, plot_plan, plot_recovery, plot_stability
from rsa_face.report.narrate import plan_sentence, recovery_sentence, stability_sentence
from tests.inference.simulated import simulate

SHARES = {
    "alexnet/relu1": 0.1, "alexnet/relu5": 0.3, "fe_alexnet/relu1": 0.1, "fe_alexnet/relu5": 0.6, "fe_alexnet/fe": 0.9
}  # fmt: skip


@pytest.fixture(scope="module")
def rsa():
    return rf.RSA(*simulate(SHARES, stimuli=12, participants=6, rng=np.random.default_rng(1)), comparison="corr")


def test_recovery_is_drawn_by_fit_and_says_what_was_recovered(rsa):
    recovery = rf.recover_layers(rsa, network="fe_alexnet", simulations=20)
    axes = plot_recovery(recovery)
    assert list(axes) == ["raw", "raw, left-out stimuli", "reweighted"]
    share = float(recovery["share_recovered"].sel(fit="raw"))
    assert f"{share:.0%} recovered" in axes["raw"].get_title(loc="left").replace("\n", " ")
    assert [label.get_text() for label in axes["raw"].get_yticklabels()] == ["relu1", "relu5", "fe"]
    assert len(dict(sources_of(root_of(axes["raw"])))["recovery"]) == 27
    assert f"in {share:.0%} (chance 33%)" in recovery_sentence(recovery)
    assert "chance is 33%. One layer is exactly right" in captions_of(root_of(axes["raw"]))[0]
    plt.close("all")


def test_stability_is_drawn_by_what_is_left_out(rsa):
    stable = rf.assess_stability(rsa, halves=5)
    axes = plot_stability(stable)
    assert [label.get_text() for label in axes["picked"].get_yticklabels()] == [
        "participant (6)",
        "half of stimuli (10)",
    ]
    whole = float(stable["contrast"].sel(case="all"))
    assert axes["contrast"].lines[-2].get_xdata()[0] == pytest.approx(whole)
    sentence = stability_sentence(stable)
    assert str(stable["picked"].sel(case="all").item()) in sentence
    assert "random halves" in sentence
    assert "Dots: the contrast with the baseline" in captions_of(root_of(axes["picked"]))[0]
    alone = rf.assess_stability(rsa, baseline=None, halves=0)
    assert list(plot_stability(alone)) == ["picked"]
    assert "minus" not in stability_sentence(alone)
    plt.close("all")


def test_a_plan_is_drawn_for_the_rival_that_is_hardest_to_tell(rsa):
    planned = rf.plan(rsa, participants=[6, 12], stimuli=[12, 24], draws=60)
    assert hardest_rival(planned) == "relu5"
    axes = plot_plan(planned)
    assert "from relu5" in axes["power"].get_ylabel()
    np.testing.assert_allclose(axes["power"].lines[0].get_ydata(), planned["left_out"].sel(layer="relu5")[:, 0])
    np.testing.assert_allclose(axes["set_size"].lines[1].get_ydata(), planned["set_size"][:, 1])
    power = float(planned["left_out"].sel(participants=6, stimuli=12, layer="relu5"))
    assert f"the power is {power:.0%}" in plan_sentence(planned)
    assert "from relu5, and layers that the set" in captions_of(root_of(axes["power"]))[0]
    never = planned.assign(needed_participants=planned["needed_participants"] * np.nan)
    assert "no number of people up to 10,000" in plan_sentence(never)
    plt.close("all")


@pytest.mark.parametrize("plot", [plot_recovery, plot_stability, plot_plan])
def test_another_result_is_refused(rsa, plot):
    with pytest.raises(ValueError, match="Dataset"):
        plot(rsa.similarity.to_dataset())
