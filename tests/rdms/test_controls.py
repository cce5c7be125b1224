"""Control RDMs are small enough to check by eye, and refuse what would make them meaningless."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from rsa_face.provenance import save
from rsa_face.rdms.controls import control_rdms
from rsa_face.stimuli.catalogue import StimulusSet


@pytest.fixture
def stimuli(tmp_path: Path) -> StimulusSet:
    greys = {"black": 0, "grey": 51, "white": 255}
    for name, value in greys.items():
        Image.new("RGB", (10, 8), (value,) * 3).save(tmp_path / f"{name}.png")
    files = [str(tmp_path / f"{name}.png") for name in greys]
    table = pd.DataFrame(
        {"stimulus": list(greys), "file": files, "level": [-1.0, 0.5, 1.0], "identity": [3, 3, 7], "sex": list("ffm")}
    )
    return StimulusSet(table)


def test_pixels_of_flat_images_differ_by_their_grey_levels(stimuli: StimulusSet) -> None:
    rdms = control_rdms(stimuli, ["pixels"])
    np.testing.assert_allclose(rdms.sel(rdm="pixels"), [[0, 0.2, 1], [0.2, 0, 0.8], [1, 0.8, 0]], atol=1e-7)


def test_a_numeric_factor_gives_the_absolute_difference(stimuli: StimulusSet) -> None:
    rdms = control_rdms(stimuli, ["level"])
    np.testing.assert_allclose(rdms.sel(rdm="level"), [[0, 1.5, 2], [1.5, 0, 0.5], [2, 0.5, 0]])


def test_identity_is_a_name_even_when_it_is_a_number(stimuli: StimulusSet) -> None:
    rdms = control_rdms(stimuli, ["identity", "sex"])
    same = [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    np.testing.assert_array_equal(rdms.sel(rdm="identity"), same)
    np.testing.assert_array_equal(rdms.sel(rdm="sex"), same)


def test_controls_keep_the_order_named_and_carry_the_factors(stimuli: StimulusSet) -> None:
    rdms = control_rdms(stimuli, ["level", "pixels", "identity"])
    assert rdms["rdm"].values.tolist() == ["level", "pixels", "identity"]
    assert rdms["level"].dims == ("stimulus_i",)


def test_the_correlation_of_pixels_ignores_brightness_and_contrast(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pattern = rng.integers(0, 100, (64, 64))
    pictures = [pattern, pattern + 40, pattern * 2, 255 - pattern]
    files = []
    for number, picture in enumerate(pictures):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(picture.astype(np.uint8)).save(files[-1])
    table = pd.DataFrame({"stimulus": list("abcd"), "file": files})
    rdm = control_rdms(StimulusSet(table), ["pixels"], distance="correlation").sel(rdm="pixels")
    np.testing.assert_allclose(rdm[0], [0, 0, 0, 2], atol=1e-9)


def test_an_rdm_on_file_is_lined_up_by_id(stimuli: StimulusSet, tmp_path: Path) -> None:
    ids = ["white", "other", "black", "grey"]
    values = np.arange(16.0).reshape(4, 4)
    values = np.triu(values, 1) + np.triu(values, 1).T
    array = xr.DataArray(values, dims=("stimulus_i", "stimulus_j"), coords={"stimulus_i": ids, "stimulus_j": ids})
    save(array, tmp_path / "judged.nc")
    pd.DataFrame(values, index=ids, columns=ids).to_csv(tmp_path / "typed.csv")
    rdms = control_rdms(stimuli, [tmp_path / "judged.nc", tmp_path / "typed.csv"])
    assert rdms["rdm"].values.tolist() == ["judged", "typed"]
    assert rdms.sel(rdm="judged", stimulus_i="black", stimulus_j="white") == array.sel(
        stimulus_i="black", stimulus_j="white"
    )
    np.testing.assert_array_equal(rdms[0], rdms[1])


def test_an_rdm_of_texts_is_refused(stimuli: StimulusSet, tmp_path: Path) -> None:
    ids = ["white", "black", "grey"]
    texts = np.full((3, 3), "0.@")
    array = xr.DataArray(texts, dims=("stimulus_i", "stimulus_j"), coords={"stimulus_i": ids, "stimulus_j": ids})
    save(array, tmp_path / "texts.nc")
    with pytest.raises(ValueError, match=r"texts\.nc are not RDMs .* of type .*, not numbers"):
        control_rdms(stimuli, [tmp_path / "texts.nc"])


def test_a_name_that_is_no_control_is_refused_with_the_factors(stimuli: StimulusSet) -> None:
    with pytest.raises(ValueError, match=r"'gaze'.*\['level', 'identity', 'sex'\]"):
        control_rdms(stimuli, ["gaze"])


def test_no_control_and_the_same_control_twice_are_refused(stimuli: StimulusSet) -> None:
    with pytest.raises(ValueError, match="No control is named"):
        control_rdms(stimuli, [])
    with pytest.raises(ValueError, match=r"more than once: \['level'\]"):
        control_rdms(stimuli, ["level", "level"])
    with pytest.raises(ValueError, match="'cosine'"):
        control_rdms(stimuli, ["pixels"], distance="cosine")


def test_a_factor_with_a_gap_is_refused_by_stimulus(stimuli: StimulusSet) -> None:
    table = stimuli.table.assign(level=[1.0, np.nan, 0.0])
    with pytest.raises(ValueError, match=r"'level' has no value for \['grey'\]"):
        control_rdms(StimulusSet(table), ["level"])


def test_a_control_that_never_differs_is_refused(stimuli: StimulusSet) -> None:
    table = stimuli.table.assign(identity="one", level=[0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="'identity' has the same dissimilarity for every pair"):
        control_rdms(StimulusSet(table), ["level", "identity"])


def test_flat_images_cannot_be_correlated(stimuli: StimulusSet) -> None:
    with pytest.raises(ValueError, match=r"one grey .*\['black', 'grey', 'white'\]"):
        control_rdms(stimuli, ["pixels"], distance="correlation")


def test_a_file_that_lacks_a_stimulus_is_refused(stimuli: StimulusSet, tmp_path: Path) -> None:
    pd.DataFrame([[0, 1], [1, 0]], index=["black", "grey"], columns=["black", "grey"]).to_csv(tmp_path / "two.csv")
    with pytest.raises(ValueError, match=r"No such stimuli.*\['white'\]"):
        control_rdms(stimuli, [tmp_path / "two.csv"])


def test_a_broken_image_is_refused_by_its_file(stimuli: StimulusSet) -> None:
    stimuli.files[1].write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"grey\.png"):
        control_rdms(stimuli, ["pixels"])
    stimuli.files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"grey\.png"):
        control_rdms(stimuli, ["pixels"])


def test_a_file_with_a_missing_pair_is_refused(stimuli: StimulusSet, tmp_path: Path) -> None:
    values = [[0, 1, np.nan], [1, 0, 2], [np.nan, 2, 0]]
    pd.DataFrame(values, index=stimuli.ids, columns=stimuli.ids).to_csv(tmp_path / "gap.csv")
    with pytest.raises(ValueError, match="'gap' lacks 1 of 3 pairs"):
        control_rdms(stimuli, [tmp_path / "gap.csv"])
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        control_rdms(stimuli, [tmp_path / "absent.csv"])
