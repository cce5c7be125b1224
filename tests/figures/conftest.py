"""A made-up study for figures: five networks, eight observers, twenty-four stimuli; nothing in it was measured."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from PIL import Image, ImageDraw

from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from tests.made_up import made_up_localization

VGG16 = [f"relu{b}_{n}" for b, m in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, m + 1)]
HEADS = ["relu6", "relu7", "fc8"]
LAYERS = {
    "alexnet": [*(f"relu{n}" for n in range(1, 6)), *HEADS],
    "fe_alexnet": [*(f"relu{n}" for n in range(1, 6)), "fe", *HEADS],
    "vgg11": ["relu1_1", "relu2_1", "relu3_1", "relu3_2", "relu4_1", "relu4_2", "relu5_1", "relu5_2", *HEADS],
    "vgg13": [*(f"relu{b}_{n}" for b in range(1, 6) for n in (1, 2)), *HEADS],
    "vgg16": [*VGG16, *HEADS],
}


def made_up_result(networks=tuple(LAYERS), people=8, draws=200, seed=0, **attrs) -> xr.Dataset:
    """Return a result as a comparison with draws gives it, from random numbers."""
    rng = np.random.default_rng(seed)
    rows = [
        (name, layer, i, (i + 1) / len(LAYERS[name])) for name in networks for i, layer in enumerate(LAYERS[name])
    ]
    depth = np.array([row[3] for row in rows])
    gain = np.array([0.08 * (row[0] == "fe_alexnet") for row in rows])
    truth = 0.05 + 0.22 * np.sin(1.5 * depth) + gain * depth
    each = truth[:, None] + rng.normal(0, 0.06, (len(rows), people))
    drawn = truth + rng.normal(0, 0.025, (draws, len(rows))).cumsum(axis=1) * 0.3
    mean = each.mean(axis=1)
    drawn += mean - drawn.mean(axis=0)
    p_zero = np.clip((drawn <= 0.12).mean(axis=0), 1 / draws, 1)
    p_ceiling = np.clip((drawn >= 0.30).mean(axis=0), 1 / draws, 1)
    return xr.Dataset(
        {
            "similarity": ("rdm", mean),
            "participant_similarity": (("rdm", "participant"), each),
            "similarity_interval": (("rdm", "bound"), np.quantile(drawn, [0.025, 0.975], axis=0).T),
            "similarity_draws": (("draw", "rdm"), drawn),
            "noise_ceiling": ("bound", [0.30, 0.37]),
            "p_above_zero": ("rdm", p_zero),
            "p_above_zero_corrected": ("rdm", np.clip(p_zero * 3, 0, 1)),
            "p_below_ceiling": ("rdm", p_ceiling),
            "p_below_ceiling_corrected": ("rdm", np.clip(p_ceiling * 3, 0, 1)),
        },
        {
            "rdm": np.array([f"{row[0]}/{row[1]}" for row in rows], dtype=object),
            "network": ("rdm", np.array([row[0] for row in rows], dtype=object)),
            "layer": ("rdm", np.array([row[1] for row in rows], dtype=object)),
            "order": ("rdm", [row[2] for row in rows]),
            "depth": ("rdm", depth),
            "participant": np.array([f"p{n:02}" for n in range(people)], dtype=object),
            "bound": ["lower", "upper"],
        },
        {"comparison": "rho-a", "measure": "correlation", "resample": "both", "draws": draws, "seed": seed,
         "confidence": 0.95, "interval_kind": "percentile", "simulated": True, **attrs},
    )  # fmt: skip


def made_up_contrast(**attrs) -> xr.Dataset:
    """Return a contrast of two networks at the layers they share, from hand-picked numbers."""
    layers = LAYERS["alexnet"]
    value = np.array([0.0, 0.01, 0.0, 0.02, 0.03, 0.07, 0.06, 0.08])
    return xr.Dataset(
        {
            "difference": ("layer", value),
            "difference_interval": (("layer", "bound"), value[:, None] + [-0.025, 0.025]),
            "difference_band": (("layer", "bound"), value[:, None] + [-0.04, 0.04]),
            "p_difference": ("layer", np.exp(-60 * value)),
            "p_difference_corrected": ("layer", np.clip(3 * np.exp(-60 * value), 0, 1)),
        },
        {"layer": layers, "bound": ["lower", "upper"], "baseline_layer": ("layer", layers)},
        {"network": "fe_alexnet", "baseline": "alexnet", "comparison": "rho-a", "simulated": True, **attrs},
    )


def made_up_rdms(stimuli: StimulusSet, networks=tuple(LAYERS), seed=0) -> xr.DataArray:
    """Return layer RDMs in which identity gives way to level with depth, from random numbers."""
    rng = np.random.default_rng(seed)
    rows = [
        (name, layer, i, (i + 1) / len(LAYERS[name])) for name in networks for i, layer in enumerate(LAYERS[name])
    ]
    level = stimuli.table["level"].to_numpy(float)
    identity = stimuli.table["identity"].to_numpy(str)
    who = {name: rng.normal(size=3) for name in sorted(set(identity))}
    values = []
    for *_, depth in rows:
        points = np.c_[depth * level, (1.3 - depth) * np.array([who[name] for name in identity])]
        points += rng.normal(0, 0.15, points.shape)
        values.append(np.linalg.norm(points[:, None] - points[None], axis=-1))
    values = np.stack(values)
    return xr.DataArray(
        values,
        {
            "rdm": np.array([f"{row[0]}/{row[1]}" for row in rows], dtype=object),
            "stimulus_i": np.array(stimuli.ids, dtype=object),
            "stimulus_j": np.array(stimuli.ids, dtype=object),
            "network": ("rdm", np.array([row[0] for row in rows], dtype=object)),
            "layer": ("rdm", np.array([row[1] for row in rows], dtype=object)),
            "order": ("rdm", [row[2] for row in rows]),
            "depth": ("rdm", [row[3] for row in rows]),
            "identity": ("stimulus_i", identity.astype(object)),
            "level": ("stimulus_i", level),
        },
        ("rdm", "stimulus_i", "stimulus_j"),
        name="dissimilarity",
        attrs={"measure": "correlation", "untrained": ["vgg16"]},
    )


def made_up_people(rdms: xr.DataArray, people=8, seed=1) -> xr.DataArray:
    """Return human RDMs around the last of the layer RDMs, with a few pairs never judged."""
    rng = np.random.default_rng(seed)
    base = rdms.values[-1]
    noise = rng.normal(0, 0.3, (people, *base.shape))
    values = np.abs(base + noise + noise.transpose(0, 2, 1))
    values[0, 0, 1] = values[0, 1, 0] = np.nan
    values[:, np.arange(len(base)), np.arange(len(base))] = 0
    names = np.array([f"p{n:02}" for n in range(people)], dtype=object)
    ids = rdms["stimulus_i"].values
    return xr.DataArray(
        values,
        {"participant": names, "stimulus_i": ids, "stimulus_j": ids},
        ("participant", "stimulus_i", "stimulus_j"),
        attrs={"kind": "rating", "simulated": True},
    )


def drawn_faces(folder: Path, identities=4, levels=6) -> StimulusSet:
    """Draw schematic faces whose mouths bend with level, and return their stimulus table."""
    lines = ["stimulus,file,identity,level"]
    for who in range(identities):
        for step, level in enumerate(np.linspace(-1, 1, levels)):
            picture = Image.new("RGB", (96, 96), (128, 128, 128))
            pen = ImageDraw.Draw(picture)
            skin = (225 - 18 * who, 185 - 12 * who, 150 - 6 * who)
            pen.ellipse((14 + 2 * who, 6, 82 - 2 * who, 90), fill=skin)
            for x in (34, 56):
                pen.ellipse((x, 34, x + 8, 40 + who), fill=(40, 30, 30))
            xs = np.linspace(32, 64, 17)
            bend = 9 * level
            pen.line(
                [(float(x), float(66 + bend * (1 - ((x - 48) / 16) ** 2))) for x in xs], fill=(120, 30, 40), width=3
            )
            name = f"id{who}_{step}"
            picture.save(folder / f"{name}.png")
            lines.append(f"{name},{name}.png,id{who},{level:.2f}")
    (folder / "stimuli.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_stimuli(folder / "stimuli.csv")


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> StimulusSet:
    """Return a table of drawn faces."""
    return drawn_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture
def result() -> xr.Dataset:
    """Return a made-up result of five networks."""
    return made_up_result()


@pytest.fixture(scope="session")
def rdms(faces) -> xr.DataArray:
    """Return made-up layer RDMs of the drawn faces."""
    return made_up_rdms(faces)


@pytest.fixture(scope="session")
def human(rdms) -> xr.DataArray:
    """Return made-up human RDMs of the drawn faces."""
    return made_up_people(rdms)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def localization() -> xr.Dataset:
    """Return a made-up answer to the three questions."""
    probability = {
        "peak": {"relu6": 0.55, "relu7": 0.10, "fc8": 0.35},
        "reaches_ceiling": {"fe": 0.2, "relu6": 0.6, "fc8": 0.1, "none": 0.1},
        "above_baseline": {"relu4": 0.1, "fe": 0.5, "relu6": 0.2, "none": 0.2},
    }
    picked = {"peak": "relu6", "reaches_ceiling": "relu6", "above_baseline": "fe"}
    return made_up_localization(LAYERS["fe_alexnet"], probability, picked, simulated=True)


@pytest.fixture
def contrast() -> xr.Dataset:
    """Return a made-up contrast."""
    return made_up_contrast()
