"""A stage runs again exactly when what its result depends on has changed: code, settings, files and other stages."""

import ast
import inspect
import shutil
from fnmatch import fnmatch
from importlib import import_module

import grimp
import numpy as np
import pandas as pd
import pytest

from rsa_face import provenance
from rsa_face.human.observers import simulate_ratings
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study import graph
from rsa_face.study.config import Study, load_study
from rsa_face.study.graph import ALWAYS, Manifest, run_study, states_of
from rsa_face.study.stages import STAGES, planned_stages, steps_of

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
activations: {layers: [relu1, fc8]}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 20}
output: results
"""
RDMS = ["RDMs of alexnet", "RDMs of fe_alexnet"]
INFERENCE = ["comparison", "fe_alexnet minus alexnet", "localization"]
PLANNING = ["recovery of layers", "stability"]
# Packages that say how files are read and written and where work is done; what they write is checked by its content.
NO_RESULT = {"cluster", "markup", "memory", "safety"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    stimuli = draw_faces(folder / "faces", identities=2, levels=3, size=64)
    simulate_ratings(stimuli, participants=4)[0].to_csv(folder / "ratings.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    return folder


def made(folder, text=STUDY):
    """Run the study, and return the stages that were made, those that were up to date left out."""
    (folder / "study.yaml").write_text(text)
    lines = []
    run_study(load_study(folder / "study.yaml"), progress=False, say=lines.append)
    return [line.removesuffix(" ...") for line in lines if line.endswith(" ...")]


@pytest.fixture
def changed(monkeypatch):
    """Return how to have the source of a package changed."""

    def change(package):
        real = provenance.code_hash
        monkeypatch.setattr(graph, "code_hash", lambda name: f"{real(name)}{'*' * (name == package)}")

    return change


def test_a_run_that_is_stopped_says_what_it_has_yet_to_do_until_it_is_through(folder, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    study = load_study(folder / "study.yaml")
    with monkeypatch.context() as patched:
        patched.setattr("rsa_face.study.comparing.compare", stop)
        with pytest.raises(KeyboardInterrupt):
            run_study(study)
    states = {stage.name: stage.state for stage in states_of(study.output)}
    assert states.pop("RDMs of all networks") == "done"
    assert [name for name, state in states.items() if state == "missing"] == [*INFERENCE, "figures"]
    run_study(study)
    done = [stage.name for stage in states_of(study.output)]
    assert [stage for stage in states_of(study.output) if stage.state != "done"] == []
    assert "begun" not in Manifest(study.output, print).read()
    assert [name for name in done if name in planned_stages(study)] == planned_stages(study)


def test_what_did_not_change_is_not_made_again(folder):
    made(folder)
    assert made(folder) == []


def test_a_change_of_the_figures_code_makes_figures_and_nothing_else(folder, changed):
    made(folder)
    changed("figures")
    stale = {stage.name: stage.reason for stage in states_of(folder / "results") if stage.state == "stale"}
    assert stale == {"figures": "the code of figures has changed"}
    assert made(folder) == ["figures"]
    assert {stage.state for stage in states_of(folder / "results")} == {"done"}


@pytest.mark.parametrize(
    ("package", "stages"),
    [
        ("study.comparing", ["human RDMs", *INFERENCE, *PLANNING]),
        ("activations", RDMS),
        ("human", ["human RDMs"]),
    ],
)
def test_a_change_of_code_makes_what_rests_on_it_and_no_more_where_the_result_is_the_same(
    folder, changed, package, stages
):
    made(folder)
    changed(package)
    reasons = {stage.name: stage.reason for stage in states_of(folder / "results")}
    assert reasons[stages[0]] == f"the code of {package} has changed"
    assert made(folder) == stages


def test_a_change_of_the_schema_makes_everything(folder, changed):
    study = load_study(folder / "study.yaml")
    made(folder)
    changed("schema")
    again = made(folder)
    assert set(PLANNING) <= set(again)  # which not every study can have, so that none is promised
    assert [name for name in again if name not in PLANNING] == planned_stages(study)


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("draws: 20", "draws: 30", [*INFERENCE, "figures"]),
        ("resample: both", "resample: both, baseline: fe_alexnet", ["localization", "stability", "figures"]),
        ("layers: [relu1, fc8]", "layers: [relu1, fc8], batch: 12", RDMS),  # all twelve stimuli at once, as before
    ],
)
def test_a_setting_makes_the_stages_that_depend_on_it(folder, old, new, stages):
    made(folder)
    assert made(folder, STUDY.replace(old, new)) == stages


def test_data_make_the_stages_that_read_them(folder):
    made(folder)
    ratings = pd.read_csv(folder / "ratings.csv")
    try:
        ratings.assign(rating=ratings["rating"].to_numpy()[::-1]).to_csv(folder / "ratings.csv", index=False)
        states = {stage.name: stage for stage in states_of(folder / "results")}
        assert states["human RDMs"].reason == f"{folder / 'ratings.csv'} has changed"
        assert states["comparison"].reason == "rests on human RDMs"
        assert states["localization"].reason == "rests on comparison, human RDMs"
        assert [states[name].state for name in RDMS] == ["done", "done"]
        assert made(folder) == ["human RDMs", *INFERENCE, *PLANNING, "figures"]
    finally:
        ratings.to_csv(folder / "ratings.csv", index=False)


def test_a_picture_makes_the_stages_that_look_at_it(folder):
    made(folder)
    image = next((folder / "faces").rglob("*.png"))
    before = image.read_bytes()
    try:
        image.write_bytes(next(file for file in (folder / "faces").rglob("*.png") if file != image).read_bytes())
        states = {stage.name: stage.reason for stage in states_of(folder / "results") if stage.state == "stale"}
        assert set(RDMS) <= {name for name, reason in states.items() if reason == "the stimuli have changed"}
        again = made(folder)
        assert set(RDMS) < set(again)
        assert "human RDMs" not in again
    finally:
        image.write_bytes(before)


def test_what_a_study_does_not_ask_for_is_not_planned(folder):
    study = load_study(folder / "study.yaml").model_copy(update={"human": None})
    assert planned_stages(study) == ["masked faces", "stimuli", *RDMS, "RDMs of all networks", "figures"]


def test_a_file_that_is_gone_or_written_over_is_told_from_what_rests_on_it(folder):
    made(folder)
    results = folder / "results"
    (results / "layers.nc").unlink()
    (results / "stimuli.csv").write_text("stimulus,file\n")
    states = {stage.name: (stage.state, stage.reason) for stage in states_of(results)}
    assert states["comparison"] == ("missing", "no layers.nc")
    assert states["localization"][0] == "stale"
    assert "comparison" in states["localization"][1]
    assert states["stimuli"] == ("stale", "stimuli.csv is not what the stage wrote")
    assert made(folder) == ["stimuli", "comparison"]


def flip_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


STORED = """\
name: stored
stimuli: {table: faces/stimuli.csv}
networks: [{name: alexnet, preprocessing: {resize: 64, crop: 64}}]
activations: {layers: [relu1, fc8], store: STORE, batch: 4}
output: OUTPUT
"""


@pytest.mark.parametrize("where", ["inside/activations", "elsewhere"])
def test_a_damaged_file_of_an_activation_store_makes_its_network_again(folder, where):
    results = folder / ("inside" if "inside" in where else "beside")
    text = STORED.replace("STORE", where).replace("OUTPUT", results.name)
    made(folder, text)
    assert made(folder, text) == []
    rdms, store = results / "rdms.nc", folder / where / "alexnet.zarr"
    before, shard = rdms.read_bytes(), store / "alexnet/relu1/activation/c/1/0/0/0"  # the last two of six stimuli
    whole = shard.read_bytes()
    damage = {
        "is missing": lambda: shard.unlink(),
        "bytes, not": lambda: shard.write_bytes(whole[:-9]),
        "ValueError": lambda: flip_byte(shard),
    }
    for fault, do in damage.items():
        do()
        states = {one.name: one.reason for one in states_of(results, thorough=True) if one.state == "stale"}
        assert "alexnet/relu1, stimuli 4 to 5: the file" in states["RDMs of alexnet"]
        assert fault in states["RDMs of alexnet"]
        quick = {one.name for one in states_of(results) if one.state == "stale"}
        assert ("RDMs of alexnet" in quick) == (fault != "ValueError")
        assert made(folder, text)[0] == "RDMs of alexnet"
        assert shard.read_bytes() == whole
        assert rdms.read_bytes() == before
        assert {one.state for one in states_of(results, thorough=True)} == {"done"}


def test_a_store_that_the_study_wants_no_more_is_not_asked_for(folder):
    text = STORED.replace("STORE", "unwanted").replace("OUTPUT", "once")
    made(folder, text)
    shutil.rmtree(folder / "unwanted/alexnet.zarr")
    assert "RDMs of alexnet" in made(folder, text)
    shutil.rmtree(folder / "unwanted/alexnet.zarr")
    assert made(folder, text.replace("store: unwanted, ", "")) == []
    assert {one.state for one in states_of(folder / "once")} == {"done"}


def test_a_record_of_an_older_version_is_stale(folder):
    made(folder)
    manifest = Manifest(folder / "results", print)
    stages = manifest.read()["stages"]
    stages["figures"]["inputs"] = {"figures": ["layers"], "shown": "ab12"}
    manifest.note(stages=stages)
    states = {stage.name: stage.reason for stage in states_of(folder / "results")}
    assert states["figures"] == "made by an older version of rsa_face"


# The table


def test_every_file_that_a_stage_reads_is_written_by_an_earlier_one():
    written = []
    for stage in STAGES:
        inputs = (*stage.reads, *stage.uses)
        inputs = [file.replace("{trained}", "{network}") for file in inputs]  # one that holds the weights of another
        unknown = [file for file in inputs if not any(fnmatch(file, pattern) for pattern in written)]
        assert (stage.name, unknown) == (stage.name, [])
        written += [*stage.writes, *stage.may_write]


def functions():
    names = [(stage.name, name) for stage in STAGES for name in (stage.make, stage.unless) if name]
    return [pytest.param(name, id=f"{stage}-{name}") for stage, name in names]


@pytest.mark.parametrize("name", functions())
def test_what_makes_a_stage_exists_and_takes_a_run(name):
    module, _, function = name.partition(":")
    call = getattr(import_module(f"rsa_face.study.{module}"), function)
    each = [stage.each for stage in STAGES if name in (stage.make, stage.unless)]
    assert list(inspect.signature(call).parameters) == (["run"] if each[0] is None else ["run", "section"])


def keys_of(model, prefix=""):
    """Return every key of a study file, in dots; those of a section that may be absent, too."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        sections = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, graph.Study.__mro__[1])]
        yield f"{prefix}{name}"
        for section in sections:
            yield from keys_of(section, f"{prefix}{name}.")


def test_every_setting_of_a_study_is_one_that_some_stage_depends_on():
    settings = {key for stage in STAGES for key in (*stage.settings, *stage.data)}
    settings |= {"networks" if key == "network" else "rdms" if key == "measure" else key for key in settings}
    settings |= {"stimuli.table", "saliency.where"}  # by the pictures in it, and those that are chosen of it
    where_and_how = {"name", "output", "cluster", "activations.device", "activations.store", "caveats"}
    keys = set(keys_of(Study))
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    assert {"inference.seed", "psychophysics.curve.sigmoid", "training.lr"} <= leaves
    leaves = {key for key in leaves if not key.startswith("multiverse.")}  # analyses that a command of its own makes
    covered = {key for key in leaves if any(key == known or key.startswith(f"{known}.") for known in settings)}
    assert leaves - covered == where_and_how


def test_the_code_of_a_stage_is_closed_under_imports():
    imports = grimp.build_graph("rsa_face")
    lacking = {}
    for stage in STAGES:
        known = {*stage.code, *ALWAYS, *NO_RESULT, "studies"}
        modules = [name for name in imports.modules if _part(name, stage.code) in stage.code]
        others = {
            _part(name, stage.code)
            for module in modules
            for name in imports.find_modules_directly_imported_by(module)
        }
        others |= {_part(name, stage.code) for name in _used_by(stage.make)} - {"study"}
        if others - known:
            lacking[stage.name] = sorted(others - known)
    assert lacking == {}


def _part(module, code):
    """Return the package that a module belongs to, or the module itself where a stage's code names it alone."""
    name = module.partition(".")[2]
    return name if name in code else name.split(".")[0]


def _used_by(name):
    """Return the modules that a function takes something from, itself or by functions beside it."""
    module_name, _, function = name.partition(":")
    module = import_module(f"rsa_face.study.{module_name}")
    tree = ast.parse(inspect.getsource(module))
    homes = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rsa_face.")
        for alias in node.names
    }
    bodies = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    used, to_do = set(), [function]
    while to_do:
        names = {node.id for node in ast.walk(bodies.pop(to_do.pop(), ast.Pass())) if isinstance(node, ast.Name)}
        used |= {homes[name] for name in names & set(homes)}
        to_do += sorted(names & set(bodies))
    return used


def test_every_step_of_a_study_has_a_name_and_files_of_its_own(folder):
    steps = list(steps_of(load_study(folder / "study.yaml")))
    names = [step.name for step in steps]
    files = [file for step in steps for file in step.files("writes")]
    assert len(set(names)) == len(names)
    assert len(set(files)) == len(files)
    assert np.all([step.network in step.name for step in steps if step.network])
