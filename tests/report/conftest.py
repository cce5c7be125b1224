"""A small made-up study on disk, with ids that would break a careless page; nothing in it was measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from rsa_face.provenance import save
from rsa_face.study.folder import StudyFolder, read_results
from tests.made_up import made_up_localization

LAYERS = {"alexnet": ["relu1", "relu5", "fc8"], "fe_alexnet": ["relu1", "relu5", "fe", "fc8"]}
IDS = ["plain", "two words", "</script><b>", "\"quoted\" 'id'", "a&b;", "happy \U0001f600", "1=1", "Änne"]
COLORS = [(30 * n, 255 - 30 * n, 90) for n in range(8)]


def write_study(folder: Path) -> Path:
    """Write a study's output folder: 8 stimuli under 2 occlusions, 7 layers, 5 simulated observers."""
    rng = np.random.default_rng(0)
    ids = [f"{name} {occlusion}" for occlusion in ("none", "eyes") for name in IDS]
    for n, color in enumerate(COLORS):
        Image.new("RGB", (32, 32), color).save(folder / f"{n}.png")
    factors = {
        "identity": np.repeat(["i0", "i1"], 4).tolist() * 2,
        "level": np.tile([-1.0, -0.3, 0.3, 1.0], 4),
        "occlusion": ["none"] * 8 + ["eyes"] * 8,
    }
    table = pd.DataFrame({"stimulus": ids, "file": [f"{n % 8}.png" for n in range(16)], **factors})
    table.to_csv(folder / "stimuli.csv", index=False)
    rows = [
        (name, layer, n, (n + 1) / len(layers)) for name, layers in LAYERS.items() for n, layer in enumerate(layers)
    ]
    along = {
        "rdm": np.array([f"{row[0]}/{row[1]}" for row in rows], dtype=object),
        "network": ("rdm", np.array([row[0] for row in rows], dtype=object)),
        "layer": ("rdm", np.array([row[1] for row in rows], dtype=object)),
        "order": ("rdm", [row[2] for row in rows]),
        "depth": ("rdm", [row[3] for row in rows]),
    }
    points = rng.normal(size=(len(rows) + 5, 16, 3))
    values = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    stimuli = {"stimulus_i": np.array(ids, dtype=object), "stimulus_j": np.array(ids, dtype=object)}
    carried = {name: ("stimulus_i", np.asarray(part, dtype=object if name != "level" else float))
               for name, part in factors.items()}  # fmt: skip
    dims = ("stimulus_i", "stimulus_j")
    attrs = {"measure": "correlation", "untrained": ["alexnet"]}
    rdms = xr.DataArray(values[: len(rows)], along | stimuli | carried, ("rdm", *dims), attrs=attrs)
    people = np.array([f"p{n}" for n in range(5)], dtype=object)
    human = xr.DataArray(values[len(rows) :], {"participant": people, **stimuli}, ("participant", *dims),
                         attrs={"kind": "rating", "simulated": True})  # fmt: skip
    human[:, 0, 1] = human[:, 1, 0] = np.nan
    each = rng.uniform(0.1, 0.3, size=(len(rows), 5))
    mean = each.mean(axis=1)
    result = xr.Dataset(
        {
            "similarity": ("rdm", mean),
            "participant_similarity": (("rdm", "participant"), each),
            "similarity_interval": (("rdm", "bound"), mean[:, None] + [-0.05, 0.05]),
            "noise_ceiling": ("bound", [0.35, 0.45]),
            "p_above_zero": ("rdm", np.full(len(rows), 0.01)),
        },
        along | {"participant": people, "bound": ["lower", "upper"]},
        {"comparison": "rho-a", "measure": "correlation", "resample": "both", "draws": 200, "seed": 0,
         "confidence": 0.95, "interval_kind": "percentile", "simulated": True},
    )  # fmt: skip
    for name, part in _more(rng).items():
        save(part.assign_attrs(simulated=True), folder / f"{name}.nc")
    save(result, folder / "layers.nc")
    save(rdms, folder / "rdms.nc")
    save(human, folder / "human_rdms.nc")
    networks = [{"name": name, "weights": "random", "seed": 0} for name in LAYERS]
    manifest = {
        "study": {"name": "<i>small</i> study", "networks": networks},
        "versions": {"python": "3.11", "torch": "2.14"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _more(rng: np.random.Generator) -> dict[str, xr.Dataset]:
    """Return the answers and the choices of the made-up study."""
    targets = ["peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"]
    layers = [*LAYERS["fe_alexnet"], "none"]
    probability = {name: dict(zip(layers, rng.dirichlet(np.ones(5)).tolist(), strict=True)) for name in targets}
    picked = {name: max(shares, key=lambda layer: shares[layer]) for name, shares in probability.items()}
    between = {"network": "fe_alexnet", "baseline": "alexnet", "comparison": "rho-a", "confidence": 0.95}
    where = made_up_localization(LAYERS["fe_alexnet"], probability, picked, comparison="rho-a")
    value = np.array([-0.02, 0.01, 0.08])
    contrast = xr.Dataset(
        {"difference": ("layer", value), "difference_band": (("layer", "bound"), value[:, None] + [-0.04, 0.04])},
        {"layer": LAYERS["alexnet"], "bound": ["lower", "upper"]}, between,
    )  # fmt: skip
    levels, dims = np.linspace(-1, 1, 5), ("occlusion", "level")
    curves = 1 / (1 + np.exp(-4 * levels - np.array([0.0, 0.8])[:, None]))
    people = xr.Dataset(
        {"proportion": (("participant", *dims), np.stack([curves, curves**2]))},
        {"level": levels, "occlusion": ["none", "eyes"], "participant": ["p0", "p1"]},
    )
    networks = people.isel(participant=[0]).rename(participant="network").assign_coords(network=["fe_alexnet"])
    return {
        "localization": where,
        "contrast": contrast,
        "contrast_other": contrast.assign_attrs(baseline="vgg16"),
        "psychometric": people,
        "psychometric_networks": networks,
    }


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """Return the folder of a made-up study; tests that change it copy it first."""
    return write_study(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def study(results) -> StudyFolder:
    """Return the made-up study as the report reads it; not to be changed."""
    return read_results(results)
