"""Every reader of the package, with whole files of its kind that a fuzzer can damage."""

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import safetensors.numpy
import scipy.io
import torch
import xarray as xr
from PIL import Image
from torch import nn

from rsa_face.activations.extract import extract
from rsa_face.activations.store import describe_store, open_activations, verify_store
from rsa_face.cli.networks import training_settings
from rsa_face.human.choices import read_choices
from rsa_face.human.kinds import KINDS, template_of
from rsa_face.human.read import read_human
from rsa_face.networks.layers import name_modules
from rsa_face.networks.weights import read_record, read_state, read_weights
from rsa_face.networks.zoo import Network
from rsa_face.provenance import load, save
from rsa_face.psychophysics.choices import count_choices
from rsa_face.rdms.controls import control_rdms
from rsa_face.rdms.measures import compute_rdms
from rsa_face.report.page import write_report
from rsa_face.saliency.likeness import read_human_maps
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.images import read_image
from rsa_face.stimuli.occlusion import region_boxes
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.batch import describe_batch
from rsa_face.study.config import load_study
from rsa_face.study.folder import read_results
from rsa_face.study.graph import Manifest, states_of
from rsa_face.training.data import read_affectnet_csv, read_affectnet_npy, read_image_folder, read_training
from rsa_face.training.loop import read_checkpoint, write_checkpoint

Files = dict[str, list[bytes]]
IDS = ["a", "b", "c", "d"]


@dataclass(frozen=True)
class Reader:
    """A reader, the files it reads, and how they are read.

    Parameters
    ----------
    make : callable
        Writes whole files into a folder, and returns by name the contents that each may start from.
    read : callable
        Reads the folder, to the last value.
    text : bool
        Whether to damage the files as text rather than as bytes.
    """

    make: Callable[[Path], Files]
    read: Callable[[Path], Any]
    text: bool = True


def picture(folder: Path, name: str, side: int = 12) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = np.random.default_rng(len(name)).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(shades).save(path)
    return path


def human_rdms() -> xr.DataArray:
    values = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))[None].repeat(2, axis=0)
    coords = {"participant": ["p1", "p2"], "stimulus_i": IDS, "stimulus_j": IDS}
    return xr.DataArray(
        values,
        coords,
        ("participant", "stimulus_i", "stimulus_j"),
        name="dissimilarity",
        attrs={"simulated": True, "left_out": {}, "kind": "rdm"},
    )


def tiny_network(name: str = "tiny") -> Network:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 10 * 10, 5))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 5)
    return Network(name, module.eval(), name_modules(module), Preprocessing(resize=12, crop=12))


def tiny_stimuli(folder: Path) -> StimulusSet:
    files = [str(picture(folder / "images", f"{name * (place + 1)}.png")) for place, name in enumerate(IDS)]
    return StimulusSet(pd.DataFrame({"stimulus": IDS, "file": files, "level": [-1.0, 0.0, 0.5, 1.0]}))


def _one(name: str, *contents: str | bytes) -> Callable[[Path], Files]:
    return lambda _folder: {name: [one.encode() if isinstance(one, str) else one for one in contents]}


def _study(folder: Path) -> Files:
    picture(folder, "a.png")
    (folder / "stimuli.csv").write_text("stimulus,file\na,a.png\n")
    (folder / "ratings.csv").write_text("participant,stimulus_a,stimulus_b,rating\n")
    text = """\
name: small
stimuli: {table: stimuli.csv, occlusion: [none, mouth], fill: gray}
networks:
  - {name: alexnet, classes: 10, seed: 1, preprocessing: &small {resize: 64, crop: 64, mean: [0.5, 0.5, 0.5]}}
  - {name: fe_alexnet, label: other, attention: {position: conv5, reduction: 8}, seeds: [0, 1]}
training: {table: stimuli.csv, label: level, epochs: 1, lr: 1.0e-4, rule: {'1': happy}, validation: 0.2, patience: 2}
activations: {store: stores, layers: [relu1, fc8], dtype: float16, batch: 4}
rdms: {measure: correlation}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {comparison: rho-a, resample: both, draws: 60, controls: [pixels, identity]}
choices: {table: ratings.csv, curve: {guess: 0.02}}
saliency: {layer: relu5}
output: results
"""
    short = "name: s\nstimuli: {table: stimuli.csv}\nnetworks: [{name: alexnet}]\noutput: out\n"
    return {"study.yaml": [text.encode(), short.encode()]}


def _stimuli(folder: Path) -> Files:
    picture(folder, "a.png")
    picture(folder, "b.png")
    plain = "stimulus,file,identity,level,eyes\na,a.png,x,-1,0 0 3 3\nb,b.png,y,0.5,1 1 4 4\n"
    return {"stimuli.csv": [plain.encode(), plain.replace(",", "\t").encode(), "\ufeff".encode() + plain.encode()]}


def _read_stimuli(folder: Path) -> Any:
    stimuli = read_stimuli(folder / "stimuli.csv")
    region_boxes(stimuli, ["eyes", "mouth"])
    return stimuli.content_hash()


def _squares() -> list[Any]:
    square = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    upper = square[np.triu_indices(4, 1)]
    return [square, np.stack([square, square]), upper, np.stack([upper, upper]), square.astype("f4"), square > 0]


def _strange() -> list[Any]:
    dates = np.array(["2020-01-01"] * 6, dtype="datetime64[D]")
    return [
        np.array(3.0), np.zeros((0, 0)), np.zeros((1, 1)), np.zeros((2, 2)), np.zeros((2, 3, 4)), np.zeros((1, 1, 1, 6)),
        np.full((4, 4), np.nan), np.full((4, 4), np.inf), np.full(6, 1 + 1j), np.array(list("abcdef")),
        np.array([b"a"] * 6), dates, np.zeros(6, [("RDM", "f8")]), -np.ones((4, 4)), np.full((3, 3), 1e308),
    ]  # fmt: skip


def _npz(_folder: Path) -> Files:
    contents = []
    for values in [*_squares(), *_strange()]:
        for names in ({}, {"stimuli": np.array(IDS)}, {"participants": np.array(["p"])}, {"labels": values}):
            file = io.BytesIO()
            np.savez(file, rdms=values, **names)
            contents.append(file.getvalue())
    return {"rdms.npz": contents}


def _npy(_folder: Path) -> Files:
    contents = []
    for values in [*_squares(), *_strange()]:
        file = io.BytesIO()
        np.save(file, values)
        contents.append(file.getvalue())
    return {"rdms.npy": contents}


def _mat(_folder: Path) -> Files:
    plain = [{"rdms": values} for values in (*_squares(), *_strange()) if values.dtype.kind in "fbU"]
    struct = np.zeros((1, 2), dtype=[("RDM", "O"), ("name", "O")])
    for place in range(2):
        struct[0, place] = (_squares()[0], f"subject | p{place}")
    cells = np.array(["a", "b", "c", "d"], dtype=object)
    held = [*plain, {"rdms": struct}, {"rdms": _squares()[0], "labels": cells}, {"x": "text"}, {"rdms": {"RDM": 1}}]
    held += [{"rdmutv": _squares()[2][None], "stimuli": np.array(IDS)}]
    contents = []
    for one in held:
        file = io.BytesIO()
        scipy.io.savemat(file, one)
        contents.append(file.getvalue())
    return {"rdms.mat": contents}


def _hdf5_of(fill: Callable[[h5py.File], None]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file.getvalue()


def _mat73(_folder: Path) -> Files:
    contents = [_hdf5_of(lambda f, v=v: f.create_dataset("rdms", data=v) and None)
                for v in (*_squares(), *_strange()) if v.dtype.kind in "fbc" and v.dtype.names is None]  # fmt: skip

    def with_names(file: h5py.File) -> None:
        file["rdms"] = _squares()[0]
        refs = []
        for name in IDS:
            file[f"#refs#/{name}"] = np.array([ord(letter) for letter in name], dtype="u2")
            refs.append(file[f"#refs#/{name}"].ref)
        file.create_dataset("labels", data=np.array(refs, dtype=h5py.ref_dtype))

    return {"rdms.mat": [*contents, _hdf5_of(with_names)]}


def _rsatoolbox(_folder: Path) -> Files:
    def fill(file: h5py.File, values: Any, **more: Any) -> None:
        file["dissimilarities"] = values
        file.create_group("descriptors").attrs["note"] = "x"
        patterns = file.create_group("pattern_descriptors")
        patterns["stimulus"] = np.array(IDS, dtype="S")
        people = file.create_group("rdm_descriptors")
        people["participant"] = np.array(["p1"], dtype="S")
        for name, value in more.items():
            people[name] = value

    upper = _squares()[2]
    contents = [_hdf5_of(lambda f, v=v: fill(f, v)) for v in (upper[None], upper, upper[:5], np.zeros((2, 6)), 3.0)]
    contents += [_hdf5_of(lambda f: fill(f, upper[None], coverage=np.ones((1, 6)), n_trials=np.array([6])))]
    contents += [_hdf5_of(lambda f: fill(f, upper[None], coverage=np.ones(5), n_trials=np.array([6, 7])))]
    contents += [_hdf5_of(lambda f: f.create_dataset("dissimilarities", data=h5py.Empty("f")) and None)]
    return {"rdms.h5": contents}


def _netcdf(folder: Path) -> Files:
    array = human_rdms()
    strange = [
        array, array.isel(participant=0, drop=True), array.to_dataset(), array.astype(str), array > 1,
        array.rename(stimulus_j="other"), array.drop_vars("participant"), xr.Dataset({"dissimilarity": 3}),
        array.assign_coords(n_trials=("participant", [1, 2]), coverage=array.astype(int)), xr.Dataset(),
        array.assign_coords(n_trials=("stimulus_i", [1, 2, 3, 4])),
    ]  # fmt: skip
    contents = [save(one, folder / "one.nc").read_bytes() for one in strange]
    (folder / "one.nc").unlink()

    def attr(name: str, value: Any) -> Callable[[h5py.File], None]:
        def fill(file: h5py.File) -> None:
            file.attrs[name] = value

        return fill

    contents += [_hdf5_of(attr("json:x", "{")), _hdf5_of(attr("json:x", 3)), _hdf5_of(attr("__array__", 1))]
    contents += [_hdf5_of(attr("rsa_face_array", "none")), _hdf5_of(attr("rsa_face_array", 1))]
    return {"rdms.nc": contents}


def _meadows_json(_folder: Path) -> Files:
    def place(one: int, at: float) -> dict[str, Any]:
        return {"id": str(one), "x": at, "y": at * at}

    task = {
        "task": {"task_type": "multiarrange", "name": "first"},
        "stimuli": [{"id": str(place), "name": f"{name}.png"} for place, name in enumerate(IDS)],
        "trials": [
            {"positions": [place(one, one / 3) for one in range(4)]},
            {"positions": [place(0, 0), place(1, 1)]},
        ],
        "rdm": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    }
    return {"tree.json": [json.dumps(task).encode(), json.dumps({"p-one": {"tasks": [task]}}).encode()]}


def _meadows_mat(_folder: Path) -> Files:
    upper = _squares()[2][None]
    many = {f"rdmutv_p{one}": upper for one in range(2)} | {f"stimuli_p{one}": np.array(IDS) for one in range(2)}
    odd = [{"rdmutv": upper, "stimuli": values} for values in (*_squares(), *_strange()) if values.dtype.kind in "fU"]
    contents = []
    for one in ({"rdmutv": upper, "stimuli": np.array(IDS)}, many, {"rdmutv": upper[:, :5], "stimuli": IDS}, *odd):
        file = io.BytesIO()
        scipy.io.savemat(file, one)
        contents.append(file.getvalue())
    return {"Meadows_exp_v_v1_nice-newt_1D.mat": contents}


def _choices(_folder: Path) -> Files:
    header = "participant,stimulus,level,occlusion,response,simulated\n"
    rows = "p1,a,-1,none,sad,true\np1,b,0.5,mouth,happy,true\np2,a,-1,none,happy,true\n"
    chances = "network,seed,level,p_happy,trials\nn,0,-1,0.2,5\nn,1,0.5,0.9,6\n"
    return {
        "choices.csv": [(header + rows).encode(), chances.encode(), ("# simulated: true\n" + header + rows).encode()]
    }


def _training(folder: Path) -> Files:
    for name in ("a.png", "b.png"):
        picture(folder, name)
    return {
        "training.csv": [
            b"file,valence,identity\na.png,happy,x\nb.png,sad,y\n",
            b"stimulus,file,valence\na,a.png,1\nb,b.png,-1\n",
        ]
    }


def _affectnet(folder: Path) -> Files:
    for name in ("1/a.png", "1/b.png"):
        picture(folder, name)
    header = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    )
    rows = "1/a.png,0,0,9,9,1;2,1,0.5,0.1\n1/b.png,1,1,8,8,3;4,2,-0.6,0.2\n"
    return {"training.csv": [(header + rows).encode()]}


def _affectnet_npy(folder: Path) -> Files:
    found: Files = {}
    for number, expression, valence in ((1, "1", "0.4"), (2, "2", "-0.5")):
        picture(folder, f"images/{number}.png")
        for what, value in (("exp", expression), ("val", valence)):
            contents = []
            for one in (np.array(value), np.array(float(value)), *_strange()[:6]):
                file = io.BytesIO()
                np.save(file, one)
                contents.append(file.getvalue())
            found[f"annotations/{number}_{what}.npy"] = contents
    return found


def _folder_of_faces(folder: Path) -> Files:
    return {f"{name}/{one}": [picture(folder, f"{name}/{one}").read_bytes()]
            for name in ("happy", "sad") for one in ("a.png", "b.jpg")}  # fmt: skip


def _tensors() -> dict[str, np.ndarray[Any, Any]]:
    shapes = {f"features.{place}.weight": (4, 3, 2, 2) for place in (0, 3, 6, 8, 10)}
    shapes |= {"features.0.bias": (4,), "classifier.6.weight": (2, 8)}
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def _safetensors(folder: Path) -> Files:
    record = {
        "preprocessing": {"resize": 64, "crop": 64},
        "outputs": ["sad", "happy"],
        "untrained": [],
        "attention": [],
    }
    odd = [{"rsa_face": json.dumps(record)}, {}, {"rsa_face": "[]"}, {"rsa_face": "{"}, {"rsa_face": "3"}]
    odd += [
        {"rsa_face": json.dumps({**record, name: value})}
        for name in record
        for value in (3, None, "x", {"a": 1}, [1])
    ]
    contents = [safetensors.numpy.save(_tensors(), metadata=one or None) for one in odd]
    whole = write_checkpoint(folder / "one.safetensors", {"a": torch.ones(2)}, {"epoch": 3})
    contents.append(whole.read_bytes())
    whole.unlink()
    return {"weights.safetensors": contents}


def _pth(_folder: Path) -> Files:
    tensors = {name: torch.from_numpy(values) for name, values in _tensors().items()}
    held = [
        tensors,
        {"state_dict": tensors},
        {"model": {"net": tensors}, "epoch": 3},
        [tensors],
        {"a": 1},
        torch.ones(3),
    ]
    held += [{1: torch.ones(2)}, {"features.0.weight": torch.tensor(1.0)}, {"conv1_1.weight": torch.ones(1)}, {}]
    contents = []
    for one in held:
        for new in (True, False):
            file = io.BytesIO()
            torch.save(one, file, _use_new_zipfile_serialization=new)
            contents.append(file.getvalue())
    return {"weights.pth": contents}


def _read_any_weights(path: Path) -> Any:
    faults = []
    for read in (read_state, read_record, read_weights):
        try:
            read(path)
        except (ValueError, TypeError, OSError) as error:
            faults.append(error)
    if path.suffix == ".safetensors":
        read_checkpoint(path)
    if faults:
        raise faults[-1]


def _store(folder: Path) -> Files:
    extract([tiny_network()], tiny_stimuli(folder), folder / "one.zarr", layers="all", batch=2)
    files = [file for file in sorted((folder / "one.zarr").rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): [file.read_bytes()] for file in files}


def _read_store(folder: Path) -> Any:
    describe_store(folder / "one.zarr")
    verify_store(folder / "one.zarr")
    tree = open_activations(folder / "one.zarr")
    return compute_rdms(tree, measure="correlation").values


def _unfinished_store(folder: Path) -> Files:
    """A store whose second batch failed; the whole one beside it holds what must come of going on."""
    stimuli, network, calls = tiny_stimuli(folder), tiny_network(), []

    def fail_later(*_: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise InterruptedError

    extract([network], stimuli, folder / "whole.zarr", layers="all", batch=1)
    hook = network.module.register_forward_pre_hook(fail_later)
    with contextlib.suppress(InterruptedError):
        extract([network], stimuli, folder / "one.zarr", layers="all", batch=1)
    hook.remove()
    files = [file for file in sorted((folder / "one.zarr").rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): [file.read_bytes()] for file in files if file.suffix != ".lock"}


def _go_on(folder: Path) -> Any:
    for path in sorted((folder / "on.zarr").rglob("*"), reverse=True):  # by whole paths, for who watches
        path.rmdir() if path.is_dir() else path.unlink()
    shutil.copytree(folder / "one.zarr", folder / "on.zarr", dirs_exist_ok=True)
    tree = extract([tiny_network()], tiny_stimuli(folder), folder / "on.zarr", layers="all", batch=1)
    whole = open_activations(folder / "whole.zarr")
    for layer in whole["tiny"].children:
        np.testing.assert_array_equal(tree[f"tiny/{layer}"]["activation"], whole[f"tiny/{layer}"]["activation"])


def _control_table(_folder: Path) -> Files:
    square = ",a,b,c,d\na,0,1,2,3\nb,1,0,1,2\nc,2,1,0,1\nd,3,2,1,0\n"
    return {"control.csv": [square.encode(), "\ufeff".encode() + square.encode(), square.replace("0", "").encode()]}


def _control_rdms(folder: Path) -> Files:
    layers = human_rdms().rename(participant="rdm")
    held = [layers, layers[0], layers[0].drop_vars("rdm"), layers.to_dataset(), layers.assign_coords(rdm=["a", "a"])]
    held += [layers.where(layers > 1), layers.astype(str), layers.isel(stimulus_i=slice(3), stimulus_j=slice(3))]
    contents = [save(one, folder / "one.nc").read_bytes() for one in held]
    (folder / "one.nc").unlink()
    return {"control.nc": contents}


def _read_control(name: str) -> Callable[[Path], Any]:
    return lambda folder: control_rdms(tiny_stimuli(folder), [folder / name]).values


def _training_settings(_folder: Path) -> Files:
    text = """\
label: valence
classes: [sad, happy]
epochs: 3
lr: 1e-4
batch: 8
dropout: 0.5
schedule: cosine
augmentation: {flip: 0.5, shift: 0.05}
validation: 0.2
patience: 2
device: cpu
"""
    return {"settings.yaml": [text.encode(), b"epochs: 1\n"]}


def _shown(folder: Path) -> Files:
    """Results of every sort, and strange ones in their place."""
    files = _results(folder)
    result = load(folder / "layers.nc")
    assert isinstance(result, xr.Dataset)
    whole = result.assign(
        similarity_interval=(("rdm", "bound"), [[0.0, 0.2], [0.1, 0.3]]),
        noise_ceiling=("bound", [0.3, 0.4]),
        participant_similarity=(("rdm", "participant"), [[0.1, 0.2], [0.3, np.nan]]),
        p_above_zero=("rdm", [0.01, 0.5]),
    ).assign_coords(bound=["lower", "upper"], participant=["p1", "p2"], order=("rdm", [0, 1]))
    strange = [
        whole, whole.drop_vars("noise_ceiling"), whole.assign(similarity=("rdm", [np.nan, np.inf])),
        whole.assign(similarity=("rdm", ["a", "b"])), whole.drop_vars(["depth", "order"]), whole.drop_vars("bound"),
        whole.assign_attrs(untrained=3, simulated="perhaps", comparison=[1]), whole.isel(rdm=slice(0)),
        whole.isel(bound=slice(1)), whole.assign_coords(network=("rdm", [1, 2])), whole.assign(noise_ceiling=0.3),
        whole.assign_attrs(draws="many", resample=["x"], skipped={"a": 1}, confidence="high"),
    ]  # fmt: skip
    files["layers.nc"] += [save(one, folder / "layers.nc").read_bytes() for one in strange]
    return files


def _manifest(folder: Path) -> Files:
    study = Manifest(folder, lambda _line: None)
    study.stage("first", lambda: (folder / "a.txt").write_text("a"), inputs={"x": [1, "y"]}, outputs=["a.txt"])
    study.note(name="small", study={"stimuli": {"table": str(folder / "none.csv")}})
    return {"manifest.json": [(folder / "manifest.json").read_bytes()]}


def _read_manifest(folder: Path) -> Any:
    states_of(folder)
    manifest = Manifest(folder, lambda _line: None)
    manifest.stage("first", lambda: (folder / "a.txt").write_text("a"), inputs={"x": [1, "y"]}, outputs=["a.txt"])
    return manifest.outputs()["a.txt"]


def _units(folder: Path) -> Files:
    save(human_rdms().assign_attrs(made_from="x"), folder / "one.nc")
    return {"units.json": [b'{"one": "x", "two": "y"}'], "one.nc": [(folder / "one.nc").read_bytes()]}


def _results(folder: Path) -> Files:
    save(human_rdms(), folder / "human_rdms.nc")
    layers = (
        human_rdms()
        .rename(participant="rdm")
        .assign_coords(network=("rdm", ["n", "n"]), layer=("rdm", ["l", "m"]), depth=("rdm", [0.5, 1.0]))
    )
    save(layers.assign_attrs(untrained=["n"]), folder / "rdms.nc")
    result = xr.Dataset({"similarity": ("rdm", [0.1, 0.2])}, layers.coords, {"simulated": True, "comparison": "corr"})
    save(result.drop_vars(["stimulus_i", "stimulus_j"]), folder / "layers.nc")
    (folder / "manifest.json").write_text(
        '{"stages": {}, "name": "s", "study": {"name": "s"}, "stimuli": {"table": "t"}}'
    )
    names = ("human_rdms.nc", "rdms.nc", "layers.nc", "manifest.json")
    return {name: [(folder / name).read_bytes()] for name in names}


def _read_results(folder: Path) -> Any:
    found = read_results(folder)
    return found.name, found.simulated, found.untrained, found._repr_html_()


def _fixations(folder: Path) -> Files:
    tiny_stimuli(folder)
    rows = "stimulus,x,y,duration\na,3,4,0.2\nb,5,5,0.3\n"
    return {"fixations.csv": [rows.encode(), b"x,y\n1,2\n3,4\n", rows.replace(",", "\t").encode()]}


def _read_maps(folder: Path, name: str) -> Any:
    attrs = {"preprocessing": Preprocessing(resize=12, crop=12).record()}
    maps = xr.DataArray(np.ones((4, 12, 12)), {"stimulus": IDS}, ("stimulus", "row", "column"), attrs=attrs)
    return read_human_maps(folder / name, tiny_stimuli(folder), maps)


def _images(folder: Path) -> Files:
    contents = []
    for mode, ending in (("RGB", "png"), ("L", "png"), ("P", "png"), ("RGBA", "png"), ("I;16", "png"), ("RGB", "jpeg"),
                         ("RGB", "tiff"), ("L", "bmp"), ("P", "gif"), ("RGB", "webp"), ("F", "tiff"), ("1", "png"),
                         ("CMYK", "jpeg"), ("RGB", "ppm"), ("RGB", "ico")):  # fmt: skip
        file = io.BytesIO()
        Image.new(mode, (16, 16)).save(file, ending)
        contents.append(file.getvalue())
    return {"one.png": contents}


def _templates(kind: str) -> Callable[[Path], Files]:
    plain = "\n".join([",".join(KINDS[kind].example), *KINDS[kind].rows]) + "\n"
    wide = plain.replace(",", ";").encode("utf-16")
    return _one("trials.csv", plain, template_of(kind), plain.replace(",", "\t"), wide)


def _read_trials(kind: str, **how: Any) -> Callable[[Path], Any]:
    return lambda folder: read_human(folder / "trials.csv", kind=kind, **how)


def _renaming(folder: Path) -> Files:
    rows = "\n".join([",".join(KINDS["choice"].example), *KINDS["choice"].rows]) + "\n"
    return {
        "trials.csv": [rows.encode()],
        "names.csv": [b"old,new\nface_01,a\nface_02,b\nface_03,c\n"],
        "people.csv": [b"participant,group\np01,x\np02,y\n"],
        "ids.csv": [b"stimulus\na\nb\nc\n", b"a\nb\nc\n"],
    }


def _read_renamed(folder: Path) -> Any:
    layout = {"rename": folder / "names.csv", "participants": folder / "people.csv"}
    return read_human(folder / "trials.csv", kind="choice", layout=layout, stimuli=folder / "ids.csv")


def _read_rdms(name: str) -> Callable[[Path], Any]:
    return lambda folder: read_human(folder / name, kind="rdm")


READERS: Mapping[str, Reader] = {
    "study file": Reader(_study, lambda folder: load_study(folder / "study.yaml")),
    "stimulus table and regions": Reader(_stimuli, _read_stimuli),
    **{f"human {kind}": Reader(_templates(kind), _read_trials(kind)) for kind in KINDS},
    "human choice as curve": Reader(_templates("choice"), _read_trials("choice", options={"distance": "curve"})),
    "human samediff as d'": Reader(
        _one("trials.csv", "participant,stimulus_a,stimulus_b,response\np,a,b,same\np,a,a,same\np,b,c,different\n"),
        _read_trials("samediff", options={"distance": "dprime"}),
    ),
    "human choice by occlusion": Reader(_templates("choice"), _read_trials("choice", layout={"by": "occlusion"})),
    "human names and participants": Reader(_renaming, _read_renamed),
    "human rdm npz": Reader(_npz, _read_rdms("rdms.npz"), text=False),
    "human rdm npy": Reader(_npy, _read_rdms("rdms.npy"), text=False),
    "human rdm mat": Reader(_mat, _read_rdms("rdms.mat"), text=False),
    "human rdm mat 7.3": Reader(_mat73, _read_rdms("rdms.mat"), text=False),
    "human rdm rsatoolbox": Reader(_rsatoolbox, _read_rdms("rdms.h5"), text=False),
    "human rdm netCDF": Reader(_netcdf, _read_rdms("rdms.nc"), text=False),
    "Meadows json": Reader(_meadows_json, lambda folder: read_human(folder / "tree.json", kind="arrangement")),
    "Meadows json from trials": Reader(
        _meadows_json,
        lambda folder: read_human(folder / "tree.json", kind="arrangement", options={"estimate": "trials"}),
    ),
    "Meadows mat": Reader(
        _meadows_mat,
        lambda folder: read_human(folder / "Meadows_exp_v_v1_nice-newt_1D.mat", kind="arrangement"),
        text=False,
    ),
    "choices": Reader(_choices, lambda folder: count_choices(read_choices(folder / "choices.csv"))),
    "training table": Reader(_training, lambda folder: read_training(folder / "training.csv").content_hash()),
    "AffectNet csv": Reader(_affectnet, lambda folder: read_affectnet_csv(folder / "training.csv").content_hash()),
    "AffectNet npy": Reader(_affectnet_npy, lambda folder: read_affectnet_npy(folder).content_hash(), text=False),
    "folder of faces": Reader(_folder_of_faces, lambda folder: read_image_folder(folder).content_hash(), text=False),
    "safetensors": Reader(_safetensors, lambda folder: _read_any_weights(folder / "weights.safetensors"), text=False),
    "pth": Reader(_pth, lambda folder: _read_any_weights(folder / "weights.pth"), text=False),
    "saved array": Reader(_netcdf, lambda folder: load(folder / "rdms.nc"), text=False),
    "activation store": Reader(_store, _read_store, text=False),
    "unfinished activation store": Reader(_unfinished_store, _go_on, text=False),
    "control RDM csv": Reader(_control_table, _read_control("control.csv")),
    "control RDM netCDF": Reader(_control_rdms, _read_control("control.nc"), text=False),
    "settings of a training": Reader(
        _training_settings, lambda folder: training_settings(folder / "settings.yaml", label="valence", epochs=None)
    ),
    "report of a results folder": Reader(_shown, write_report),
    "manifest": Reader(_manifest, _read_manifest),
    "batch of RDMs": Reader(_units, describe_batch),
    "results folder": Reader(_results, _read_results, text=False),
    "fixations": Reader(_fixations, lambda folder: _read_maps(folder, "fixations.csv")),
    "image": Reader(_images, lambda folder: read_image(folder / "one.png"), text=False),
}


def zip_of(names: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return file.getvalue()
