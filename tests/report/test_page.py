"""The report is one whole page: it asks for nothing, runs nothing from a file's text, and shows what there is."""

import html.parser
import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr

from rsa_face.cli import main
from rsa_face.provenance import load, save
from rsa_face.report.page import write_report


class Reader(html.parser.HTMLParser):
    """Collect the tags, attributes and words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> str:
    return write_report(results, out=tmp_path_factory.mktemp("page") / "report.html").read_text("utf-8")


def content_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.S).group(1))


def test_nothing_in_the_page_points_outside(page):
    reader = read(page)
    addresses = [
        value for name, value in reader.attributes if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert all(value.startswith(("#", "data:")) for value in addresses)
    assert not {"iframe", "object", "embed", "base", "form"} & set(reader.tags)
    policy = next(value for name, value in reader.attributes if "default-src" in value)
    assert "default-src 'none'" in policy


def test_text_from_files_stays_text(page):
    reader = read(page)
    assert reader.tags.count("script") == 3
    assert "b" not in reader.tags
    assert "i" not in reader.tags
    assert "<i>small</i> study" in reader.words
    ids = [stimulus["id"] for stimulus in content_of(page)["explorer"]["stimuli"]]
    assert {"</script><b> none", "\"quoted\" 'id' eyes", "happy \U0001f600 none"} <= set(ids)


def test_simulated_and_untrained_are_said_at_the_top(page):
    words = " ".join(read(page).words)
    assert words.index("Simulated observers.") < words.index("Study report")
    assert "AlexNet." in words[words.index("Untrained weights:") : words.index("Study report")]


def test_every_control_and_picture_has_a_name(page):
    assert len(re.findall(r"<canvas[^>]*aria-labelledby", page)) == len(re.findall(r"<canvas", page)) == 2
    assert len(re.findall(r"<label[^>]*>[^<]+<select", page)) == page.count("<select id=")
    assert '<html lang="en">' in page


def test_the_tables_hold_the_exact_numbers(page, results):
    similarity = load(results / "layers.nc")["similarity"].values
    assert all(f'data-value="{value!r}"' in page for value in similarity.tolist())


def test_missing_stages_are_said_and_the_rest_is_shown(results, tmp_path):
    for name in ("layers.nc", "human_rdms.nc", "manifest.json", "stimuli.csv"):
        folder = tmp_path / name.replace(".", "-")
        shutil.copytree(results, folder)
        (folder / name).unlink()
        words = " ".join(read(write_report(folder).read_text("utf-8")).words)
        assert f"There is no {name}" in words
        assert "RDM explorer" in words
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(results / "layers.nc", bare)
    words = " ".join(read(write_report(bare).read_text("utf-8")).words)
    assert "Similarity of each layer to people" in words
    assert "RDM explorer" not in words


def test_a_stage_that_was_asked_for_and_is_not_there_is_said(results, tmp_path):
    folder = shutil.copytree(results, tmp_path / "study")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["study"] = {
        "name": "small", "stimuli": {"table": "stimuli.csv"},
        "networks": [{"name": "alexnet"}, {"name": "fe_alexnet"}],
        "human": {"table": "ratings.csv", "kind": "rating"}, "psychophysics": {"table": "choices.csv"},
        "saliency": {"layer": "last"}, "output": str(folder),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "localization.nc").unlink()
    words = " ".join(read(write_report(folder).read_text("utf-8")).words)
    assert "There is no localization.nc, though the study asks for it" in words
    assert "There is no saliency.nc, though the study asks for it: where the networks look cannot be shown." in words
    assert "There is no contrast.nc" not in words
    assert "FE-AlexNet minus another network" in words
    assert "At which layer FE-AlexNet turns human-like" not in words


def test_results_of_another_version_are_said_and_the_rest_is_shown(results, tmp_path):
    folder = shutil.copytree(results, tmp_path / "study")
    save(load(folder / "layers.nc").rename(similarity="score"), folder / "layers.nc")
    save(load(folder / "contrast.nc").rename(difference="gap"), folder / "contrast.nc")
    save(load(folder / "localization.nc").rename(probability="share"), folder / "localization.nc")
    save(load(folder / "psychometric.nc").rename(proportion="happy"), folder / "psychometric.nc")
    (folder / "contrast_other.nc").write_bytes(b"not a file of numbers")
    words = " ".join(read(write_report(folder).read_text("utf-8")).words)
    assert "layers.nc has another form than this version writes" in words
    assert "localization.nc has another form than this version writes" in words
    assert "psychometric.nc has another form" in words
    assert "contrast_other.nc cannot be read" in words
    assert "RDM explorer" in words


def test_a_comparison_without_depths_or_numbers_is_said_and_the_rest_is_shown(results, tmp_path):
    folder = shutil.copytree(results, tmp_path / "study")
    result = load(folder / "layers.nc")
    strange = [result.drop_vars("depth"), result.assign(similarity=result["similarity"].astype(str))]
    strange += [result.assign(noise_ceiling=0.3), result.isel(bound=[0]), result.assign_attrs(confidence="high")]
    for one in [*strange, result.isel(rdm=[])]:
        save(one, folder / "layers.nc")
        words = " ".join(read(write_report(folder).read_text("utf-8")).words)
        assert "layers.nc has another form than this version writes" in words
        assert "RDM explorer" in words


def test_two_thousand_stimuli_stay_small_and_are_said(tmp_path):
    count = 2000
    values = np.abs(np.subtract.outer(*[np.linspace(0, 1, count) ** 2] * 2))[None].repeat(8, axis=0)
    ids = np.array([f"s{n}" for n in range(count)], dtype=object)
    coords = {
        "rdm": [f"vgg16/relu{n}" for n in range(8)],
        "network": ("rdm", ["vgg16"] * 8),
        "layer": ("rdm", [f"relu{n}" for n in range(8)]),
        "order": ("rdm", list(range(8))),
        "stimulus_i": ids,
        "stimulus_j": ids,
    }
    save(xr.DataArray(values.astype("float32"), coords, ("rdm", "stimulus_i", "stimulus_j")), tmp_path / "rdms.nc")
    path = write_report(tmp_path)
    assert path.stat().st_size < 15e6
    assert re.search(r"show \d+ of 2000 stimuli", path.read_text("utf-8"))


def test_the_command_writes_the_page_and_says_its_size(results, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["report", str(results), "--out", str(tmp_path / "page.html")])
    assert left.value.code == 0
    assert "page.html (" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["report", str(tmp_path / "nowhere")])
    assert left.value.code == 2
    assert "nowhere" in capsys.readouterr().err
