"""Rendered sets: the same bytes again, factors and regions in the table, and every wrong request by its value."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import rsa_face as rf
from rsa_face.stimuli import head
from rsa_face.stimuli.faces import Look, draw_identity, regions, render_faces
from rsa_face.stimuli.head import CONTRAST, View, expression, eye_centres, oval, without_ears
from rsa_face.stimuli.occlusion import occlude
from rsa_face.study.config import STUDIES


def test_a_set_has_images_factors_and_a_record(rendered):
    table = rendered.table
    assert rendered.ids[:3] == ["face01_sad100", "face01_neutral", "face01_happy100"]
    assert table["level"].tolist() == [-1, 0, 1] * 2
    assert table["valence"].tolist() == ["sad", "neutral", "happy"] * 2
    assert table["sex"].tolist() == ["female"] * 3 + ["male"] * 3
    assert {"identity", "eyes", "nose", "mouth", "yaw", "azimuth"} <= set(rendered.factors)
    record = json.loads((rendered.files[0].parents[1] / "stimuli.json").read_text())
    assert (record["seed"], record["size"], record["levels"]) == (3, 64, [-1.0, 0.0, 1.0])
    assert "CC0" in record["mesh"]


def test_the_same_request_gives_the_same_bytes_whichever_others_are_drawn(rendered, tmp_path):
    again = render_faces(tmp_path, identities=[2], levels=[0.0, 1.0], size=64, seed=3)
    for stimulus, file in zip(again.ids, again.files, strict=True):
        assert file.read_bytes() == rendered.select(stimulus=stimulus).files[0].read_bytes()
    assert again.table.drop(columns="file").equals(
        rendered.select(stimulus=again.ids).table.drop(columns="file").reset_index(drop=True)
    )


def test_mean_luminance_and_contrast_are_matched_across_the_set(rendered):
    pixels = np.stack([np.asarray(Image.open(file), dtype=float) for file in rendered.files]) / 255
    np.testing.assert_allclose(pixels.mean(axis=(1, 2)), 0.5, atol=0.004)
    contrast = np.sqrt(((pixels - 0.5) ** 2).sum(axis=(1, 2)) / oval(64).sum())
    np.testing.assert_allclose(contrast, contrast[0], rtol=0.02)


def test_regions_hold_the_features_in_order_and_say_nothing_of_the_level(rendered):
    for _, same in rendered.table.groupby("identity"):
        assert same[["eyes", "nose", "mouth"]].drop_duplicates().shape[0] == 1
    for row in rendered.table.itertuples():
        eyes, nose, mouth = ([int(word) for word in box.split()] for box in (row.eyes, row.nose, row.mouth))
        assert eyes[1] < nose[1] < mouth[1]
        assert eyes[3] < mouth[3] <= 64
        assert min(*eyes, *nose, *mouth) >= 0
        assert eyes[2] - eyes[0] > mouth[2] - mouth[0] > 10


def test_regions_hold_every_lip_point_at_every_level(mesh):
    from rsa_face.stimuli.faces import draw_identity
    from rsa_face.stimuli.head import projected

    identity, view = draw_identity(2, seed=0), View(yaw=10)
    left, top, right, bottom = (int(word) for word in regions(identity, view=view, size=128)["mouth"].split())
    lips = head.read_head().lips > 0.5
    for level in (-1, -0.4, 0, 0.7, 1):
        across, down = projected(identity.shape, (identity.shape + expression(level))[lips], view=view, size=128).T
        assert left <= across.min() < across.max() <= right
        assert top <= down.min() < down.max() <= bottom


def test_happy_and_sad_differ_most_at_the_mouth(rendered):
    pictures = {name: np.asarray(Image.open(rendered.select(stimulus=name).files[0]), dtype=float)
             for name in ("face01_happy100", "face01_sad100")}  # fmt: skip
    differ = np.abs(pictures["face01_happy100"] - pictures["face01_sad100"])
    left, top, right, bottom = (int(word) for word in rendered.table["mouth"][0].split())
    assert differ[top:bottom, left:right].mean() > 1.5 * differ[oval(64) > 0.5].mean()


def test_masks_of_a_rendered_set_cover_its_own_regions(rendered, tmp_path):
    masked = occlude(rendered, ["mouth"], tmp_path / "masked").select(occlusion="mouth")
    left, top, right, bottom = (int(word) for word in rendered.table["mouth"][0].split())
    assert (np.asarray(Image.open(masked.files[0]))[top:bottom, left:right] == 128).all()


def test_view_and_light_vary_within_what_is_asked_and_by_the_seed(mesh, tmp_path):
    look = Look(vary_view=10, vary_light=20)
    tables = [
        render_faces(
            tmp_path / str(seed) / "training.csv", identities=[9], levels=[0.5], size=32, seed=seed, look=look
        )
        for seed in (0, 1)
    ]
    assert (tmp_path / "0" / "training.csv").is_file()
    for stimuli in tables:
        row = stimuli.table.iloc[0]
        assert 0 < abs(row["yaw"]) <= 10
        assert abs(row["pitch"]) <= 5
        assert 0 < abs(row["azimuth"] + 19) <= 20
    assert tables[0].table["yaw"][0] != tables[1].table["yaw"][0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"identities": 0}, r"identities are \[\], not different numbers"),
        ({"identities": [2, 2]}, r"are \[2, 2\]"),
        ({"identities": [0]}, r"are \[0\]"),
        ({"levels": [-1, 1.5]}, r"levels are \[-1.0, 1.5\], not different numbers"),
        ({"levels": [float("nan")]}, r"are \[nan"),
        ({"levels": -3}, r"levels are \[\]"),
        ({"size": 16}, "size is 16 pixels, not 32 to 1024"),
        ({"seed": -1}, "seed is -1"),
        ({"look": Look(view=View(yaw=50), vary_view=20)}, r"yaw is 50 \+- 20, more than 60 degrees"),
        ({"look": Look(vary_light=-5)}, r"azimuth is -19 \+- -5, more than 90 degrees"),
        ({"size": 16, "seed": -1}, "size is 16 .*; seed is -1"),
    ],
)
def test_what_cannot_be_rendered_is_named_before_anything_is_written(tmp_path, options, named):
    with pytest.raises(ValueError, match=named):
        render_faces(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(mesh, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match=r"Cannot write to the output folder .*taken"):
        render_faces(tmp_path / "taken", identities=1, levels=1)


def test_without_the_extra_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(head, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[faces\]'"):
        render_faces(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_can_be_read_again(rendered):
    again = pd.read_csv(rendered.files[0].parents[1] / "stimuli.csv")
    assert again["stimulus"].tolist() == rendered.ids


def test_a_number_of_a_seed_is_always_the_same_face(mesh):
    first = draw_identity(7, seed=0)
    draw_identity(3, seed=0)
    np.testing.assert_array_equal(draw_identity(7, seed=0).shape, first.shape)
    assert first.name == "face07"


def test_numbers_and_seeds_make_different_faces(mesh):
    shapes = [draw_identity(number, seed=seed).shape for number, seed in ((1, 0), (3, 0), (1, 1))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(shapes[one] - shapes[other]).max() > 0.02


def test_odd_numbers_are_female_and_even_ones_male(mesh):
    assert [draw_identity(number, seed=0).sex for number in (1, 2, 3, 4)] == ["female", "male"] * 2


@pytest.mark.parametrize("number", [1, 12, 30])
def test_every_face_fills_the_oval_and_shows_no_ears(mesh, number):
    shape = draw_identity(number, seed=0).shape
    np.testing.assert_allclose(without_ears(shape), shape, atol=1e-9)
    eyes = eye_centres(shape)
    assert np.linalg.norm(eyes[0] - eyes[1]) == pytest.approx(0.6, abs=0.15)


DEMO = STUDIES / "demo"


@pytest.fixture(scope="module")
def shown():
    return rf.read_stimuli(DEMO / "stimuli.csv")


@pytest.fixture(scope="module")
def learned():
    return rf.read_stimuli(DEMO / "training.csv")


def pixels(stimuli):
    return np.stack([np.asarray(Image.open(file), dtype=float) for file in stimuli.files]) / 255


def test_six_identities_at_nine_levels_are_there_to_test_with(shown):
    assert len(shown) == 54
    assert shown.table.groupby("identity")["level"].apply(list).tolist() == [np.linspace(-1, 1, 9).tolist()] * 6
    assert shown.table["yaw"].nunique() == shown.table["azimuth"].nunique() == 1


def test_twenty_four_other_identities_vary_in_view_and_light_to_train_with(shown, learned):
    assert learned.table["identity"].nunique() == 24
    assert not set(learned.table["identity"]) & set(shown.table["identity"])
    assert learned.table["valence"].value_counts().to_dict() == {"sad": 72, "happy": 72}
    assert learned.table["yaw"].abs().max() <= 15
    assert learned.table["yaw"].std() > 5
    assert learned.table["azimuth"].std() > 15


@pytest.mark.parametrize("name", ["shown", "learned"])
def test_luminance_and_contrast_are_matched_in_both_sets(name, request):
    images = pixels(request.getfixturevalue(name))
    assert images.shape[1:] == (128, 128)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), 0.5, atol=0.003)
    contrast = np.sqrt(((images - 0.5) ** 2).sum(axis=(1, 2)) / oval(128).sum())
    np.testing.assert_allclose(contrast, CONTRAST, rtol=0.02)


def test_no_image_is_there_twice(shown, learned):
    images = np.concatenate([pixels(shown), pixels(learned)]).reshape(198, -1)
    assert len(np.unique(images, axis=0)) == 198


def test_regions_lie_within_their_images(shown, tmp_path):
    masked = rf.occlude(shown, ["eyes", "nose", "mouth"], tmp_path)
    assert masked.table["occlusion"].value_counts().to_dict() == dict.fromkeys(("none", "eyes", "nose", "mouth"), 54)
    covered = pixels(masked.select(occlusion="mouth")) == 128 / 255
    assert (covered.mean(axis=(1, 2)) > (pixels(shown) == 128 / 255).mean(axis=(1, 2)) + 0.04).all()


def test_the_observers_are_simulated_say_so_and_have_judged_these_faces(shown):
    ids = shown.ids
    ratings = rf.read_human(DEMO / "ratings.csv", kind="rating", stimuli=ids, options={"scale": [0, 100]})
    assert ratings.attrs["simulated"] is True
    assert dict(ratings.sizes) == {"participant": 20, "stimulus_i": 54, "stimulus_j": 54}
    choices = pd.read_csv(DEMO / "choices.csv", comment="#")
    assert set(choices["stimulus"]) == {f"{name}{mask}" for name in ids for mask in ("", "_eyes", "_nose", "_mouth")}
    assert (choices.groupby(["participant", "stimulus"]).size() == 2).all()
    for name in ("choices", "choices_truth", "ratings", "ratings_truth"):
        assert (DEMO / f"{name}.csv").read_text().startswith("# simulated: true\n")


def test_the_readme_has_the_commands_and_the_set_is_small():
    readme = (DEMO / "README.md").read_text("utf-8")
    for part in ("rsa-face stimuli render", "--seed 0", "rsa-face human simulate", "simulated", "CC0"):
        assert part in readme
    assert sum(file.stat().st_size for file in DEMO.rglob("*") if file.is_file()) < 4_000_000
