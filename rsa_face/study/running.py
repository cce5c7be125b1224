"""Run a study from its file: faces, training, RDMs, people, comparison, where it turns human-like, figures."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

from rsa_face.files import remove_drafts
from rsa_face.holding import hold, lock_in
from rsa_face.inference.resampling import UngroupedWarning
from rsa_face.study.answering import answer_stimuli, check_asked, fit_curves
from rsa_face.study.biasing import measure_bias
from rsa_face.study.comparing import compare, contrast_networks, find_layer
from rsa_face.study.config import Study
from rsa_face.study.drawing import draw_figures
from rsa_face.study.faces import show_stimuli
from rsa_face.study.judgement import judge_stimuli
from rsa_face.study.learning import train_networks
from rsa_face.study.looking import look_where, relate
from rsa_face.study.manifest import Manifest
from rsa_face.study.planning import note_plan
from rsa_face.study.representation import measure_layers
from rsa_face.study.scoring import score_networks
from rsa_face.study.sharing import reweight_peak, share_variance

log = logging.getLogger(__name__)


def run_study(study: Study, *, progress: bool = True, say: Callable[[str], None] = log.info) -> Path:
    """Run the stages of a study in order, each only if what it rests on has changed.

    A stage's outputs are written beside their place and moved in, and recorded in ``manifest.json`` with the
    content hashes of what they were made from: inputs, parameters and the package's own code. Stopped at any
    moment, the next run goes on with the stage that was not finished.

    Parameters
    ----------
    study : Study
        From `load_study`.
    progress : bool
        Whether to show bars.
    say : callable
        Told, in a line, what each stage does.

    Returns
    -------
    Path
        The output folder: ``layers.csv``, ``layers.nc``, ``rdms.nc``, ``human_rdms.nc``, ``stimuli.csv``,
        ``manifest.json``, ``figures/``, and where the study asks for them ``weights/``, ``training.csv``,
        ``contrast.nc``, ``localization.nc``, ``variance.csv``, ``reweighted.csv``, ``answers.csv``,
        ``psychometric.csv``, ``saliency.csv``, ``agreement.csv`` and ``bias.csv``; ``set_aside/`` holds what earlier
        runs wrote and this study has no more.

    Raises
    ------
    ValueError
        If the stimuli, networks and human data do not fit each other; what does not is named. If another process
        is running the study, which is named, or the output folder cannot be written to.
    """
    with (
        hold(study.output, lock_in(study.output), must="A study must be run by one process at a time"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UngroupedWarning)  # said once, where the people are read
        return _run_stages(study, progress=progress, say=say)


def _run_stages(study: Study, *, progress: bool, say: Callable[[str], None]) -> Path:
    remove_drafts(study.output)
    manifest = Manifest(study.output, say)
    stimuli = show_stimuli(study, manifest)
    check_asked(study, stimuli)
    note_plan(study, manifest)
    human = judge_stimuli(study, stimuli, manifest)
    train_networks(study, manifest, progress=progress)
    answers = answer_stimuli(study, stimuli, manifest)
    score_networks(study, answers, manifest)
    rdms = measure_layers(study, stimuli, manifest, progress=progress)
    result = compare(study, stimuli, rdms, human, manifest, progress=progress)
    contrasts = contrast_networks(study, result, manifest)
    where = find_layer(study, rdms, human, result, manifest)
    share_variance(study, rdms, human, manifest)
    reweight_peak(study, stimuli, rdms, human, where, manifest)
    curves = fit_curves(study, answers, human, manifest)
    looked = look_where(study, stimuli, manifest)
    agreement = relate(study, result, curves, looked, manifest)
    measure_bias(study, stimuli, result, manifest)
    found = {"rdms": rdms, "human": human, "result": result, "contrasts": contrasts, "where": where}
    draw_figures(study, stimuli, manifest, **found, curves=curves, saliency=looked, agreement=agreement)
    manifest.set_aside_rest()
    manifest.note(study=study.model_dump(mode="json"), name=study.name, begun=None)
    return study.output
