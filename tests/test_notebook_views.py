"""What a notebook shows of the main objects: the answer, pictures, shapes; text from files stays text."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from PIL import Image

import rsa_face as rf
from tests.report.conftest import write_study

HOSTILE = '</td><script>alert("x")</script>'


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def text_of(page: str) -> str:
    shown = Tags(page)
    assert "script" not in shown.tags
    return " ".join(shown.words)


@pytest.fixture(scope="module")
def demo():
    return rf.example("demo")


def test_stimuli_are_shown_with_pictures_and_their_factors(demo):
    page = demo.stimuli._repr_html_()
    assert page.count('src="data:image/jpeg') == 12
    assert f"{len(demo.stimuli)} stimuli" in text_of(page)
    assert "identity" in text_of(page)


def test_names_from_a_table_stay_text(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    table = pd.DataFrame({"stimulus": [HOSTILE], "file": [str(tmp_path / "a.png")], "mood": ["<img src=x>"]})
    page = rf.StimulusSet(table)._repr_html_()
    assert HOSTILE in text_of(page)
    assert Tags(page).tags.count("img") == 1


def test_a_network_is_shown_with_the_shape_of_each_layer():
    network = rf.build_network("fe_alexnet", preprocessing=rf.Preprocessing(resize=64, crop=64))
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    page = network._repr_html_()
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)[1:]]
    assert [row[1] for row in rows] == [layer.name for layer in network.layers]
    assert {row[1]: row[3] for row in rows}["relu5"] == "256 x 3 x 3"
    assert all(row[3] for row in rows)
    assert "untrained" in text_of(page)
    assert all((before[name] == value).all() for name, value in network.module.state_dict().items())


def test_a_result_is_shown_as_its_answer_and_a_curve(demo):
    models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    rsa = rf.RSA(models, demo.human, comparison="corr")
    result = rsa.bootstrap(draws=30)
    best = float(result.table["similarity"].max())
    words = text_of(result._repr_html_())
    assert (
        f"Most similar to people: {result.table['rdm'].values[result.table['similarity'].values.argmax()]}" in words
    )
    assert f"{best:.3f} (95% interval" in words
    assert "Simulated observers." in words
    for page in (result._repr_html_(), rsa._repr_html_()):
        assert 'role="img" aria-label="Similarity of each layer' in page
        assert "polyline" in page


def test_a_folder_is_shown_with_its_answer_faces_and_report(tmp_path):
    folder = write_study(tmp_path)
    assert "report.html" not in rf.read_results(folder)._repr_html_()
    (folder / "report.html").write_text("a report", encoding="utf-8")
    page = rf.read_results(folder)._repr_html_()
    assert "FE-AlexNet is most like people at" in text_of(page)
    assert f'href="{(folder / "report.html").as_uri()}"' in page
    assert page.count('src="data:image/jpeg') == 12
    assert "<i>small</i> study" in text_of(page)
    assert "i" not in Tags(page).tags
