"""The figures of a study, as PDF and PNG, each with the numbers it shows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.agreement import plot_agreement
from rsa_face.figures.contrast import plot_contrast
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.localization import plot_localization
from rsa_face.figures.psychometric import plot_psychometric
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.saliency import plot_saliency
from rsa_face.figures.saving import save_figure
from rsa_face.figures.style import figure_style
from rsa_face.figures.training import plot_training
from rsa_face.provenance import code_hash, hash_content, load
from rsa_face.rdms.align import select_stimuli
from rsa_face.schema import stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.config import Study
from rsa_face.study.learning import histories
from rsa_face.study.manifest import Manifest


def draw_figures(study: Study, stimuli: StimulusSet, manifest: Manifest, **found: Any) -> None:
    """Draw what a study found: the layer curve, the RDMs, the contrast, the answer to where, the training.

    Parameters
    ----------
    study : Study
        Where to.
    stimuli : StimulusSet
        For the pictures on the margins.
    manifest : Manifest
        Where the stage is recorded.
    **found : DataArray, Dataset, mapping or None
        ``rdms``, and where there are such: ``human``, ``result``, ``contrasts``, ``where``, ``curves``, ``saliency``,
        ``agreement``.
    """
    drawings = _drawings(study, stimuli, found)

    def draw() -> list[Path]:
        written = []
        with figure_style():
            for name, plot in drawings.items():
                figure = plot().get_figure(root=True)
                assert figure is not None
                written += save_figure(figure, study.output / "figures" / name)
                plt.close(figure)
        return written

    inputs = {"figures": sorted(drawings), "shown": hash_content(code_hash(), _files(manifest, found))}
    outputs = [f"figures/{name}.{ending}" for name in drawings for ending in ("pdf", "png")]
    manifest.stage("figures", draw, inputs=inputs, outputs=outputs)


def _drawings(study: Study, stimuli: StimulusSet, found: Mapping[str, Any]) -> dict[str, Callable[[], Axes]]:
    rdms, human, result = found["rdms"], found.get("human"), found.get("result")
    shown = rdms if human is None else select_stimuli(rdms, stimulus_ids(human))
    drawings: dict[str, Callable[[], Axes]] = {"rdms": lambda: plot_rdms(shown, human=human, stimuli=stimuli)}
    if result is not None:
        drawings["layers"] = lambda: plot_layers(result)
    contrast: xr.Dataset | None = (found.get("contrasts") or {}).get(study.inference.baseline)
    if contrast is not None:
        drawings["contrast"] = lambda: plot_contrast(contrast)
    where = found.get("where")
    if where is not None:
        drawings["localization"] = lambda: plot_localization(where)
    curves, looked = found.get("curves") or {}, found.get("saliency")
    if curves:
        drawings["psychometric"] = lambda: plot_psychometric(
            curves["psychometric"], curves.get("psychometric_networks")
        )
    maps = study.output / "saliency_maps.nc"
    if looked is not None and maps.is_file():
        drawings["saliency"] = lambda: plot_saliency(cast("xr.DataArray", load(maps)), stimuli, regions=looked)
    agreement = found.get("agreement")
    if agreement is not None:
        drawings["agreement"] = lambda: plot_agreement(agreement)
    logs = histories(study) if study.training is not None else {}
    if logs:
        drawings["training"] = lambda: plot_training(logs)
    return drawings


def _files(manifest: Manifest, found: Mapping[str, Any]) -> dict[str, str]:
    made = {"rdms": "rdms.nc", "human": "human_rdms.nc", "result": "layers.nc", "where": "localization.nc"}
    hashes = {file: manifest.hash_of(file) for name, file in made.items() if found.get(name) is not None}
    more = {"contrast.nc": found.get("contrasts"), "psychometric.csv": found.get("curves"),
            "saliency.csv": found.get("saliency") is not None,
            "agreement.csv": found.get("agreement") is not None}  # fmt: skip
    return {**hashes, **{file: manifest.hash_of(file) for file, there in more.items() if there}}
