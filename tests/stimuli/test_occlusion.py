"""Masks cover what the table says, or what the published bars cover; everything else stays as it was."""

import os

import numpy as np
import pytest
from PIL import Image

from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.stimuli.occlusion import DEFAULT_REGIONS, contact_sheet, occlude


@pytest.fixture
def faces(tmp_path):
    def write(size=(40, 40), header="stimulus,file,level", rows=("a,a.png,-1", "b,b.png,1"), mode="L"):
        rng = np.random.default_rng(0)
        for name in "ab":
            pixels = rng.integers(0, 100, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(tmp_path / f"{name}.png")
        (tmp_path / "faces.csv").write_text("\n".join((header, *rows)) + "\n")
        return read_stimuli(tmp_path / "faces.csv")

    return write


def pixels(file):
    with Image.open(file) as image:
        return np.asarray(image).astype(int)


def test_a_mask_is_flat_mid_gray_where_the_table_says_and_nowhere_else(faces, tmp_path):
    stimuli = faces(header="stimulus,file,level,eyes", rows=("a,a.png,-1,3 5 30 12", "b,b.png,1,0 0 40 2"))
    masked = occlude(stimuli, ["eyes"], tmp_path / "out")
    whole, covered = pixels(stimuli.files[0]), pixels(masked.select(stimulus="a_eyes").files[0])
    expected = whole.copy()
    expected[5:12, 3:30] = 128
    np.testing.assert_array_equal(covered, expected)
    assert (pixels(masked.select(stimulus="b_eyes").files[0]) == 128).sum() == 80


def test_occlusion_is_a_factor_and_the_other_factors_stay(faces, tmp_path):
    masked = occlude(faces(), ["mouth", "eyes"], tmp_path / "out")
    assert masked.ids == ["a", "b", "a_mouth", "b_mouth", "a_eyes", "b_eyes"]
    assert masked.table["occlusion"].tolist() == ["none", "none", "mouth", "mouth", "eyes", "eyes"]
    assert masked.table["level"].tolist() == [-1, 1] * 3
    assert read_stimuli(tmp_path / "out" / "stimuli.csv").ids == masked.ids


def test_the_default_bars_are_the_published_ones_at_224_pixels(faces, tmp_path):
    masked = occlude(faces(size=(224, 224)), list(DEFAULT_REGIONS), tmp_path / "out")
    for region, (first, last) in {"eyes": (70, 99), "nose": (120, 149), "mouth": (169, 199)}.items():
        rows, columns = np.nonzero(pixels(masked.select(stimulus=f"a_{region}").files[0]) == 128)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (first, last, 52, 171)
        assert len(rows) == (last - first + 1) * 120


def test_the_default_bars_scale_with_the_image(faces, tmp_path):
    masked = occlude(faces(size=(112, 112)), ["eyes"], tmp_path / "out")
    rows, columns = np.nonzero(pixels(masked.select(stimulus="a_eyes").files[0]) == 128)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (35, 49, 26, 85)


def test_a_blur_takes_the_detail_and_leaves_the_luminance(faces, tmp_path):
    stimuli = faces(header="stimulus,file,eyes", rows=("a,a.png,10 10 30 30", "b,b.png,10 10 30 30"))
    masked = occlude(stimuli, ["eyes"], tmp_path / "out", fill="blur").select(stimulus="a_eyes")
    before, after = pixels(stimuli.files[0]), pixels(masked.files[0])
    inside = np.s_[10:30, 10:30]
    assert after[inside].std() < before[inside].std() / 4
    assert abs(after[inside].mean() - before[inside].mean()) < 4
    outside = np.ones_like(before, dtype=bool)
    outside[inside] = False
    np.testing.assert_array_equal(after[outside], before[outside])


def test_colour_stays_colour(faces, tmp_path):
    masked = occlude(faces(mode="RGB"), ["nose"], tmp_path / "out").select(stimulus="a_nose")
    assert pixels(masked.files[0]).shape == (40, 40, 3)


def test_the_stimuli_given_are_not_changed(faces, tmp_path):
    stimuli = faces()
    before = stimuli.content_hash()
    occlude(stimuli, ["eyes"], tmp_path / "out")
    assert stimuli.content_hash() == before
    assert "occlusion" not in stimuli.factors


def test_a_region_outside_its_image_is_named_with_the_image(faces, tmp_path):
    stimuli = faces(header="stimulus,file,eyes", rows=("a,a.png,3 5 41 12", "b,b.png,9 5 9 12"))
    with pytest.raises(
        ValueError, match=r"'a': eyes is '3 5 41 12', in an image of 40 x 40; 'b': eyes is '9 5 9 12'"
    ):
        occlude(stimuli, ["eyes"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_words_in_place_of_a_region_are_named(faces, tmp_path):
    stimuli = faces(header="stimulus,file,eyes", rows=("a,a.png,upper half", "b,b.png,0 0 5 5"))
    with pytest.raises(ValueError, match="'a': eyes is 'upper half', not four whole numbers"):
        occlude(stimuli, ["eyes"], tmp_path / "out")


def test_images_without_regions_that_are_not_square_are_refused(faces, tmp_path):
    with pytest.raises(ValueError, match="'a': the table gives no nose, and the image is 40 x 50, not square"):
        occlude(faces(size=(40, 50)), ["nose"], tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_named(faces, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match=r"Cannot write to the output folder .*taken"):
        occlude(faces(), ["nose"], tmp_path / "taken")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(faces, tmp_path):
    stimuli = faces()
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(ValueError, match=r"Cannot write to the output folder .*locked"):
        occlude(stimuli, ["nose"], tmp_path / "locked")


@pytest.mark.parametrize(
    ("regions", "fill", "named"),
    [(["ears"], "gray", "'ears'"), ([], "gray", "No region"), (["eyes"], "pink", "'pink'")],
)
def test_unknown_regions_and_fills_are_named(faces, tmp_path, regions, fill, named):
    with pytest.raises(ValueError, match=named):
        occlude(faces(), regions, tmp_path / "out", fill=fill)


def test_faces_that_are_masked_already_are_refused(faces, tmp_path):
    masked = occlude(faces(), ["eyes"], tmp_path / "out")
    with pytest.raises(ValueError, match=r"occlusion \['eyes'\]"):
        occlude(masked, ["nose"], tmp_path / "again")


def test_ids_that_masked_faces_would_take_are_named(faces, tmp_path):
    stimuli = faces(rows=("a,a.png,-1", "a_eyes,b.png,1"))
    with pytest.raises(ValueError, match=r"\['a_eyes'\]"):
        occlude(stimuli, ["eyes"], tmp_path / "out")


def test_a_broken_image_is_named(faces, tmp_path):
    stimuli = faces()
    stimuli.files[1].write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"b\.png"):
        occlude(stimuli, ["eyes"], tmp_path / "out")


def test_a_contact_sheet_shows_the_images_in_order(faces, tmp_path):
    sheet = pixels(contact_sheet(faces(), tmp_path / "sheet.png", columns=1))
    assert sheet.shape == (80, 40, 3)
    np.testing.assert_array_equal(sheet[40:, :, 0], pixels(tmp_path / "b.png"))
    with pytest.raises(ValueError, match="columns is 0"):
        contact_sheet(faces(), tmp_path / "sheet.png", columns=0)
