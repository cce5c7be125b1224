"""A training learns, is the same each time, goes on after an interruption, and leaves what it started from alone."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from rsa_face.networks.zoo import build_network
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training import data, loop
from rsa_face.training.data import read_input, read_training
from rsa_face.training.loop import make_learner, train_valence
from rsa_face.training.settings import Augmentation, TrainingSettings

QUICK = TrainingSettings(epochs=3, batch=5, lr=1e-3, device="cpu")
EVERYTHING = QUICK.changed(
    augmentation=Augmentation(), validation=0.25, patience=2, class_weights="balanced", schedule="cosine",
    warmup=4, zero_head=True,
)  # fmt: skip


def weights_of(trained):
    return trained.network.module.state_dict()


def must_equal(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_training_tells_unseen_faces_apart(small_network, faces, strangers):
    trained = train_valence(small_network(), faces, settings=QUICK.changed(epochs=40), held_out=strangers)
    assert trained.scores["accuracy"].sel(network="small", condition="all") >= 0.9
    assert trained.history["loss"].iloc[-1] < trained.history["loss"].iloc[0]
    assert trained.network.outputs == ("sad", "happy")
    assert trained.network.untrained == ()
    assert not trained.network.module.training


def test_a_real_alexnet_learns_and_is_read_back_from_its_folder(faces, strangers, tmp_path):
    network = build_network("fe_alexnet", label="fe_alexnet/random/0")
    settings = TrainingSettings(epochs=2, batch=8, size=64, device="cpu")
    trained = train_valence(network, faces, settings=settings, held_out=strangers, folder=tmp_path / "weights")
    assert trained.file == tmp_path / "weights" / "fe_alexnet" / "random" / "0.safetensors"
    again = build_network("fe_alexnet", weights=trained.file)
    must_equal(again.module.state_dict(), weights_of(trained))
    assert trained.network.preprocessing.crop == 64


@pytest.mark.parametrize("settings", [QUICK, EVERYTHING, QUICK.changed(freeze="features.3")])
def test_the_same_seed_gives_the_same_weights_to_the_bit(small_network, faces, settings):
    first = train_valence(small_network(), faces, settings=settings)
    torch.rand(3)
    second = train_valence(small_network(), faces, settings=settings)
    must_equal(weights_of(first), weights_of(second))
    assert first.history.drop(columns="seconds").equals(second.history.drop(columns="seconds"))


def test_another_seed_gives_other_weights(small_network, faces):
    first, second = (train_valence(small_network(), faces, settings=QUICK.changed(seed=seed)) for seed in (0, 1))
    assert not torch.equal(weights_of(first)["classifier.1.weight"], weights_of(second)["classifier.1.weight"])


def test_training_leaves_the_start_and_the_global_random_state_alone(small_network, faces):
    network = small_network()
    before, state = network.content_hash(), torch.get_rng_state()
    train_valence(network, faces, settings=EVERYTHING)
    assert network.content_hash() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_one_process_at_a_time_trains_a_network_in_a_folder(small_network, faces, tmp_path):
    def another(_step):
        with pytest.raises(ValueError, match=r"process \d+ on .* is writing .*by one process at a time\. Wait"):
            train_valence(small_network(), faces, settings=QUICK, folder=tmp_path)
        train_valence(small_network(name="other"), faces, settings=QUICK, folder=tmp_path)

    train_valence(small_network(), faces, settings=QUICK.changed(epochs=1), folder=tmp_path, progress=another)
    assert not list(tmp_path.rglob("*.lock"))


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("settings", [QUICK.changed(epochs=5), EVERYTHING.changed(epochs=5)])
def test_interrupted_and_resumed_equals_uninterrupted(small_network, faces, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(loop, "BYTES_A_SECOND", float("inf"))

    def interrupt(step):
        if step.epoch == 3 and step.batch == 2:
            raise PowerCutError

    network = train_valence(small_network(), faces, settings=settings)
    with pytest.raises(PowerCutError):
        train_valence(small_network(), faces, settings=settings, folder=tmp_path, progress=interrupt)
    assert (tmp_path / "small.begun.safetensors").is_file()
    seen = []
    resumed = train_valence(small_network(), faces, settings=settings, folder=tmp_path, progress=seen.append)
    assert seen[0].epoch == 3
    must_equal(weights_of(resumed), weights_of(network))
    assert resumed.history.drop(columns="seconds").equals(network.history.drop(columns="seconds"))
    assert sorted(path.name for path in tmp_path.glob("small*")) == ["small.csv", "small.safetensors"]


def test_a_finished_training_is_read_and_not_repeated(small_network, faces, tmp_path):
    first = train_valence(small_network(), faces, settings=QUICK, folder=tmp_path)
    seen = []
    again = train_valence(small_network(), faces, settings=QUICK, folder=tmp_path, progress=seen.append)
    assert seen == []
    must_equal(weights_of(again), weights_of(first))
    other = train_valence(
        small_network(), faces, settings=QUICK.changed(lr=2e-3), folder=tmp_path, progress=seen.append
    )
    assert seen
    assert not torch.equal(weights_of(other)["classifier.1.weight"], weights_of(first)["classifier.1.weight"])


def test_a_half_done_training_of_other_faces_is_not_gone_on_with(
    small_network, faces, strangers, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "BYTES_A_SECOND", float("inf"))

    def interrupt(step):
        if step.epoch == 3:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_valence(small_network(), strangers, settings=QUICK, folder=tmp_path, progress=interrupt)
    fresh = train_valence(small_network(), faces, settings=QUICK)
    must_equal(weights_of(train_valence(small_network(), faces, settings=QUICK, folder=tmp_path)), weights_of(fresh))


def test_frozen_layers_stay_and_what_is_random_in_them_is_said(small_network, faces):
    network = small_network()
    trained = train_valence(network, faces, settings=QUICK.changed(freeze="features"))
    start, end = network.module.state_dict(), weights_of(trained)
    assert [key for key in start if torch.equal(start[key], end[key])] == list(trained.network.untrained)
    assert trained.network.untrained == (
        "features.0.weight",
        "features.0.bias",
        "features.3.weight",
        "features.3.bias",
    )


def test_features_computed_once_lead_to_what_computing_them_each_time_leads_to(small_network, faces, monkeypatch):
    settings = QUICK.changed(freeze="features")
    once = train_valence(small_network(), faces, settings=settings)
    nothing = Augmentation(flip=0, shift=0, scale=0, rotate=0, brightness=0, contrast=0)
    each_time = train_valence(small_network(), faces, settings=settings.changed(augmentation=nothing))
    for key, value in weights_of(once).items():
        # the same to rounding: variation by nothing still interpolates each pixel
        torch.testing.assert_close(value, weights_of(each_time)[key], rtol=1e-3, atol=1e-4)


def test_bfloat16_trains_and_keeps_float32_weights(small_network, faces):
    trained = train_valence(small_network(), faces, settings=QUICK.changed(precision="bfloat16"))
    assert {value.dtype for value in weights_of(trained).values()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("settings", [QUICK, QUICK.changed(freeze="features")])
def test_a_compiled_network_learns_what_it_learns_uncompiled(small_network, faces, settings):
    settings = settings.changed(dropout=0.0)  # a compiled network draws other units to drop
    plain, compiled = (
        train_valence(small_network(), faces, settings=settings.changed(compile=compile_))
        for compile_ in (False, True)
    )
    assert weights_of(plain).keys() == weights_of(compiled).keys()
    for name, weights in weights_of(plain).items():
        torch.testing.assert_close(weights_of(compiled)[name], weights, rtol=1e-4, atol=1e-5)


def test_each_class_weighs_the_same_where_the_weights_are_balanced(small_network, faces):
    rows = [row for row, name in enumerate(faces.table["class"]) if name == "happy" or row < 4]
    uneven = faces.take(rows)
    assert uneven.targets.tolist().count(0) == 2
    settings = QUICK.changed(class_weights="balanced")
    learner = make_learner(small_network(), uneven, settings, torch.device("cpu"))
    # 10 images, 2 classes: sad 10 / (2 * 2), happy 10 / (2 * 8)
    assert learner.weights.tolist() == pytest.approx([2.5, 0.625])
    plain, balanced = (
        train_valence(small_network(), uneven, settings=each)
        for each in (QUICK.changed(class_weights="none"), settings)
    )
    assert not torch.equal(weights_of(plain)["classifier.1.weight"], weights_of(balanced)["classifier.1.weight"])


def test_early_stopping_keeps_the_best_epoch(small_network, faces):
    # a step size that spoils the network again after the first epochs
    settings = QUICK.changed(epochs=30, lr=0.05, validation=0.5, patience=3)
    trained = train_valence(small_network(), faces, settings=settings)
    best = int(trained.history["validation_loss"].argmin())
    assert len(trained.history) == best + 1 + 3
    shorter = train_valence(small_network(), faces, settings=settings.changed(epochs=best + 1))
    must_equal(weights_of(shorter), weights_of(trained))


def test_training_stops_at_the_accuracy_asked_for(small_network, faces):
    trained = train_valence(small_network(), faces, settings=QUICK.changed(epochs=60, lr=3e-3, stop_at=0.75))
    accuracy = trained.history["accuracy"].to_numpy()
    assert len(accuracy) < 60
    assert accuracy[-1] >= 0.75 > accuracy[:-1].max()


def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_good_state(
    small_network, faces, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "BYTES_A_SECOND", float("inf"))
    settings = QUICK.changed(lr=1e30, epochs=9)
    with pytest.raises(RuntimeError, match=r"small diverged: .* in epoch \d, batch \d. Lower lr \(1e\+30\)"):
        train_valence(small_network(), faces, settings=settings.changed(batch=16), folder=tmp_path)
    record = loop.read_record(tmp_path / "small.begun.safetensors")
    assert all(np.isfinite(row["loss"]) for row in record["history"])


def test_a_last_step_that_spoils_the_weights_is_not_kept(small_network, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "BYTES_A_SECOND", float("inf"))
    with pytest.raises(RuntimeError, match=r"not finite in epoch 1, batch 1.*No checkpoint is kept"):
        train_valence(small_network(), faces, settings=QUICK.changed(lr=1e39, epochs=1, batch=16), folder=tmp_path)
    assert not list(tmp_path.glob("small*.safetensors"))


def test_other_outputs_than_classes_are_refused(small_network, faces):
    with pytest.raises(ValueError, match=r"small has 8 outputs for 2 classes, sad, happy. Build it with classes=2"):
        train_valence(small_network(classes=8), faces)


def test_a_face_on_both_sides_is_refused(small_network, faces):
    with pytest.raises(ValueError, match=r"identities \['training0', 'training1'"):
        train_valence(small_network(), faces, held_out=faces)


def test_one_class_alone_is_refused(small_network, faces):
    happy = faces.take([row for row, name in enumerate(faces.table["class"]) if name == "happy"])
    with pytest.raises(ValueError, match="the training table has 0 sad, 8 happy"):
        train_valence(small_network(), happy, settings=QUICK)


def test_a_broken_image_is_named_or_skipped_and_counted(small_network, faces, tmp_path):
    broken = tmp_path / "training" / "training-1-0.5.png"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"1 of 16 training images: training-1-0.5: .*skip_unreadable"):
        train_valence(small_network(), faces, settings=QUICK)
    trained = train_valence(small_network(), faces, settings=QUICK.changed(skip_unreadable=True))
    assert trained.history[["images", "skipped"]].drop_duplicates().to_numpy().tolist() == [[15, 1]]


def test_images_too_many_for_memory_give_the_same_weights(small_network, faces, monkeypatch):
    first = train_valence(small_network(), faces, settings=EVERYTHING)
    read = []
    monkeypatch.setattr("rsa_face.training.data.MOST_BYTES", 0)
    monkeypatch.setattr(data, "read_input", lambda *given: read.append(1) or read_input(*given))
    again = train_valence(small_network(), faces, settings=EVERYTHING)
    assert len(read) > 2 * len(faces)  # once to see that they can be read, and again in each epoch
    must_equal(weights_of(again), weights_of(first))


def test_no_room_for_the_checkpoint_is_said_before_anything_is_lost(small_network, faces, tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("rsa_face.training.loop.shutil.disk_usage", lambda _: free)
    with pytest.raises(OSError, match=r"needs 0 MB at .* 0 MB are free"):
        train_valence(small_network(), faces, settings=QUICK, folder=tmp_path)


def test_a_name_that_leads_out_of_the_folder_is_refused(small_network, faces, tmp_path):
    with pytest.raises(ValueError, match=r"'\.\./small'"):
        train_valence(small_network(name="../small"), faces, settings=QUICK, folder=tmp_path)


def test_only_the_face_is_seen_where_the_table_gives_its_box(small_network, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    for sign in ("happy", "sad"):
        Image.fromarray(noise).save(tmp_path / f"{sign}.png")
        Image.fromarray(noise[5:37, 10:42]).save(tmp_path / f"{sign}-cut.png")
    (tmp_path / "whole.csv").write_text(
        "file,valence,face\nhappy.png,happy,10 5 42 37\nsad.png,sad,10.0 5.0 42.0 37.0\n"
    )
    (tmp_path / "cut.csv").write_text("file,valence\nhappy-cut.png,happy\nsad-cut.png,sad\n")
    first, second = (
        train_valence(small_network(), read_training(tmp_path / name), settings=QUICK)
        for name in ("whole.csv", "cut.csv")
    )
    must_equal(weights_of(first), weights_of(second))
    (tmp_path / "outside.csv").write_text("file,valence,face\nhappy.png,happy,10 5 42 37\nsad.png,sad,30 5 61 37\n")
    with pytest.raises(ValueError, match=r"face 30 5 61 37 lies outside its image: .* 60 x 40 pixels"):
        train_valence(small_network(), read_training(tmp_path / "outside.csv"), settings=QUICK)


def test_preprocessing_travels_with_the_trained_network(small_network, faces):
    network = replace(
        small_network(), preprocessing=Preprocessing(resize=30, crop=28, mean=(0.5,) * 3, sd=(0.5,) * 3)
    )
    trained = train_valence(network, faces, settings=QUICK)
    assert trained.network.preprocessing == network.preprocessing
