"""Sixty mistakes that a newcomer makes, and what is printed for each.

Run as ``python -m tests.trust.mistakes``: a Markdown table of the mistake, what is printed, the exit code, and whether
the message names the value at fault and says what to do.
"""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rsa_face.cli import main
from rsa_face.provenance import save
from tests.trust.readers import human_rdms, picture

STUDY = "name: s\nstimuli: {table: stimuli.csv}\nnetworks: [{name: alexnet}]\noutput: out\n"
ROWS = "participant,stimulus_a,stimulus_b,rating\np1,a,b,1\np1,a,c,2\np1,b,c,3\np2,a,b,1\np2,a,c,4\np2,b,c,3\n"


@dataclass(frozen=True)
class Mistake:
    """What a newcomer does wrong.

    Parameters
    ----------
    what : str
        In words.
    words : tuple of str
        What is typed after ``rsa-face``.
    named : str
        What the message must name.
    files : dict of str to str or bytes
        Files written first.
    """

    what: str
    words: tuple[str, ...]
    named: str
    files: dict[str, str | bytes]


def _study(what: str, old: str, new: str, named: str) -> Mistake:
    assert old in STUDY or not old
    return Mistake(what, ("run", "s.yaml", "-q"), named, {"s.yaml": STUDY.replace(old, new) if old else STUDY + new})


def _human(what: str, old: str, new: str, named: str, *more: str, kind: str = "rating") -> Mistake:
    assert old in ROWS
    return Mistake(
        what,
        ("human", "convert", "r.csv", "--kind", kind, "--out", "h.nc", *more),
        named,
        {"r.csv": ROWS.replace(old, new)},
    )


def _table(what: str, content: str | bytes, named: str, *words: str) -> Mistake:
    return Mistake(what, words or ("stimuli", "check", "t.csv"), named, {"t.csv": content})


MISTAKES: tuple[Mistake, ...] = (
    Mistake("a command that does not exist", ("analyse",), "analyse", {}),
    Mistake("an option that does not exist", ("run", "s.yaml", "--gpu"), "--gpu", {"s.yaml": STUDY}),
    Mistake("a forgotten argument", ("run",), "study", {}),
    Mistake("a study file that is not there", ("run", "studdy.yaml"), "studdy.yaml", {}),
    Mistake("a folder in place of a study file", ("run", "images"), "images", {}),
    Mistake("an image in place of a study file", ("run", "images/a.png"), "a.png", {}),
    Mistake("a stimulus table in place of a study file", ("run", "stimuli.csv"), "stimuli.csv", {}),
    Mistake("an unknown demo", ("demo", "--weights", "vggface"), "vggface", {}),
    _study("a tab in the study file", "name: s", "name:\ts\n\tx: 1", "line 1"),
    _study("an unclosed bracket", "[{name: alexnet}]", "[{name: alexnet}", "s.yaml"),
    _study("a key misspelt", "networks:", "network:", "network"),
    _study("a network that is not one of the five", "alexnet", "resnet50", "resnet50"),
    _study("a network written with a capital", "alexnet", "AlexNet", "AlexNet"),
    _study("a stimulus table that is not there", "stimuli.csv", "stimulli.csv", "stimulli.csv"),
    _study("no output", "output: out\n", "", "output"),
    _study("no networks", "[{name: alexnet}]", "[]", "network"),
    _study("the same network twice", "[{name: alexnet}]", "[{name: alexnet}, {name: alexnet}]", "alexnet"),
    _study("a measure that is not known", "", "rdms: {measure: pearson}\n", "pearson"),
    _study("a comparison that is not known", "", "inference: {comparison: kendal}\n", "kendal"),
    _study("too few draws", "", "inference: {draws: 1}\n", "draws"),
    _study("a negative seed", "[{name: alexnet}]", "[{name: alexnet, seed: -1}]", "-1"),
    _study("a learning rate with a comma", "", "training: {table: stimuli.csv, lr: '0,001'}\n", "0,001"),
    _study("a learning rate that YAML reads as text", "", "training: {table: stimuli.csv, lr: fast}\n", "fast"),
    _study("weights that are not there", "[{name: alexnet}]", "[{name: alexnet, weights: best.pth}]", "best.pth"),
    _study("a kind of human data that is not known", "", "human: {table: stimuli.csv, kind: similarity}\n", "similarity"),
    _study("a mask that is not known", "{table: stimuli.csv}", "{table: stimuli.csv, occlusion: [chin]}", "chin"),
    _study("a label with a slash", "[{name: alexnet}]", "[{name: alexnet, label: a/b}]", "a/b"),
    _study("layers that the network lacks", "", "activations: {layers: [conv9]}\n", "conv9"),
    _study("a device that is not there", "", "activations: {device: cuda}\n", "cuda"),
    _study("a cluster written wrongly", "", "cluster: local\n", "local"),
    _study("human data of the wrong columns", "", "human: {table: stimuli.csv, kind: rating}\n", "stimulus_a"),
    _study("a control that is not known", "", "human: {table: ratings.csv, kind: rating}\ninference: {controls: [size]}\n", "size"),
    _study("faces selected by a factor they lack", "", "human: {table: ratings.csv, kind: rating, where: {emotion: happy}}\n", "emotion"),
    _study("a layer that one network of two lacks", "[{name: alexnet}]", "[{name: alexnet}, {name: vgg11}]\nactivations: {layers: [relu2]}", "relu2"),
    _study("saliency of a layer that no network has", "", "training: {table: stimuli.csv}\nsaliency: {layer: relu9}\n", "relu9"),
    _study("saliency of a layer without rows and columns", "", "training: {table: stimuli.csv}\nsaliency: {layer: fc7}\n", "fc7"),
    _study("saliency of networks that have learnt nothing", "", "saliency: {layer: last}\n", "training"),
    _study("freezing up to a layer that is not there", "", "training: {table: stimuli.csv, freeze: convs}\n", "convs"),
    _study("a baseline that the study does not have", "", "inference: {baseline: vgg16}\n", "vgg16"),
    _study("a network in question that the study does not have", "", "inference: {network: fe-alexnet}\n", "fe-alexnet"),
    _study("two pre-trainings that the study does not have", "", "inference: {pretrainings: [imagenet, faces]}\n", "faces"),
    _study("groups by a factor the faces lack", "", "human: {table: ratings.csv, kind: rating}\ninference: {groups: person}\n", "person"),
    _study("a measure that needs repeats", "", "rdms: {measure: crossnobis}\n", "crossnobis"),
    _study("a device written otherwise", "", "activations: {device: gpu}\n", "gpu"),
    _study("attention asked of a network that has none", "{name: alexnet}", "{name: alexnet, attention: {position: pool5}}", "alexnet"),
    _study("attention at a place that is not there", "{name: alexnet}", "{name: fe_alexnet, attention: {position: relu5}}", "relu5"),
    _study("an attention narrower than its channels", "{name: alexnet}", "{name: fe_alexnet, attention: {position: conv1, reduction: 128}}", "128"),
    _study("a crop larger than the image", "{name: alexnet}", "{name: alexnet, preprocessing: {resize: 64}}", "224"),
    _study("networks without braces", "[{name: alexnet}]", "[alexnet, vgg16]", "write {name: vgg16}"),
    _study("a table without its key", "{table: stimuli.csv}", "stimuli.csv", "write {table: stimuli.csv}"),
    _study("one mask without brackets", "{table: stimuli.csv}", "{table: stimuli.csv, occlusion: eyes}", "eyes"),
    _study("a section left empty", "", "inference:\n", "inference"),
    _study("a key given twice", "", "output: elsewhere\n", "lines 4 and 5"),
    _study("a Windows path in double quotes", "stimuli.csv", '"C:\\data\\stimuli.csv"', "line 2"),
    _study("a name with a space", "name: s", "name: my study", "my study"),
    _study("a thousand with a comma", "", "inference: {draws: '1,000'}\n", "1,000"),
    _study("weights with a capital", "{name: alexnet}", "{name: alexnet, weights: ImageNet}", "ImageNet"),
    _study("an address on the Hub without a file", "{name: alexnet}", "{name: alexnet, weights: hf://lab/faces}", "hf://lab/faces"),
    _study("an output that is a file", "output: out", "output: stimuli.csv", "stimuli.csv"),
    _study("one participant alone", "", "human: {table: one.csv, kind: rating}\n", "p1"),
    _study("people who judged other faces", "", "human: {table: others.csv, kind: rating}\n", "'x'"),
    _study("choices without people", "", "psychophysics: {table: levels.csv}\n", "participant"),
    _study("classes without sad", "", "training: {table: stimuli.csv, classes: [angry, happy]}\n", "angry"),
    _study("faces to learn from without labels", "", "training: {table: stimuli.csv, held_out: null}\n", "valence"),
    _table("a table without an id column", "name,file\na,images/a.png\n", "stimulus"),
    _table("a table with semicolons", "stimulus;file\na;images/a.png\n", "stimulus;file"),
    _table("an Excel file called .csv", b"PK\x03\x04\x14\0\x06\0" + b"\0\xff" * 60, "t.csv"),
    _table("a table saved in an old Windows encoding", "stimulus,file\nä,images/a.png\n".encode("cp1252"), "t.csv"),
    _table("an empty table", "", "t.csv' cannot be read: it is empty"),
    _table("a table of a header alone", "stimulus,file\n", "t.csv"),
    _table("an id given twice", "stimulus,file\na,images/a.png\na,images/b.png\n", "'a' stands on lines [2, 3]"),
    _table("images that are not there", "stimulus,file\na,images/z.png\n", "z.png"),
    _table("an image that is a text file", "stimulus,file\na,t.csv\n", "t.csv"),
    _table("a folder in place of an image", "stimulus,file\na,images\n", "images"),
    _table("a region outside its image", "stimulus,file,eyes\na,images/a.png,0 0 99 99\n", "0 0 99 99", "stimuli", "occlude", "t.csv", "--out", "o", "--regions", "eyes"),
    _table("a region that is not known", "stimulus,file\na,images/a.png\n", "ears", "stimuli", "occlude", "t.csv", "--out", "o", "--regions", "ears"),
    Mistake("a stimulus table that is not there", ("stimuli", "check", "no.csv"), "no.csv", {}),
    Mistake("a number of levels in words", ("stimuli", "render", "--out", "o", "--levels", "nine"), "nine", {}),
    _human("a kind that is not known", "p1", "p1", "likert", kind="likert"),
    _human("a column called otherwise", "rating", "score", "score"),
    _human("text in a rating", "p1,a,c,2", "p1,a,c,very", "very"),
    _human("a decimal comma", "p1,a,c,2", "p1,a,c,2,5", "write a point"),
    _human("an empty rating", "p1,a,c,2", "p1,a,c,", "line 3"),
    _human("an option without a value", "p1", "p1", "scale", "--option", "scale"),
    _human("an option that is not known", "p1", "p1", "scael", "--option", "scael=1,7"),
    _human("ids that the stimulus table lacks", "p1,a,c,2", "p1,a,x,2", "'x'", "--stimuli", "stimuli.csv"),
    _human("an output of another kind", "p1", "p1", ".xlsx", "--out", "h.xlsx"),
    Mistake("human data that are not there", ("human", "check", "no.csv", "--kind", "rating"), "no.csv", {}),
    Mistake("a network that is not known", ("layers", "resnet50"), "resnet50", {}),
    Mistake("a checkpoint that is text", ("weights", "inspect", "w.pth"), "w.pth", {"w.pth": "not weights"}),
    Mistake("weights of another ending", ("weights", "inspect", "w.ckpt"), "w.ckpt", {"w.ckpt": "x"}),
    Mistake("extraction without a network", ("extract", "stimuli.csv", "--store", "s.zarr"), "--network", {}),
    Mistake("a precision that is not known", ("extract", "stimuli.csv", "--network", "alexnet", "--store", "s.zarr", "--dtype", "double"), "double", {}),
    Mistake("RDMs without an output folder", ("rdms", "stimuli.csv", "--network", "alexnet"), "--out", {}),
    Mistake("a measure that is not known", ("rdms", "stimuli.csv", "--network", "alexnet", "--out", "o", "--measure", "manhattan"), "manhattan", {}),
    Mistake("comparing files that are not there", ("compare", "rdms.nc", "human.nc"), "rdms.nc", {}),
    Mistake("comparing a text file", ("compare", "rdms.nc", "rdms.nc"), "rdms.nc", {"rdms.nc": "x"}),
    Mistake("comparing human RDMs with human RDMs", ("compare", "people.nc", "people.nc"), "rsa-face rdms", {}),
    Mistake("results written to another kind of file", ("compare", "people.nc", "people.nc", "--out", "r.csv"), "r.csv", {}),
    Mistake("a report of a folder that is not there", ("report", "results/none"), "results/none", {}),
    Mistake("a report of a folder of images", ("report", "images"), "images", {}),
    Mistake("figures in a style that is not known", ("figures", "images", "--style", "science"), "science", {}),
    Mistake("figures of a format that is not known", ("figures", "images", "--formats", "gif"), "gif", {}),
    Mistake("the state of a folder without results", ("status", "images"), "images", {}),
    Mistake("a store that is none", ("activations", "verify", "images"), "images", {}),
    Mistake("a data set that is not known", ("datasets", "fetch", "fer2013"), "fer2013", {}),
    Mistake("a data set from an empty folder", ("datasets", "fetch", "kriegeskorte92", "--from", "images", "--out", "d"), "92_behavRDMs.mat", {}),
    Mistake("training on a table without labels", ("train", "stimuli.csv", "--network", "alexnet", "--out", "o"), "valence", {}),
    Mistake("training with a setting that is not known", ("train", "stimuli.csv", "--network", "alexnet", "--out", "o", "--settings", "t.yaml"), "speed", {"t.yaml": "speed: 9"}),
    Mistake("training for a number of epochs in words", ("train", "stimuli.csv", "--network", "alexnet", "--out", "o", "--settings", "t.yaml"), "'ten'", {"t.yaml": "epochs: ten"}),
    Mistake("training with an augmentation that is not known", ("train", "stimuli.csv", "--network", "alexnet", "--out", "o", "--settings", "t.yaml"), "flop", {"t.yaml": "augmentation: {flop: 1}"}),
    Mistake("settings of a training without keys", ("train", "stimuli.csv", "--network", "alexnet", "--out", "o", "--settings", "t.yaml"), "str", {"t.yaml": "fast"}),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a mistake gets: the exit code, what is printed on standard error, and what it lacks."""

    code: int
    said: str
    lacks: tuple[str, ...]


@contextlib.contextmanager
def beginners_folder() -> Iterator[Path]:
    """Give a folder with three images, their table, ratings and human RDMs, and stand in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in "abc":
            picture(folder, f"images/{one}.png")
        files = [f"images/{one}.png" for one in "abc"]
        pd.DataFrame({"stimulus": list("abc"), "file": files, "level": [-1.0, 0.0, 1.0]}).to_csv(
            folder / "stimuli.csv", index=False
        )
        (folder / "ratings.csv").write_text(ROWS)
        (folder / "one.csv").write_text("".join(ROWS.splitlines(keepends=True)[:4]))
        (folder / "others.csv").write_text(ROWS.replace(",c,", ",x,"))
        (folder / "levels.csv").write_text("network,level,p_happy,trials\nn,-1,0.2,5\nn,1,0.9,6\n")
        save(human_rdms(), folder / "people.nc")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def make(mistake: Mistake, folder: Path) -> Answer:
    """Make a mistake, and return what comes of it."""
    for name, content in mistake.files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    said, out = io.StringIO(), io.StringIO()
    code = -1
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
        try:
            main(list(mistake.words))
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    for name in mistake.files:
        (folder / name).unlink()
    return Answer(code, said.getvalue().strip(), tuple(_lacking(mistake, code, said.getvalue())))


def _lacking(mistake: Mistake, code: int, said: str) -> Iterator[str]:
    if code != 2:
        yield f"exit code {code}"
    if "Traceback" in said:
        yield "a traceback"
    if mistake.named not in said:
        yield f"does not name {mistake.named}"
    if len(said.split()) < 5 or not _tells(said):
        yield "does not tell what to do"


def _tells(said: str) -> bool:
    """Return whether a message says what to do: an imperative, what is expected in place of the value, or the choices."""
    verbs = "must|correct|say|add|allow|check|choose|fix|give|name|put|read|remove|rename|run|save|use|wait|write|get|leave|set|see|turn|make"
    expected = (
        r"\bnot\b|\bnone\b|there are|\bit has\b|the settings are|is missing|is it the right|needs?\b|--help|only"
    )
    return re.search(rf"\b({verbs})\b|{expected}", said, re.IGNORECASE) is not None


def table() -> str:
    """Return all mistakes and what is printed for them, as Markdown."""
    lines = ["| mistake | what is printed | exit | names it, tells what to do |", "|---|---|---|---|"]
    with beginners_folder() as folder:
        for mistake in MISTAKES:
            answer = make(mistake, folder)
            said = answer.said.replace(str(folder), "").replace("|", "\\|").replace("\n", "<br>")
            lines.append(
                f"| {mistake.what}: `rsa-face {' '.join(mistake.words)}` | {said} | {answer.code} | {'; '.join(answer.lacks) or 'yes'} |"
            )
    return "\n".join(
        [*lines, f"\n{len(MISTAKES)} mistakes, {sum(line.endswith('| yes |') for line in lines)} answered well"]
    )


if __name__ == "__main__":
    np.seterr(all="ignore")
    print(table())
