"""The inference of a study: people's RDMs, layers against people, networks against each other, and choices."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.human.choices import read_choices
from rsa_face.human.prediction import predict_trials
from rsa_face.human.read import read_human, read_human_trials
from rsa_face.inference.ceiling import refuse_one_participant
from rsa_face.inference.comparisons import check_people
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import contrast_layers, localize
from rsa_face.inference.people import contrast_groups, two_groups
from rsa_face.inference.planning import assess_stability, plan, plan_table
from rsa_face.inference.recovery import agreement_of, recover_layers, recovery_table
from rsa_face.inference.resampling import (
    AUTO,
    GROUP_FACTOR,
    UngroupedWarning,
    choose_groups,
    describe_groups,
    draw_resamples,
    group_members,
)
from rsa_face.inference.results import to_frame
from rsa_face.inference.rsa import RSA, add_partial, compare_layers, correct_layers, held_out_similarity
from rsa_face.inference.variance import faults_of_folds, partition_variance
from rsa_face.provenance import rng_from, save
from rsa_face.psychophysics.likeness import agreement_table, correlation_table, relate_measures
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.controls import control_rdms
from rsa_face.safety import in_short, one_part, path_in, write_table
from rsa_face.schema import (
    LAYER,
    NETWORK,
    PARTICIPANT,
    PEOPLE,
    RDM,
    STIMULUS,
    STIMULUS_I,
    UNSIGNED,
    factors_of,
    must_be_known,
    stimulus_ids,
    table_along,
)
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.behaviour import any_curve, write_psychophysics
from rsa_face.study.config import HumanSection, NetworkSection, Study
from rsa_face.study.graph import Run


def read_people(run: Run) -> None:
    """Read the human data as one RDM for each participant, with the factor that stimuli are grouped by.

    Layers must be comparable with them: what cannot be is refused here, before anything is trained.
    """
    section = run.study.human
    assert section is not None
    about = run.stimuli.select(**section.where) if section.where else run.stimuli
    human = people_of(section, about)
    human = _grouped(human, about, run.study.inference.groups)
    refuse_one_participant(human)
    check_people(human)
    compared = run.study.inference.contrast_groups
    if compared is not None:
        two_groups(human, compared.factor, compared.people)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UngroupedWarning)  # said where they are drawn
        group_members(human, choose_groups(human, run.study.inference.groups))
    save(human, run.folder / "human_rdms.nc")


def people_of(section: HumanSection, about: StimulusSet) -> xr.DataArray:
    """Read the human data that a study names."""
    return read_human(section.table, stimuli=about.ids, **_reading(section))


def _reading(section: HumanSection) -> dict[str, Any]:
    """Return what readers of human data are given beside the table and its stimuli."""
    return {name: getattr(section, name) for name in ("kind", "options", "layout", "ids")}


def _grouped(human: xr.DataArray, about: StimulusSet, groups: str | None) -> xr.DataArray:
    """Add the factor that stimuli are, or could be, drawn by."""
    if groups in (None, AUTO):
        if GROUP_FACTOR not in about.factors:
            return human
        factor = GROUP_FACTOR
    else:
        factor = str(groups)
    if factor in human.coords:
        return human
    must_be_known(factor, about.factors, "factor that inference groups by")
    of_each = about.table.set_index(STIMULUS)[factor].loc[stimulus_ids(human)]
    return human.assign_coords({factor: (STIMULUS_I, of_each.to_numpy(dtype=object))})


def _trials(run: Run) -> pd.DataFrame:
    """Read the human data trial by trial, as their RDMs were read."""
    section = run.study.human
    assert section is not None
    about = run.stimuli.select(**section.where) if section.where else run.stimuli
    return read_human_trials(section.table, stimuli=about.ids, **_reading(section))


def why_no_trials(run: Run) -> str:
    """Say why trials cannot be predicted, such as that the file holds proportions."""
    try:
        _trials(run)
    except ValueError as error:
        return f"the prediction of trials: {in_short(error)}"
    return ""


def predict(run: Run) -> None:
    """Predict every trial from each layer's distances, with the draws of the comparison of RDMs."""
    inference, human = run.study.inference, run.array("human_rdms.nc")
    rdms, left_out = varying(judged(run))
    rdms = rdms.assign_coords({name: factor for name, factor in factors_of(human).items() if name not in rdms.coords})
    result = predict_trials(
        rdms,
        _trials(run),
        resample=inference.resample,
        draws=inference.draws,
        seed=inference.seed,
        groups=inference.groups,
        progress=run.progress,
    )
    if result.attrs["left_out"]:
        run.say(f"left out of the prediction of trials: {result.attrs['left_out']}")
    result = correct_layers(result, method=inference.method).assign_attrs(layers_left_out=left_out)
    save(result, run.folder / "trials.nc")
    write_table(to_frame(result), run.folder / "trials.csv")


def compare(run: Run) -> None:
    """Compare every layer with every participant, over the stimuli that were judged.

    The planned family is every layer of the study: p values are corrected over it. Where controls are named, what
    remains of the similarity given them stands beside it.
    """
    inference, human = run.study.inference, run.array("human_rdms.nc")
    rdms, left_out = varying(judged(run))
    for name in left_out:
        run.say(f"left out: {name} has the same dissimilarity for every pair, so nothing can be compared with it")
    _say_groups(run, human)
    result = compare_layers(
        rdms,
        human,
        comparison=inference.comparison,
        resample=inference.resample,
        draws=inference.draws,
        seed=inference.seed,
        groups=inference.groups,
        cluster=run.study.cluster,
        progress=run.progress,
    )
    result = correct_layers(result, rdms=rdms, human=human, method=inference.method)
    if inference.controls:
        controls = select_stimuli(control_rdms(run.stimuli, inference.controls), stimulus_ids(human))
        result = add_partial(result, rdms=rdms, human=human, controls=controls)
    save(result.assign_attrs(left_out=left_out), run.folder / "layers.nc")
    write_table(to_frame(result), run.folder / "layers.csv")


def contrast_people(run: Run) -> None:
    """Compare two groups of participants: how similar layers are to each, and where networks turn and peak."""
    inference = run.study.inference
    section = inference.contrast_groups
    assert section is not None
    result = contrast_groups(
        varying(judged(run))[0],
        run.array("human_rdms.nc"),
        section.factor,
        people=section.people,
        comparison=inference.comparison,
        shuffles=inference.draws,
        draws=inference.draws,
        seed=inference.seed,
        groups=inference.groups,
        progress=run.progress,
    )
    save(result, run.folder / "people.nc")
    write_table(table_along(result, RDM, across=PEOPLE), run.folder / "people.csv")


def _say_groups(run: Run, human: xr.DataArray) -> None:
    """Say what is drawn together, and what it means where stimuli that belong together are not."""
    inference = run.study.inference
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UngroupedWarning)
        groups = choose_groups(human, inference.groups)
    for warning in caught:
        run.say(f"warning: {warning.message}")
    if inference.resample not in (None, "participant"):
        run.say(f"stimuli are drawn {describe_groups(human, groups)}")


def judged(run: Run) -> xr.DataArray:
    """Return the layer RDMs over the stimuli that the human data are about, in their order if some were chosen."""
    section = run.study.human
    if section is None or not section.where:
        return run.array("rdms.nc")
    return select_stimuli(run.array("rdms.nc"), stimulus_ids(run.array("human_rdms.nc")))


def varying(rdms: xr.DataArray) -> tuple[xr.DataArray, list[str]]:
    """Leave out layers whose dissimilarity is the same for every pair, and name them.

    The two outputs of a network that gives one answer to every face have a correlation distance of 0 throughout.
    """
    upper = np.triu_indices(rdms.sizes[STIMULUS_I], k=1)
    constant = np.array([np.ptp(values[upper]) == 0 for values in rdms.values])
    left_out = [str(name) for name in rdms[RDM].values[constant]]
    if constant.all():
        message = f"No layer's RDM varies: {left_out}. Check the weights."
        raise ValueError(message)
    return rdms.isel({RDM: ~constant}), left_out


def why_no_contrast(run: Run, section: NetworkSection) -> str:
    """Say why two networks cannot be contrasted: layers that do not vary are left out."""
    networks = run.dataset("layers.nc")[NETWORK].values
    constant = [name for name in (run.study.inference.network, section.called) if name not in networks]
    return f"the contrast with {section.called}, since no layer of {constant[0]} varies" if constant else ""


def why_no_peak(run: Run) -> str:
    """Say why no layer of the network in question can be found: layers that do not vary are left out."""
    name = run.study.inference.network
    varies = name in run.dataset("layers.nc")[NETWORK].values
    return "" if varies else f"where a network turns human-like, since no layer of {name} varies"


def contrast_with_baseline(run: Run, section: NetworkSection) -> None:
    """Subtract the baseline from the network in question at each matched layer."""
    _contrast(run, section, "contrast")


def contrast_with_other(run: Run, section: NetworkSection) -> None:
    """Subtract another network from the one in question at each matched layer."""
    _contrast(run, section, f"contrast_{one_part(section.called)}")


def _contrast(run: Run, section: NetworkSection, stem: str) -> None:
    inference = run.study.inference
    contrast = contrast_layers(
        run.dataset("layers.nc"),
        network=inference.network,
        baseline=section.called,
        cluster_test="draws",
        seed=inference.seed,
    )
    save(contrast, path_in(run.folder, stem, "The contrast", suffix=".nc"))
    table = table_along(contrast, LAYER)
    for place, name in enumerate(("network", "baseline")):
        table.insert(place, name, contrast.attrs[name])
    write_table(table, path_in(run.folder, stem, "The contrast", suffix=".csv"))


def find_layer(run: Run) -> None:
    """Say at which layer the network in question becomes human-like, and how sure one can be.

    Beside it stands the similarity of the picked layer on what did not pick it.
    """
    inference, result = run.study.inference, run.dataset("layers.nc")
    other = inference.baseline in result[NETWORK].values and inference.baseline != inference.network
    where = localize(result, network=inference.network, baseline=inference.baseline if other else None)
    where = held_out_similarity(where, result, rdms=varying(judged(run))[0], human=run.array("human_rdms.nc"))
    save(where, run.folder / "localization.nc")


def why_no_recovery(run: Run) -> str:
    """Say why nobody can be simulated after these people, or why there is nothing to tell apart."""
    human, what = run.array("human_rdms.nc"), "the recovery of layers"
    if human.attrs.get(UNSIGNED):
        return f"{what}, since mean ratings do not show how people differ"
    if not agreement_of(to_vectors(human.values), run.study.inference.comparison) > 0:
        return f"{what}, since these people do not agree more than by chance"
    return _single_layer(run, what)


def why_not_stable(run: Run) -> str:
    """Say why there is nothing to leave parts out of."""
    return _single_layer(run, "what an answer rests on")


def _single_layer(run: Run, what: str) -> str:
    """Say that there are no two layers to tell apart: read from the RDMs, which no number of draws changes."""
    name = run.study.inference.network
    count = int((varying(judged(run))[0][NETWORK] == name).sum())
    return "" if count > 1 else f"{what}, since {'a single' if count else 'no'} layer of {name} varies"


def recover(run: Run) -> None:
    """Simulate people after each layer of the network in question, and count what is picked."""
    inference, planning = run.study.inference, run.study.planning
    recovery = recover_layers(
        _rsa_of(run),
        network=inference.network,
        simulations=planning.simulations,
        reweight=planning.reweight,
        seed=inference.seed,
        progress=run.progress,
    )
    save(recovery, run.folder / "recovery.nc")
    write_table(recovery_table(recovery), run.folder / "recovery.csv")


def leave_parts_out(run: Run) -> None:
    """Pick the layer, and contrast it with the baseline, with each part of the data left out."""
    inference, rsa = run.study.inference, _rsa_of(run)
    other = inference.baseline != inference.network and inference.baseline in rsa.rdms[NETWORK].values
    stability = assess_stability(
        rsa,
        network=inference.network,
        baseline=inference.baseline if other else None,
        halves=run.study.planning.halves,
        seed=inference.seed,
    )
    save(stability, run.folder / "stability.nc")
    write_table(table_along(stability, "case"), run.folder / "stability.csv")


def why_no_plan(run: Run) -> str:
    """Say why no other study can be planned from this one."""
    what, attrs = "the plan of another study", run.dataset("layers.nc").attrs
    if attrs.get("variance") != "jackknife":
        return f"{what}, since standard errors are not jackknifed"
    return _single_layer(run, what)


def plan_ahead(run: Run) -> None:
    """Say how many people and stimuli would tell the layer most like people from the others."""
    planning = run.study.planning
    planned = plan(
        run.dataset("layers.nc"),
        network=run.study.inference.network,
        participants=planning.participants,
        stimuli=planning.stimuli,
        power=planning.power,
    )
    save(planned, run.folder / "plan.nc")
    write_table(plan_table(planned), run.folder / "plan.csv")


def _rsa_of(run: Run) -> RSA:
    inference = run.study.inference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UngroupedWarning)  # said where they are drawn
        rdms, human = varying(judged(run))[0], run.array("human_rdms.nc")
        return RSA(rdms, human, comparison=inference.comparison, groups=inference.groups)


FOLDS = (3, 5)


def why_no_shares(run: Run) -> str:
    """Say why variance cannot be split: it takes enough people and stimuli to leave some out."""
    few = too_few(run)
    return f"what each network explains, since {few}" if few else ""


def why_not_reweighted(run: Run) -> str:
    """Say why no layer's features can be weighed."""
    few, what = too_few(run), "the weighing of features"
    if few:
        return f"{what}, since {few}"
    picked = str(run.dataset("localization.nc")["picked"].sel(target="peak").values)
    return f"{what}, since no layer is more like people than chance" if picked == "none" else ""


def too_few(run: Run) -> str:
    """Say of what there is too little to leave some out; empty if there is enough."""
    human = run.array("human_rdms.nc")
    return "; ".join(faults_of_folds(human, folds=FOLDS, groups=choose_groups(human, run.study.inference.groups)))


def share_variance(run: Run) -> None:
    """Split the variance that is explained of people's judgements among the study's networks.

    All layers of a network together, weighed on other stimuli and participants: a network that resembles people as
    much as another may do so by the same means, and then neither explains anything of its own.
    """
    rdms, human, inference = varying(judged(run))[0], run.array("human_rdms.nc"), run.study.inference
    sets = {
        str(network): [str(name) for name in rdms[RDM].values[rdms[NETWORK].values == network]]
        for network in dict.fromkeys(rdms[NETWORK].values.tolist())
    }
    shares = partition_variance(
        sets, rdms=rdms, human=human, folds=FOLDS, seed=inference.seed, groups=inference.groups
    )
    save(shares, run.folder / "variance.nc")
    means = shares.mean(PARTICIPANT)
    table = means[["explained", "unique"]].to_dataframe().reset_index()
    table.loc[len(table)] = {"set": "all together", "explained": float(means["total"])}
    simulated = bool(shares.attrs.get("simulated", False))
    table = table.assign(participants=shares.sizes[PARTICIPANT], simulated=simulated)
    write_table(table, run.folder / "variance.csv")


_BOTH = ("participant", "both", "dual")


def fit_curves(run: Run) -> list[Path]:
    """Fit psychometric curves to people's choices and to the networks' answers, and compare the two.

    Where the human RDMs are of the same people, these are drawn as for the comparison of RDMs, so that the two can be
    related draw by draw.
    """
    study, section = run.study, run.study.psychophysics
    assert section is not None
    people = None if section.table is None else read_choices(section.table, **section.reading)
    answers = read_choices(run.folder / "answers.csv") if run.has("answers.csv") else None
    if answers is not None and not any_curve(answers):
        run.say("left out: the networks' curves, since each gives one answer to every face")
        answers = None
    if people is not None and answers is not None:
        asked = {name: people.attrs[name] for name in ("high", "low")}
        if asked != {name: answers.attrs[name] for name in ("high", "low")}:
            run.say(f"left out: the networks' curves, since people answered {' or '.join(asked.values())}")
            answers = None
    human = run.array("human_rdms.nc") if run.has("human_rdms.nc") else None
    return write_psychophysics(
        people,
        answers,
        run.folder,
        curve=section.curve,
        draws=study.inference.draws,
        seed=study.inference.seed,
        resamples=None if people is None else same_draws(study, human, people),
    )


def why_no_curves(run: Run) -> str:
    """Say why there is nobody whose curve could be fitted."""
    section = run.study.psychophysics
    assert section is not None
    answers = read_choices(run.folder / "answers.csv") if run.has("answers.csv") else None
    somebody = section.table is not None or (answers is not None and any_curve(answers))
    return "" if somebody else "psychometric curves, since there are no people's choices, nor networks that answer"


def same_draws(study: Study, human: xr.DataArray | None, choices: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """Return the draws of people that the comparison makes, for the same people's curves; None if it draws others."""
    inference = study.inference
    people = list(dict.fromkeys(choices[PARTICIPANT].astype(str)))
    compared = [] if human is None else human[PARTICIPANT].values.astype(str).tolist()
    if human is None or inference.resample not in _BOTH or sorted(people) != sorted(compared):
        return None
    drawn = draw_resamples(
        human,
        resample=str(inference.resample),
        draws=inference.draws,
        rng=rng_from(inference.seed, "bootstrap"),
        groups=choose_groups(human, inference.groups),
    )
    place = np.array([people.index(name) for name in compared])
    return {PARTICIPANT: np.stack([np.repeat(place, times) for times in drawn.participants])}


def why_no_agreement(run: Run) -> str:
    """Say why there is nothing to agree with."""
    beside = run.has("psychometric_likeness.nc") or run.has("saliency.nc")
    return "" if beside else "the agreement of measures, since there is neither saliency nor a likeness of choices"


def relate(run: Run) -> None:
    """Say whether the networks that are like people in geometry are so in their choices, and where they look."""
    likeness, saliency = run.result("psychometric_likeness.nc"), run.result("saliency.nc")
    table = relate_measures(run.dataset("layers.nc"), likeness, saliency, seed=run.study.inference.seed)
    save(table, run.folder / "agreement.nc")
    write_table(agreement_table(table), run.folder / "agreement.csv")
    write_table(correlation_table(table), run.folder / "agreement_ranks.csv")
