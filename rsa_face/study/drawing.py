"""The figures of a study, as PDF and PNG, each with the numbers it shows."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from rsa_face.figures.agreement import plot_agreement
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import save_figure
from rsa_face.figures.networks import plot_contrast, plot_localization
from rsa_face.figures.psychometric import plot_psychometric
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.saliency import plot_saliency
from rsa_face.figures.style import figure_style
from rsa_face.figures.training import plot_training
from rsa_face.rdms.align import select_stimuli
from rsa_face.schema import stimulus_ids
from rsa_face.study.config import networks_of
from rsa_face.study.graph import Run


def draw_figures(run: Run) -> list[Path]:
    """Draw each figure that the study has the numbers of."""
    written = []
    with figure_style():
        for file, name, plot in _FIGURES:
            if run.has(file.format(network=networks_of(run.study)[0].called)):
                figure = plot(run).get_figure(root=True)
                assert figure is not None
                written += save_figure(figure, run.folder / "figures" / name)
                plt.close(figure)
    return written


def _rdms(run: Run) -> Axes:
    rdms = run.array("rdms.nc")
    if not run.has("human_rdms.nc"):
        return plot_rdms(rdms, stimuli=run.stimuli)
    human = run.array("human_rdms.nc")
    return plot_rdms(select_stimuli(rdms, stimulus_ids(human)), human=human, stimuli=run.stimuli)


def _psychometric(run: Run) -> Axes:
    return plot_psychometric(run.result("psychometric.nc"), run.result("psychometric_networks.nc"))


def _saliency(run: Run) -> Axes:
    return plot_saliency(run.array("saliency_maps.nc"), run.stimuli, regions=run.dataset("saliency.nc"))


def _training(run: Run) -> Axes:
    trained = [section for section in networks_of(run.study) if section.gate is None]
    logs = {section.called: run.folder / section.log_file for section in trained}
    return plot_training({name: pd.read_csv(file) for name, file in logs.items()})


# The file without which there is nothing to draw, the figure's name, and what draws it.
_FIGURES: tuple[tuple[str, str, Callable[[Run], Axes]], ...] = (
    ("rdms.nc", "rdms", _rdms),
    ("layers.nc", "layers", lambda run: plot_layers(run.dataset("layers.nc"))),
    ("contrast.nc", "contrast", lambda run: plot_contrast(run.dataset("contrast.nc"))),
    ("localization.nc", "localization", lambda run: plot_localization(run.dataset("localization.nc"))),
    ("psychometric.csv", "psychometric", _psychometric),
    ("saliency_maps.nc", "saliency", _saliency),
    ("agreement.nc", "agreement", lambda run: plot_agreement(run.dataset("agreement.nc"))),
    ("weights/{network}.csv", "training", _training),
)
