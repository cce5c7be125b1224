"""The errors that the documentation explains are those that the commands give."""

import re

import pandas as pd
import pytest
from PIL import Image

from rsa_face.cli import main
from rsa_face.cli.docs import PAGES

ENTRIES = re.findall(r"```text\n\$ rsa-face (.*)\nError: (.*)\n```", (PAGES / "faq.md").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faq")
    ids = [f"f{n}" for n in range(4)]
    for n, name in enumerate(ids):
        Image.new("RGB", (32, 32), (60 * n, 0, 0)).save(folder / f"{name}.png")
    stimuli = pd.DataFrame({"stimulus": ids, "file": [f"{name}.png" for name in ids]})
    stimuli.to_csv(folder / "stimuli.csv", index=False)
    stimuli.assign(stimulus=["f0", "f0", "f2", "f3"]).to_csv(folder / "twice.csv", index=False)
    stimuli.assign(file=["f0.png", "f9.png", "f2.png", "f3.png"]).to_csv(folder / "lost.csv", index=False)
    rows = [(person, a, b, 3) for person in "ab" for a in ids for b in ids if a < b]
    columns = ["participant", "stimulus_a", "stimulus_b", "rating"]
    ratings = pd.DataFrame(rows, columns=columns)
    ratings.to_csv(folder / "ratings.csv", index=False)
    ratings.rename(columns={"participant": "subj"}).to_csv(folder / "unnamed.csv", index=False)
    ratings.replace({"f0": "g0"}).to_csv(folder / "otherids.csv", index=False)
    study = (
        "name: mine\nstimuli: {table: stimuli.csv}\nnetworks: [{name: NAME}]\nhuman: {table: TABLE, kind: rating}\n"
    )
    study += "output: results/mine\n"
    (folder / "study.yaml").write_text(study.replace("NAME", "alexnte").replace("TABLE", "ratings.csv"))
    (folder / "lost.yaml").write_text(study.replace("NAME", "alexnet").replace("TABLE", "rating.csv"))
    (folder / "not.pt").write_bytes(b"abc")
    return folder


def test_twenty_errors_are_explained():
    assert len(ENTRIES) == len({command for command, _ in ENTRIES}) == 20


@pytest.mark.parametrize(("command", "message"), ENTRIES)
def test_an_error_is_the_one_that_is_explained(command, message, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as left:
        main(command.split())
    assert left.value.code == 2
    assert message in capsys.readouterr().err
