"""Two groups of participants: what differs is found, what does not is not, and people decide, not their order."""

import numpy as np
import pytest
import xarray as xr

from rsa_face import contrast_groups
from rsa_face.figures import plot_people
from rsa_face.figures.layout import captions_of
from rsa_face.report.narrate import people_sentences
from rsa_face.schema import table_along

IDS = [f"face{number:02d}" for number in range(14)]
LAYERS = ["relu1", "relu2", "fc8"]


def square(features):
    return ((features[:, :, None] - features[:, None]) ** 2).sum(axis=-1)


def made(seed, *, differ=False, sizes=(7, 8), noise=(1.0, 1.0)):
    """Return layers, and people of whom the first group sees what the first layer does where they differ."""
    rng = np.random.default_rng(seed)
    seen, other = rng.normal(size=(2, 14, 4))
    people = [(other if differ and not group else seen) + noise[group] * rng.normal(size=(14, 4))
              for group, size in enumerate(sizes) for _ in range(size)]  # fmt: skip
    layers = np.stack([other, rng.normal(size=(14, 4)), seen])
    coords = {"stimulus_i": IDS, "stimulus_j": IDS}
    rdms = xr.DataArray(
        square(layers),
        {"rdm": [f"alexnet/{name}" for name in LAYERS], "network": ("rdm", ["alexnet"] * 3), "layer": ("rdm", LAYERS),
         "depth": ("rdm", [0.2, 0.5, 1.0]), "order": ("rdm", [0, 1, 2]), **coords},
        ("rdm", "stimulus_i", "stimulus_j"),
    )  # fmt: skip
    names = [f"p{number:02d}" for number in range(sum(sizes))]
    human = xr.DataArray(
        square(np.stack(people)),
        {"participant": names, "diagnosis": ("participant", np.repeat(["patients", "controls"], sizes)), **coords},
        ("participant", "stimulus_i", "stimulus_j"),
        attrs={"simulated": True},
    )  # fmt: skip
    return rdms, human


def compared(rdms, human, **settings):
    settings = {"people": ("patients", "controls"), "shuffles": 199, "draws": 100, "comparison": "corr", **settings}
    return contrast_groups(rdms, human, "diagnosis", **settings)


@pytest.fixture(scope="module")
def result():
    return compared(*made(0, differ=True))


def test_the_means_and_their_difference_are_those_of_the_groups(result):
    from rsa_face.inference.comparisons import compare_rdms

    each = compare_rdms(*made(0, differ=True), comparison="corr").values
    np.testing.assert_allclose(result["similarity"].values, [each[:, :7].mean(axis=1), each[:, 7:].mean(axis=1)])
    np.testing.assert_allclose(result["difference"].values, each[:, :7].mean(axis=1) - each[:, 7:].mean(axis=1))
    assert result["participants"].values.tolist() == [7, 8]


def test_a_difference_that_is_there_is_found_at_its_layers_and_in_place(result):
    assert (result["p_difference_corrected"].values[[0, 2]] <= 0.01).all()
    assert result["p_difference"].values[1] > 0.05
    low, high = result["difference_interval"].transpose("bound", "rdm").values
    assert low[0] > 0
    assert high[2] < 0
    assert result["peak_depth"].values.ravel().tolist() == [0.2, 1.0]
    assert result["peak_depth_difference_interval"].values.ravel().tolist() == pytest.approx([-0.8, -0.8])


def test_the_other_way_round_changes_signs_alone(result):
    rdms, human = made(0, differ=True)
    turned = compared(rdms, human, people=("controls", "patients"))
    np.testing.assert_allclose(turned["difference"].values, -result["difference"].values)
    assert turned["p_difference"].values == pytest.approx(result["p_difference"].values, abs=0.05)


def test_the_order_of_people_and_layers_changes_nothing(result):
    rdms, human = made(0, differ=True)
    mixed = compared(rdms.isel(rdm=[2, 0, 1]), human.isel(participant=np.random.default_rng(1).permutation(15)))
    for name in ("difference", "p_difference", "difference_interval", "share_difference_interval"):
        np.testing.assert_allclose(mixed.sel(rdm=result["rdm"])[name].values, result[name].values, atol=1e-9)


def test_groups_that_do_not_differ_are_said_to_in_one_of_twenty():
    counts = np.zeros(2)
    for seed in range(60):  # groups of unlike size, as patients and controls are
        rdms, human = made([seed, 1], sizes=(6, 10), noise=(1.6, 1.6))
        table = compared(rdms, human, shuffles=99, draws=2)
        counts += float(table["p_difference"][2]) <= 0.05, float(table["p_difference_corrected"].min()) <= 0.05
    assert (counts <= 8).all()  # 5 % of 60 is 3, with a standard error of 1.7


def test_a_noisier_group_has_a_lower_ceiling_and_that_is_said():
    noisy = compared(*made(3, noise=(1.4, 0.5)))
    lower = noisy["noise_ceiling"].sel(bound="lower").values
    assert lower[0] < lower[1] - 0.2
    np.testing.assert_allclose(noisy["share_of_ceiling"].values, noisy["similarity"].values / lower[:, None])
    sentences = people_sentences(noisy, "alexnet")
    assert "The lower noise ceiling is" in sentences[1]
    assert "7 patients and 8 controls" in sentences[0]
    assert "half-way to its peak at depth" in sentences[2]


def test_few_people_are_divided_in_every_way():
    table = compared(*made(0, sizes=(3, 3)), draws=10)
    assert table.attrs["exhaustive"]
    assert table.attrs["shuffles"] == 19
    assert table["p_difference"].values.min() >= 1 / 20


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (lambda human: human.drop_vars("diagnosis"), "Unknown factor of participants: 'diagnosis'"),
        (lambda human: human.isel(participant=slice(5, 15)), r"Too few participants .*'patients': 2"),
        (
            lambda human: human.assign_coords(diagnosis=("participant", list("abcabcabcabcabc"))),
            "Unknown group of 'diagnosis': 'patients'",
        ),
    ],
)
def test_what_makes_no_two_groups_is_refused(change, clause):
    rdms, human = made(0)
    with pytest.raises(ValueError, match=clause):
        compared(rdms, change(human))
    with pytest.raises(ValueError, match=r"has the groups \['a', 'b', 'c'\], and two are compared"):
        contrast_groups(rdms, human.assign_coords(site=("participant", list("abc") * 5)), "site")


def test_the_figure_holds_the_numbers_of_its_table(result):
    sheet = plot_people(result, network="alexnet")
    upper, lower = sheet.child_axes
    assert captions_of(sheet.figure)[0].startswith(
        "Similarity of each layer of AlexNet to two groups of participants"
    )
    table = table_along(result, "rdm", across="people")
    np.testing.assert_allclose(lower.lines[1].get_ydata(), table["difference"])
    curves = [line for line in upper.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(curves[0].get_ydata(), table["similarity_patients"])
    np.testing.assert_allclose(curves[1].get_ydata(), table["similarity_controls"])
    with pytest.raises(ValueError, match="'vgg16'"):
        plot_people(result, network="vgg16")
