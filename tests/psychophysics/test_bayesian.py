"""Bayesian fits agree with psignifit's own call, and with maximum likelihood where choices are many."""

import numpy as np
import pytest

from rsa_face.psychophysics.psychometric import fit_bayesian, fit_psychometric

psignifit = pytest.importorskip("psignifit", reason="psignifit (GPL-3) is an optional extra")


@pytest.fixture(scope="module")
def many():
    from scipy.special import ndtr

    levels, rng = np.linspace(0, 1, 9), np.random.default_rng(0)
    import pandas as pd

    happy = rng.binomial(80, 0.02 + 0.95 * ndtr((levels - 0.52) / 0.12))
    return pd.DataFrame({"participant": "a", "level": levels, "p_happy": happy / 80, "trials": 80})


def test_maximum_likelihood_agrees_with_psignifit_where_choices_are_many(many):
    theirs, ours = fit_bayesian(many), fit_psychometric(many, {"guess": (0, 0.5), "lapse": (0, 0.5)})
    assert ours["pse"].item() == pytest.approx(theirs["pse"].item(), abs=0.005)
    assert ours["midpoint"].item() == pytest.approx(theirs["midpoint"].item(), abs=0.005)
    assert ours["width"].item() == pytest.approx(theirs["width"].item(), rel=0.05)
    # the prior pulls guess and lapse, and the ends are percentiles of a posterior, not of a likelihood
    np.testing.assert_allclose(ours["midpoint_interval"], theirs["midpoint_interval"], atol=0.01)
    # psignifit's bounds on a level other than its threshold are conservative
    assert theirs["pse_interval"][0, 0, 0] <= ours["pse_interval"][0, 0, 0] + 0.005
    assert theirs["pse_interval"][0, 0, 1] >= ours["pse_interval"][0, 0, 1] - 0.005
    assert ours["slope"].item() == pytest.approx(theirs["slope"].item(), rel=0.15)


def test_what_holds_no_curve_is_empty_and_named(many):
    import pandas as pd

    table = pd.concat([many, many.assign(participant="b", p_happy=1.0)])
    fit = fit_bayesian(table)
    assert fit["status"].values.ravel().tolist() == ["fitted", "constant"]
    assert np.isnan(fit["pse"].sel(participant="b").item())


def test_chances_are_refused(many):
    with pytest.raises(ValueError, match="counted trials"):
        fit_bayesian(many.drop(columns="trials"))
