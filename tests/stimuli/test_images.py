"""Images of every kind come out as right RGB, and a fault names the stimulus and its file."""

import struct
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import preprocess, read_batches, read_image
from rsa_face.stimuli.preprocessing import Preprocessing

COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]], [[0, 0, 0], [51, 102, 204]]], np.uint8
)


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_rgb_comes_out_as_it_was(tmp_path):
    np.testing.assert_allclose(read_image(saved(tmp_path, Image.fromarray(COLOURS))), COLOURS / 255, atol=1e-7)


def test_grayscale_is_repeated_in_three_channels(tmp_path):
    gray = np.array([[0, 51], [102, 255]], np.uint8)
    expected = np.repeat((gray / 255)[..., None], 3, axis=2)
    np.testing.assert_allclose(read_image(saved(tmp_path, Image.fromarray(gray))), expected, atol=1e-7)


def test_sixteen_bit_gray_keeps_its_range(tmp_path):
    gray = np.array([[0, 256], [32768, 65535]], np.uint16)
    read = read_image(saved(tmp_path, Image.fromarray(gray)))
    np.testing.assert_allclose(read[..., 1], gray / 65535, atol=1e-7)


def test_a_palette_is_looked_up(tmp_path):
    palette = Image.fromarray(COLOURS).quantize(colors=6)
    assert palette.mode == "P"
    np.testing.assert_allclose(read_image(saved(tmp_path, palette)), COLOURS / 255, atol=1e-7)


def test_transparent_pixels_show_white_not_the_colour_beneath(tmp_path):
    pixels = np.array([[[200, 0, 0, 0], [200, 0, 0, 255]]], np.uint8)
    read = read_image(saved(tmp_path, Image.fromarray(pixels)))
    np.testing.assert_allclose(read, [[[1, 1, 1], [200 / 255, 0, 0]]], atol=1e-7)


def test_a_transparent_palette_shows_white(tmp_path):
    palette = Image.fromarray(COLOURS).quantize(colors=6)
    red = palette.getpixel((0, 0))
    read = read_image(saved(tmp_path, palette, transparency=red))
    np.testing.assert_allclose(read[0, 0], [1, 1, 1])
    np.testing.assert_allclose(read[0, 1], [0, 1, 0])


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_rotation_noted_by_the_camera_is_carried_out(tmp_path, orientation):
    turn = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}[orientation]  # fmt: skip
    upright = Image.fromarray(COLOURS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_image(saved(tmp_path, upright.transpose(turn), exif=exif))
    np.testing.assert_allclose(read, COLOURS / 255, atol=1e-7)


def test_an_image_cut_short_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = saved(tmp_path, Image.fromarray(noise))
    (tmp_path / "cut.png").write_bytes(file.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cut\.png"):
        read_image(tmp_path / "cut.png")


def test_a_header_of_fifty_thousand_pixels_a_side_is_refused_unread(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(ValueError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png")


def test_text_called_an_image_is_named(tmp_path):
    (tmp_path / "notes.png").write_text("not an image", "utf-8")
    with pytest.raises(ValueError, match=r"notes\.png"):
        read_image(tmp_path / "notes.png")


def test_an_absent_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        read_image(tmp_path / "absent.png")


def test_preprocessing_normalises_by_hand():
    image = np.full((8, 8, 3), 0.5, np.float32)
    values = preprocess(image, Preprocessing(resize=8, crop=4, mean=(0.5, 0.25, 0), sd=(1, 0.5, 0.25)))
    assert values.shape == (3, 4, 4)
    np.testing.assert_allclose(values[:, 0, 0], [0, 0.5, 2], atol=1e-6)


def test_resizing_by_one_number_keeps_the_shape_and_crops_the_centre():
    image = np.zeros((4, 8, 3), np.float32)
    image[:, 2:6] = 1
    values = preprocess(image, Preprocessing(resize=4, crop=4, mean=(0, 0, 0), sd=(1, 1, 1)))
    assert values.min() == 1


def test_shrinking_with_antialias_averages_over_what_it_covers():
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2] = 1
    settings = {"resize": 4, "crop": 4, "mean": (0, 0, 0), "sd": (1, 1, 1)}
    smooth = preprocess(stripes, Preprocessing(**settings))
    assert abs(smooth - 0.5).max() < 0.05


@pytest.mark.parametrize("size", [12, (12, 17), 9, (13, 11)])  # the first two: it has its size, and is only cropped
def test_bytes_become_the_same_input_as_numbers(size):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    settings = Preprocessing(resize=size, crop=9, mean=(0.4, 0.5, 0.6), sd=(0.2, 0.3, 0.4))
    place = np.full((3, 9, 9), np.nan, np.float32)
    given = preprocess(pixels, settings, place)
    assert np.shares_memory(given.numpy(), place)
    np.testing.assert_array_equal(place, preprocess(pixels / np.float32(255), settings))


def test_an_image_that_has_its_size_is_cropped_in_its_middle_by_hand():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[1:3, 2:4] = [255, 51, 102]
    values = preprocess(pixels, Preprocessing(resize=4, crop=2, mean=(0, 0, 0), sd=(1, 1, 1)))
    np.testing.assert_allclose(values, np.broadcast_to(np.reshape([1, 0.2, 0.4], (3, 1, 1)), (3, 2, 2)), atol=1e-7)


def test_bicubic_goes_beyond_what_it_lies_between_as_bilinear_does_not():
    step = np.zeros((8, 8, 3), np.float32)
    step[:, 4:] = 1
    highest = {
        mode: preprocess(
            step, Preprocessing(resize=16, crop=16, mean=(0, 0, 0), sd=(1, 1, 1), interpolation=mode)
        ).max()
        for mode in ("nearest", "bilinear", "bicubic")
    }
    assert highest["nearest"] == highest["bilinear"] == 1
    assert highest["bicubic"] > 1.05


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"resize": 64}, "crop is 224"),
        ({"crop": 0}, "crop is 0"),
        ({"sd": (1, 0, 1)}, r"sd is \(1.0, 0.0, 1.0\)"),
        ({"interpolation": "lanczos"}, "'lanczos'"),
    ],
)
def test_impossible_preprocessing_is_refused(settings, fault):
    with pytest.raises(ValueError, match=fault):
        Preprocessing(**settings)


def stimuli_of(tmp_path, number):
    for place in range(number):
        saved(tmp_path, Image.new("RGB", (8, 8), (place * 20, 0, 0)), f"{place}.png")
    files = [str(tmp_path / f"{place}.png") for place in range(number)]
    return StimulusSet(pd.DataFrame({"stimulus": list("abcdefghij")[:number], "file": files}))


@pytest.mark.parametrize("batch", [1, 3, 5, 64])
def test_batches_hold_every_stimulus_once_in_order(tmp_path, batch):
    stimuli = stimuli_of(tmp_path, 5)
    settings = Preprocessing(resize=8, crop=8, mean=(0, 0, 0), sd=(1, 1, 1))
    batches = list(read_batches(stimuli, settings, batch=batch))
    assert [len(values) for values in batches][:-1] == [batch] * (len(batches) - 1)
    red = torch.cat(batches)[:, 0, 0, 0]
    np.testing.assert_allclose(red, np.arange(5) * 20 / 255, atol=1e-6)


def test_a_bad_image_in_a_batch_names_its_stimulus(tmp_path):
    stimuli = stimuli_of(tmp_path, 3)
    stimuli.files[1].write_text("broken", "utf-8")
    with pytest.raises(ValueError, match=r"Stimulus 'b'.*1\.png"):
        list(read_batches(stimuli, Preprocessing(resize=8, crop=8), batch=2))


def test_a_batch_of_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch is 0"):
        list(read_batches(stimuli_of(tmp_path, 1), Preprocessing(), batch=0))


@pytest.mark.parametrize("values", [[[0, 255]], [[0, 70_000]]])
def test_integers_of_32_bits_without_a_stated_range_are_refused(tmp_path, values):
    path = saved(tmp_path, Image.fromarray(np.array(values, np.int32)), "image.tif")
    with pytest.raises(ValueError, match="its pixels are 32-bit or signed integers without a stated range"):
        read_image(path)


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_several_frames_or_pages_are_refused(tmp_path, ending):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green")]
    path = saved(tmp_path, frames[0], f"image.{ending}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="it holds 2 frames or pages, and one is a stimulus"):
        read_image(path)


def test_the_transparent_gray_of_16_bits_shows_white(tmp_path):
    gray = np.array([[0, 1000], [32768, 65535]], np.uint16)
    path = saved(tmp_path, Image.fromarray(gray), transparency=1000)
    np.testing.assert_allclose(read_image(path)[..., 0], [[0, 1], [32768 / 65535, 1]], atol=1e-7)
