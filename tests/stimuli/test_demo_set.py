"""The faces that come with the package: complete, matched, small, and what their tables say they are."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import rsa_face as rf
from rsa_face.stimuli.camera import CONTRAST, oval
from rsa_face.study.config import STUDIES

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
    said = (DEMO / "README.md").read_text("utf-8")
    for part in ("rsa-face stimuli render", "--seed 0", "rsa-face human simulate", "simulated", "CC0"):
        assert part in said
    assert sum(file.stat().st_size for file in DEMO.rglob("*") if file.is_file()) < 4_000_000
