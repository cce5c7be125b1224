"""Comparisons equal rsatoolbox's, leave out what is missing, and refuse by name what cannot be compared."""

import warnings

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare

from rsa_face.inference.comparisons import compare_rdms, compare_vectors
from rsa_face.schema import COMPARISONS
from tests.inference.conftest import make_vectors, to_array

RANKS = ("spearman", "rho-a", "tau-a", "kendall")


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("stimuli", [4, 5, 25])
def test_comparison_equals_rsatoolbox(comparison, ties, stimuli):
    x, y = make_vectors(stimuli, 4, 3, seed=stimuli, ties=ties)
    expected = compare(RDMs(x), RDMs(y), comparison)
    np.testing.assert_allclose(compare_vectors(comparison, x, y), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_comparison_of_a_draw_equals_rsatoolbox_of_copied_stimuli(comparison):
    x, y = make_vectors(8, 3, 2, seed=1, ties=True)
    drawn = np.array([3, 0, 1, 2, 0, 0, 1, 1])
    copies = np.repeat(np.arange(8), drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = compare(*(RDMs(v).subsample_pattern("index", copies) for v in (x, y)), comparison)
    np.testing.assert_allclose(compare_vectors(comparison, x, y, drawn), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_missing_pairs_are_left_out_for_that_participant_alone(comparison):
    x, y = make_vectors(9, 3, 3, seed=2)
    y[1, [0, 4, 20]] = y[2, 7] = np.nan
    outcome = compare_vectors(comparison, x, y)
    for person in range(3):
        judged = ~np.isnan(y[person])
        gappy = np.where(judged, x, np.nan)
        expected = compare(RDMs(gappy), RDMs(y[person : person + 1]), comparison)[:, 0]
        np.testing.assert_allclose(outcome[:, person], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffling_stimuli_with_their_ids_changes_nothing(comparison, seed):
    x, y = make_vectors(7, 2, 3, seed=seed)
    rdms, human = to_array(x, "rdm"), to_array(y, "participant")
    order = np.random.default_rng(seed).permutation(7)
    shuffled = rdms.isel(stimulus_i=order, stimulus_j=order)
    one, other = (compare_rdms(each, human, comparison=comparison) for each in (rdms, shuffled))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("comparison", RANKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_monotone_transform_leaves_rank_comparisons_as_they_are(comparison, seed):
    x, y = make_vectors(7, 2, 3, seed=seed)
    np.testing.assert_allclose(
        compare_vectors(comparison, np.exp(3 * x), y), compare_vectors(comparison, x, y), atol=1e-12
    )


@pytest.mark.parametrize("comparison", ["corr", "spearman", "rho-a", "tau-a"])
def test_an_rdm_with_one_value_has_similarity_0_and_leaves_the_others_alone(comparison):
    # rsatoolbox 0.3.2 puts the other similarities in wrong places here: np.putmask repeats, it does not fill in order
    x, y = make_vectors(6, 3, 3, seed=0)
    plain = compare_vectors(comparison, x, y)
    y[1] = 0.1
    outcome = compare_vectors(comparison, x, y)
    np.testing.assert_array_equal(outcome[:, 1], 0)
    np.testing.assert_allclose(outcome[:, [0, 2]], plain[:, [0, 2]], rtol=0, atol=1e-12)


def test_spearman_of_three_pairs_by_hand():
    x, y = np.array([[1.0, 2, 3]]), np.array([[1.0, 3, 2]])
    assert compare_vectors("rho-a", x, y)[0, 0] == pytest.approx(0.5)  # 1 - 6 (0 + 1 + 1) / 24
    assert compare_vectors("tau-a", x, y)[0, 0] == pytest.approx(1 / 3)  # two pairs agree, one does not


def test_compare_rdms_keeps_the_labels(small):
    outcome = compare_rdms(*small, comparison="corr")
    assert outcome.dims == ("rdm", "participant")
    assert outcome["participant"].values.tolist() == [f"participant{index}" for index in range(4)]


def test_too_few_shared_pairs_are_no_similarity():
    x, y = make_vectors(4, 1, 1, seed=0)
    y[0, :4] = np.nan
    assert np.isnan(compare_vectors("rho-a", x, y)[0, 0])


def test_all_that_cannot_be_compared_is_named_at_once(small):
    rdms, human = small
    off = ~np.eye(9, dtype=bool)
    rdms, human = rdms.copy(), human.copy()
    rdms.values[1] = off * 2.0
    rdms.values[2, 0, 1] = rdms.values[2, 1, 0] = np.nan
    human.values[0] = np.where(off, np.nan, 0)
    human.values[3] = off * 0.5
    with pytest.raises(ValueError, match="'rdm1' has the same dissimilarity, 2") as caught:
        compare_rdms(rdms, human)
    for words in ("'rdm2' lacks 1 of 36", "'participant0' judged none of 36", "'participant3' judged every pair the"):
        assert words in str(caught.value)


def test_two_stimuli_are_refused(small):
    two = [each.isel(stimulus_i=[0, 1], stimulus_j=[0, 1]) for each in small]
    with pytest.raises(ValueError, match=r"Too few stimuli .*: 2 of the 3 needed, .*'s00', 's01'"):
        compare_rdms(*two)


def test_other_stimuli_are_refused(small):
    rdms, human = small
    ids = ["z", *rdms["stimulus_i"].values[1:]]
    with pytest.raises(ValueError, match=r"lack \['s00'\] and have \['z'\]"):
        compare_rdms(rdms.assign_coords(stimulus_i=ids, stimulus_j=ids), human)


def test_an_unknown_comparison_is_refused(small):
    with pytest.raises(ValueError, match="'euclid'"):
        compare_rdms(*small, comparison="euclid")
