"""A comparison handed to rsatoolbox gives the numbers that rsatoolbox's own loop gives, and its plots accept it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from rsatoolbox.vis import plot_model_comparison

from rsa_face.inference.rsa import compare_layers
from rsa_face.rdms.toolbox import to_rsatoolbox_result
from tests.inference.conftest import make_vectors, rsatoolbox_result, to_array


@pytest.fixture(scope="module")
def vectors():
    return make_vectors(10, 3, 4, seed=3)


@pytest.mark.parametrize("resample", ["stimulus", "both", "dual"])
def test_result_has_the_evaluations_variances_and_tests_of_rsatoolbox(vectors, resample):
    x, y = vectors
    rng = np.random.default_rng(0)
    given = {"stimulus": rng.integers(0, 10, (6, 10)), "participant": rng.integers(0, 4, (6, 4))}
    given = {name: drawn for name, drawn in given.items() if resample in ("both", "dual", name)}
    expected = rsatoolbox_result(x, y, comparison="rho-a", resample=resample, given=given)
    ours = compare_layers(to_array(x, "rdm"), to_array(y, "participant"), resample=resample, resamples=given)
    outcome = to_rsatoolbox_result(ours)
    assert outcome.cv_method == expected.cv_method
    assert outcome.dof == expected.dof
    for name in ("evaluations", "noise_ceiling", "variances", "model_var", "diff_var", "noise_ceil_var"):
        np.testing.assert_allclose(getattr(outcome, name), getattr(expected, name), rtol=0, atol=1e-10, err_msg=name)
    for one, other in zip(outcome.test_all(), expected.test_all(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")  # in rsatoolbox's plots
@pytest.mark.parametrize("resample", [None, "participant", "dual"])
def test_rsatoolbox_plots_the_result(vectors, resample):
    x, y = vectors
    ours = compare_layers(to_array(x, "rdm"), to_array(y, "participant"), resample=resample, draws=60)
    figure, *_ = plot_model_comparison(to_rsatoolbox_result(ours))
    assert [model.name for model in to_rsatoolbox_result(ours).models] == ["rdm0", "rdm1", "rdm2"]
    plt.close(figure)


def test_another_dataset_is_refused():
    with pytest.raises(ValueError, match=r"holds \['height'\]"):
        to_rsatoolbox_result(xr.Dataset({"height": 1.0}))
