"""Rendered sets: the same bytes again, factors and regions in the table, and every wrong request by its value."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rsa_face.stimuli import head
from rsa_face.stimuli.camera import View, oval
from rsa_face.stimuli.expressions import expression
from rsa_face.stimuli.faces import Look, regions, render_faces
from rsa_face.stimuli.occlusion import occlude


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
    from rsa_face.stimuli.camera import projected
    from rsa_face.stimuli.identities import draw_identity

    identity, view = draw_identity(2, seed=0), View(yaw=10)
    left, top, right, bottom = (int(word) for word in regions(identity, view=view, size=128)["mouth"].split())
    lips = head.read_head().lips > 0.5
    for level in (-1, -0.4, 0, 0.7, 1):
        across, down = projected(identity.shape, (identity.shape + expression(level))[lips], view=view, size=128).T
        assert left <= across.min() < across.max() <= right
        assert top <= down.min() < down.max() <= bottom


def test_happy_and_sad_differ_most_at_the_mouth(rendered):
    whole = {name: np.asarray(Image.open(rendered.select(stimulus=name).files[0]), dtype=float)
             for name in ("face01_happy100", "face01_sad100")}  # fmt: skip
    differ = np.abs(whole["face01_happy100"] - whole["face01_sad100"])
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
    ("asked", "named"),
    [
        ({"identities": 0}, r"identities must be different numbers from 1, but are \[\]"),
        ({"identities": [2, 2]}, r"but are \[2, 2\]"),
        ({"identities": [0]}, r"but are \[0\]"),
        ({"levels": [-1, 1.5]}, r"levels must be different numbers from -1 to 1, but are \[-1.0, 1.5\]"),
        ({"levels": [float("nan")]}, "but are .nan"),
        ({"levels": -3}, r"levels must be .* but are \[\]"),
        ({"size": 16}, "size must be 32 to 1024 pixels, but is 16"),
        ({"seed": -1}, "seed must be 0 or more, but is -1"),
        ({"look": Look(view=View(yaw=50), vary_view=20)}, r"yaw must stay within 60 degrees .* but is 50 \+- 20"),
        ({"look": Look(vary_light=-5)}, r"azimuth must stay within 90 degrees .* but is -19 \+- -5"),
        ({"size": 16, "seed": -1}, "size must be .*16; the seed must be .*-1"),
    ],
)
def test_what_cannot_be_rendered_is_named_before_anything_is_written(tmp_path, asked, named):
    with pytest.raises(ValueError, match=named):
        render_faces(tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(mesh, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match=r"folder must be writable, but .*taken"):
        render_faces(tmp_path / "taken", identities=1, levels=1)


def test_without_the_extra_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(head, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[faces\]'"):
        render_faces(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_can_be_read_again(rendered):
    again = pd.read_csv(rendered.files[0].parents[1] / "stimuli.csv")
    assert again["stimulus"].tolist() == rendered.ids
