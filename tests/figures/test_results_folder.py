"""A study's folder is shown as far as it goes, and what is not there is said in a sentence each."""

import json
import os

import numpy as np
import pytest
import xarray as xr

from rsa_face.figures.layout import untrained_in
from rsa_face.provenance import hash_file, save
from rsa_face.safety import hold, lock_in
from rsa_face.study.folder import read_results


def test_a_whole_folder_is_read(result, rdms, human, localization, faces, tmp_path):
    save(result, tmp_path / "layers.nc")
    save(rdms, tmp_path / "rdms.nc")
    save(human, tmp_path / "human_rdms.nc")
    save(localization, tmp_path / "localization.nc")
    table = {"stimuli": {"table": str(faces.files[0].parent / "stimuli.csv")}, "study": {"name": "mine"}}
    (tmp_path / "manifest.json").write_text(json.dumps(table), encoding="utf-8")
    study = read_results(tmp_path)
    assert study.missing == ()
    assert study.name == "mine"
    assert study.simulated
    assert study.untrained == ["vgg16"]
    assert len(study.stimuli) == 24
    xr.testing.assert_equal(study.extras["localization"], localization)


def test_a_part_that_does_not_say_so_rests_on_the_same_weights(rdms, localization, tmp_path):
    save(rdms, tmp_path / "rdms.nc")
    save(localization.drop_attrs(), tmp_path / "localization.nc")
    assert read_results(tmp_path).extras["localization"].attrs["untrained"] == ["vgg16"]


def test_in_a_notebook_it_says_what_is_there_what_it_rests_on_and_what_is_missing(result, tmp_path):
    save(result.assign_attrs(untrained=["vgg16"]), tmp_path / "layers.nc")
    (tmp_path / "manifest.json").write_text(json.dumps({"study": {"name": "<b>mine</b>"}}), encoding="utf-8")
    shown = read_results(tmp_path)._repr_html_()
    assert "&lt;b&gt;mine&lt;/b&gt;" in shown
    assert "Simulated observers" in shown
    assert "vgg16" in shown
    assert f"{result.sizes['rdm']} rdm" in shown
    assert "There is no rdms.nc" in shown


def test_missing_stages_are_named_and_the_rest_read(rdms, tmp_path):
    save(rdms, tmp_path / "rdms.nc")
    study = read_results(tmp_path)
    assert study.rdms is not None
    text = " ".join(study.missing)
    assert all(name in text for name in ("layers.nc", "human_rdms.nc", "manifest.json", "stimuli.csv"))


def test_damaged_and_outdated_files_are_named(rdms, tmp_path):
    save(rdms, tmp_path / "rdms.nc")
    (tmp_path / "human_rdms.nc").write_bytes(b"half a file")
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    save(xr.Dataset({"value": ("model", np.arange(3.0))}), tmp_path / "layers.nc")
    faults = read_results(tmp_path).missing
    assert any("layers.nc has another form" in sentence and "'model'" in sentence for sentence in faults)
    assert any("human_rdms.nc cannot be read" in sentence for sentence in faults)
    assert any("manifest.json cannot be read" in sentence for sentence in faults)


def test_a_result_that_is_not_what_its_stage_wrote_is_named(rdms, tmp_path):
    file = save(rdms, tmp_path / "rdms.nc")
    stages = {"RDMs": {"inputs": {}, "fingerprint": "", "outputs": {"rdms.nc": hash_file(file)}}}
    (tmp_path / "manifest.json").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    assert not any("not what the study wrote" in sentence for sentence in read_results(tmp_path).missing)
    save(rdms * 2, file)
    assert any("rdms.nc is not what the study wrote" in sentence for sentence in read_results(tmp_path).missing)


def test_a_study_that_is_being_run_is_said_to_be(rdms, tmp_path):
    save(rdms, tmp_path / "rdms.nc")
    with hold(tmp_path, lock_in(tmp_path), rule="A study is run by one process"):
        faults = read_results(tmp_path).missing
    assert any(f"process {os.getpid()} on " in sentence and "being run" in sentence for sentence in faults)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has none of .*Run the study first\. There is no .*layers\.nc"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("attribute", "names"),
    [(["a", "b"], ["a", "b"]), ("a", ["a"]), (np.array(["a"]), ["a"]), (1, []), (None, []), (np.int64(3), []),
     ([["a"], ["b", "c"]], ["['a']", "['b', 'c']"])],
)  # fmt: skip
def test_names_of_untrained_networks_are_names_or_none(attribute, names):
    assert untrained_in({"untrained": attribute}) == names
