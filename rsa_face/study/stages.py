"""The stages of a study in one table: when one is asked for, what it reads, writes and rests on, what makes it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rsa_face.human.kinds import KINDS
from rsa_face.rdms.measures import GENERAL, general_measure, layers_with_their_own, measures_among
from rsa_face.safety import one_part, path_in
from rsa_face.schema import is_builder, split_seed
from rsa_face.study.config import NetworkSection, Study, networks_of

_FACE = "face"
# A package with those that it is made of.
_INFERENCE = ("inference", "rdms", "stimuli")
_CHOICES = ("networks", "psychophysics", "stimuli", "study.behaviour")
_RECORDING = ("activations", "networks", "rdms", "stimuli")
_DRAWN = ("inference.resample", "inference.groups", "inference.draws", "inference.seed")


def _always(_: Study) -> bool:
    return True


def _no_hindrance(_: Study) -> str:
    return ""


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Names may hold ``{network}`` (``{plain}``: without slashes; ``{trained}``: the one whose weights it has) and
    ``{question}``, the network in question. In a stage that is not `each` of some networks, a file of a network
    stands for those of all networks.
    """

    name: str  # what the manifest calls it
    # ``module:function`` of this package. It takes the `Run`, and the network where there is `each`; writes the
    # files; and returns the paths of those that are not in `writes`. Named, not imported: reports read this table
    # too, and load no torch for it
    make: str
    # packages and modules of rsa_face that its result depends on, beside `make`'s own module and those every result
    # depends on
    code: tuple[str, ...]
    when: Callable[[Study], bool] = _always  # whether a study asks for it
    each: Callable[[Study], Sequence[str]] | None = None  # the networks that it is made for, one stage each
    # why a study that asks for it cannot have it, by its file alone; empty if it can
    hindrance: Callable[[Study], str] = _no_hindrance
    # ``module:function`` that says why it is left out, by what earlier stages made; empty if it is not
    unless: str = ""
    certain: bool = True  # whether a study that asks for it and is not hindered is sure to have it, whatever its data
    # files of other stages: without those it reads it is not made, those it uses are taken where they are made
    reads: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    # its files: those it always writes, and patterns of those that depend on what it finds
    writes: tuple[str, ...] = ()
    may_write: tuple[str, ...] = ()
    # what else the result depends on: keys of the study file (``network`` is the section of the stage's network,
    # ``measure`` what makes its RDMs); keys that name files from outside; sets of pictures, attributes of `Run`
    settings: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    # the activation store that it writes beside its files, perhaps outside the study's folder; None without one
    store: Callable[[Study, NetworkSection], Path | None] | None = None
    # what its first file shows in a report, which then shows its others too; empty if it is not for reports
    meaning: str = ""


@dataclass(frozen=True)
class Step:
    """A stage of one study; of one network where there is a stage for each."""

    stage: Stage
    study: Study
    network: str | None = None

    @property
    def name(self) -> str:
        """What the manifest calls it."""
        return self._fill(self.stage.name, self.network or "")

    @property
    def section(self) -> NetworkSection | None:
        """The section of its network."""
        return next((one for one in networks_of(self.study) if one.called == self.network), None)

    @property
    def hindrance(self) -> str:
        """Why the study cannot have it, by its file alone."""
        return self.stage.hindrance(self.study)

    @property
    def promised(self) -> bool:
        """Whether it is sure to be made."""
        return self.stage.certain and not self.hindrance

    @property
    def store(self) -> str:
        """The activation store that it writes, relative to the study's folder if it lies in it; empty without one."""
        section = self.section
        store = None if self.stage.store is None or section is None else self.stage.store(self.study, section)
        inside = store is not None and store.is_relative_to(self.study.output)
        return "" if store is None else str(store.relative_to(self.study.output) if inside else store)

    def files(self, kind: str) -> tuple[str, ...]:
        """Return the names of the files that it ``reads``, ``uses`` or ``writes``."""
        files: list[str] = []
        for template in getattr(self.stage, kind):
            of_network = self.network is None and any(
                f"{{{one}}}" in template for one in ("trained", "network", "plain")
            )
            names = [one.called for one in networks_of(self.study)] if of_network else [self.network or ""]
            files += [self._fill(template, name) for name in names]
        return tuple(dict.fromkeys(files))

    def _fill(self, template: str, network: str) -> str:
        question = self.study.inference.network
        trained = next((one.trained_as for one in networks_of(self.study) if one.called == network), network)
        return template.format(network=network, plain=one_part(network), trained=trained, question=question)


def steps_of(study: Study) -> Iterator[Step]:
    """Yield the stages that a study asks for, in the order in which they are made."""
    for stage in STAGES:
        if stage.when(study):
            for network in (None,) if stage.each is None else stage.each(study):
                yield Step(stage, study, network)


def planned_stages(study: Study) -> list[str]:
    """Name the stages that a run of a study is sure to come to, in order."""
    return [step.name for step in steps_of(study) if step.promised]


def writer_of(file: str) -> Stage | None:
    """Return the stage that writes a file."""
    for stage in STAGES:
        patterns = [
            name.format(network="*", plain="*", trained="*", question="*")
            for name in (*stage.writes, *stage.may_write)
        ]
        if any(fnmatch(file, pattern) for pattern in patterns):
            return stage
    return None


def pretrainings_of(study: Study) -> tuple[str, str] | None:
    """Return the two pre-trainings that a study compares, the one that is subtracted last; None where it names none.

    Those of its `inference` section; else the two that its networks name, the one with ``face`` in its name last.
    """
    if study.inference.pretrainings is not None:
        return study.inference.pretrainings
    named = list(dict.fromkeys(section.start for section in study.networks if section.pretraining))
    faces = [name for name in named if _FACE in name.lower()]
    if len(named) != 2 or len(faces) != 1:
        return None
    return next(name for name in named if name not in faces), faces[0]


def measures_of(study: Study, section: NetworkSection) -> dict[str, str]:
    """Return what makes the RDMs of a network's layers: the general measure, and that of layers with their own."""
    measures = {**layers_with_their_own(study.rdms.measure), GENERAL: general_measure(study.rdms.measure)}
    if is_builder(section.name):  # its layers are known when it is built
        return measures
    return measures_among(measures, [(section.called, layer) for layer in section.layer_names])


def store_of(study: Study, section: NetworkSection) -> Path | None:
    """Return the folder that a network's activations are stored in; None where its RDMs are streamed.

    The workers of a cluster read activations from a store, so that there is one without being asked for.
    """
    folder = study.activations.store
    if folder is None and study.cluster is None:
        return None
    return path_in(folder or study.output / "stores", one_part(section.called), "The network name", suffix=".zarr")


def can_answer(study: Study) -> bool:
    """Return whether a study's networks have learnt happy and sad: here, or before."""
    return study.training is not None or all(section.has_file for section in networks_of(study))


def _names(study: Study) -> list[str]:
    return [section.called for section in networks_of(study)]


def _trained(study: Study) -> list[str]:
    return [section.called for section in networks_of(study) if section.gate is None]


def _masks(study: Study) -> bool:
    return any(region != "none" for region in study.stimuli.occlusion)


def _compares(study: Study) -> bool:
    return study.human is not None


def _has_trials(study: Study) -> bool:
    return study.human is not None and KINDS[study.human.kind].table is not None


def _draws(study: Study) -> bool:
    return study.human is not None and study.inference.resample is not None


def _scores(study: Study) -> bool:
    return study.training is not None and study.training.held_out is not None


def _asks_networks(study: Study) -> bool:
    scored = study.training is not None and study.training.held_out == "stimuli"
    return study.psychophysics is not None or scored


def _cannot_answer(study: Study) -> str:
    return "" if can_answer(study) else "the networks' answers, since they have not learnt happy and sad"


def _baseline(study: Study) -> list[str]:
    return [study.inference.baseline]


def _other_networks(study: Study) -> list[str]:
    question, baseline = study.inference.network, study.inference.baseline
    seed = split_seed(question)[1]  # other seeds of networks are compared over seeds, in a stage of its own
    others = [name for name in _names(study) if split_seed(name)[1] == seed or split_seed(name)[0] == name]
    return [] if _no_baseline(study) else [name for name in others if name not in (question, baseline)]


def _no_baseline(study: Study) -> str:
    question, baseline, names = study.inference.network, study.inference.baseline, _names(study)
    what = "the contrast with a baseline"
    if question == baseline:
        return f"{what}, since {question!r} is its own (inference: baseline)"
    for key, name in (("network", question), ("baseline", baseline)):
        if name not in names:
            return f"{what}, since no network is called {name!r} (inference: {key})"
    return ""


def _no_question(study: Study) -> str:
    what, name = "where a network turns human-like", study.inference.network
    if study.inference.resample is None:
        return f"{what}, since nothing is resampled (inference: resample)"
    return "" if name in _names(study) else f"{what}, since no network is called {name!r} (inference: network)"


def _without_network(what: str) -> Callable[[Study], str]:
    """Return what says why something is left out, where no network is called as the one in question."""

    def hindrance(study: Study) -> str:
        name = study.inference.network
        return "" if name in _names(study) else f"{what}, since no network is called {name!r} (inference: network)"

    return hindrance


def _names_pretrainings(study: Study) -> bool:
    return bool(study.inference.pretrainings) or len({one.pretraining for one in study.networks} - {None}) > 1


def _no_pair(study: Study) -> str:
    pair = pretrainings_of(study)
    return "" if pair else "the bias of pre-training, since the study does not say which two to compare"


STAGES: tuple[Stage, ...] = (
    Stage(
        "masked faces",
        "networks:mask_faces",
        code=("stimuli",),
        when=_masks,
        may_write=("stimuli/*",),
        settings=("stimuli.occlusion", "stimuli.fill"),
        content=("whole_stimuli",),
    ),
    Stage(
        "stimuli",
        "networks:list_stimuli",
        code=("stimuli",),
        uses=("stimuli/stimuli.csv",),
        writes=("stimuli.csv",),
        settings=("stimuli.occlusion",),
        content=("whole_stimuli",),
        meaning="pictures of the stimuli",
    ),
    Stage(
        "human RDMs",
        "comparing:read_people",
        code=("human", "networks", "psychophysics.choices", *_INFERENCE),
        when=_compares,
        reads=("stimuli.csv",),
        writes=("human_rdms.nc",),
        settings=("human", "inference.groups"),
        data=("human.table", "human.ids", "human.layout.participants", "human.layout.rename"),
        meaning="the human RDMs",
    ),
    Stage(
        "training of {network}",
        "networks:train_network",
        code=("networks", "stimuli", "training"),
        when=lambda study: study.training is not None,
        each=_trained,
        writes=("weights/{network}.safetensors", "weights/{network}.csv"),
        settings=("network", "training"),
        data=("network.weights",),
        content=("training_faces",),
    ),
    Stage(
        "answers of the networks",
        "networks:ask_networks",
        code=_CHOICES,
        when=_asks_networks,
        hindrance=_cannot_answer,
        unless="networks:why_no_answers",
        certain=False,
        uses=("weights/{trained}.safetensors",),
        writes=("answers.csv",),
        settings=("networks",),
        data=("networks.weights",),
        content=("stimuli",),
    ),
    Stage(
        "scores on held-out faces",
        "networks:score_networks",
        code=("networks", "stimuli", "training"),
        when=_scores,
        reads=("weights/{trained}.safetensors",),
        uses=("answers.csv",),
        writes=("training.nc", "training.csv"),
        may_write=("training_seeds.csv",),
        settings=("training.held_out", "training.held_out_label", "training.classes"),
        content=("held_out_faces",),
        meaning="the networks' accuracy",
    ),
    Stage(
        "RDMs of {network}",
        "recording:measure_network",
        code=_RECORDING,
        each=_names,
        uses=("weights/{trained}.safetensors",),
        writes=("rdms/{plain}.nc",),
        settings=("network", "measure", "activations.where", "activations.layers", "activations.dtype",
                  "activations.batch", "activations.pool"),
        data=("network.weights",),
        content=("stimuli",),
        store=store_of,
    ),
    Stage(
        "RDMs of all networks",
        "recording:join_networks",
        code=("rdms", "stimuli"),
        reads=("rdms/{plain}.nc",),
        writes=("rdms.nc",),
        meaning="the layers' RDMs",
    ),
    Stage(
        "comparison",
        "comparing:compare",
        code=_INFERENCE,
        when=_compares,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("layers.nc", "layers.csv"),
        settings=("human.where", "inference.comparison", *_DRAWN, "inference.correction", "inference.controls"),
        data=("inference.controls",),
        content=("stimuli",),
        meaning="the comparison of layers with people",
    ),
    Stage(
        "groups of people",
        "comparing:contrast_people",
        code=_INFERENCE,
        when=lambda study: _compares(study) and study.inference.contrast_groups is not None,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("people.nc", "people.csv"),
        settings=("human.where", "inference.comparison", "inference.contrast_groups", *_DRAWN),
        meaning="the groups of people compared",
    ),
    Stage(
        "{question} minus {network}",
        "comparing:contrast_with_baseline",
        code=_INFERENCE,
        when=_draws,
        each=_baseline,
        hindrance=_no_baseline,
        unless="comparing:why_no_contrast",
        reads=("layers.nc",),
        writes=("contrast.nc", "contrast.csv"),
        settings=("inference.network", "inference.baseline", "inference.seed"),
        meaning="the contrast with the baseline",
    ),
    Stage(
        "{question} minus {network}",
        "comparing:contrast_with_other",
        code=_INFERENCE,
        when=_draws,
        each=_other_networks,
        unless="comparing:why_no_contrast",
        reads=("layers.nc",),
        writes=("contrast_{plain}.nc", "contrast_{plain}.csv"),
        settings=("inference.network", "inference.seed"),
        meaning="the contrast with another network",
    ),
    Stage(
        "networks over seeds",
        "seeds:compare_over_seeds",
        code=_INFERENCE,
        when=lambda study: _compares(study) and any(len(section.seeds) > 1 for section in study.networks),
        reads=("layers.nc",),
        writes=("seeds.nc", "seeds.csv"),
        settings=("inference.network", "inference.baseline"),
        meaning="what networks are over their seeds",
    ),
    Stage(
        "localization",
        "comparing:find_layer",
        code=_INFERENCE,
        when=_compares,
        hindrance=_no_question,
        unless="comparing:why_no_peak",
        reads=("layers.nc", "rdms.nc", "human_rdms.nc"),
        writes=("localization.nc",),
        settings=("inference.network", "inference.baseline"),
        meaning="the layer at which it turns human-like",
    ),
    Stage(
        "recovery of layers",
        "comparing:recover",
        code=_INFERENCE,
        when=lambda study: _compares(study) and study.planning.simulations > 0,
        hindrance=_without_network("which layers the design tells apart"),
        unless="comparing:why_no_recovery",
        certain=False,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("recovery.nc", "recovery.csv"),
        settings=("human.where", "inference.network", "inference.comparison", "inference.groups", "inference.seed",
                  "planning.simulations", "planning.reweight"),
        meaning="which layers the design tells apart",
    ),
    Stage(
        "stability",
        "comparing:leave_parts_out",
        code=_INFERENCE,
        when=_compares,
        hindrance=_without_network("how stable the answer is"),
        unless="comparing:why_not_stable",
        certain=False,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("stability.nc", "stability.csv"),
        settings=("human.where", "inference.network", "inference.baseline", "inference.comparison",
                  "inference.groups", "inference.seed", "planning.halves"),
        meaning="how stable the answer is",
    ),
    Stage(
        "plan",
        "comparing:plan_ahead",
        code=_INFERENCE,
        when=_draws,
        hindrance=_without_network("how many people and stimuli it takes"),
        unless="comparing:why_no_plan",
        certain=False,
        reads=("layers.nc",),
        writes=("plan.nc", "plan.csv"),
        settings=("inference.network", "planning.power", "planning.participants", "planning.stimuli"),
        meaning="how many people and stimuli it takes",
    ),
    Stage(
        "prediction of trials",
        "comparing:predict",
        code=("human", "networks", "psychophysics.choices", *_INFERENCE),
        when=_has_trials,
        unless="comparing:why_no_trials",
        certain=False,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("trials.nc", "trials.csv"),
        settings=("human", *_DRAWN, "inference.correction"),
        data=("human.table",),
        content=("stimuli",),
        meaning="how well layers predict each trial",
    ),
    Stage(
        "explained variance",
        "comparing:share_variance",
        code=_INFERENCE,
        when=lambda study: _compares(study) and len(_names(study)) > 1,
        unless="comparing:why_no_shares",
        certain=False,
        reads=("rdms.nc", "human_rdms.nc"),
        writes=("variance.nc", "variance.csv"),
        settings=("human.where", "inference.seed", "inference.groups"),
    ),
    Stage(
        "reweighted features",
        "recording:reweight_peak",
        code=("inference", *_RECORDING),
        when=_compares,
        unless="comparing:why_not_reweighted",
        certain=False,
        reads=("localization.nc", "human_rdms.nc", "rdms.nc"),
        uses=("weights/{trained}.safetensors",),
        writes=("reweighted.nc", "reweighted.csv"),
        settings=("human.where", "inference.network", "inference.comparison", "inference.seed", "inference.groups"),
    ),
    Stage(
        "psychometric curves",
        "comparing:fit_curves",
        code=("human", *_INFERENCE, *_CHOICES),
        when=lambda study: study.psychophysics is not None,
        unless="comparing:why_no_curves",
        uses=("answers.csv", "human_rdms.nc"),
        writes=("psychometric.csv",),
        may_write=("psychometric.nc", "psychometric_networks.nc", "psychometric_likeness.nc",
                   "error_consistency.nc", "error_consistency.csv"),
        settings=("psychophysics", *_DRAWN),
        data=("psychophysics.table", "psychophysics.layout.participants", "psychophysics.layout.rename"),
        meaning="the psychometric curves",
    ),
    Stage(
        "saliency",
        "recording:map_saliency",
        code=("networks", "saliency", "stimuli"),
        when=lambda study: study.saliency is not None,
        uses=("weights/{trained}.safetensors",),
        writes=("saliency.nc", "saliency.csv"),
        may_write=("saliency_maps.nc", "saliency_layers.nc", "saliency_gate_*.nc", "saliency_gate_*.csv"),
        settings=("saliency", "networks"),
        data=("networks.weights",),
        content=("saliency_faces",),
        meaning="where the networks look",
    ),
    Stage(
        "agreement",
        "comparing:relate",
        code=_CHOICES,
        when=lambda study: _compares(study) and bool(study.psychophysics or study.saliency),
        unless="comparing:why_no_agreement",
        certain=False,
        reads=("layers.nc",),
        uses=("psychometric_likeness.nc", "saliency.nc"),
        writes=("agreement.nc", "agreement.csv", "agreement_ranks.csv"),
        settings=("inference.seed",),
        meaning="whether geometry, choices and saliency agree",
    ),
    Stage(
        "bias of pre-training",
        "seeds:measure_bias",
        code=("human", *_INFERENCE, *_CHOICES),
        when=_names_pretrainings,
        hindrance=_no_pair,
        unless="seeds:why_no_bias",
        certain=False,
        reads=("stimuli.csv",),
        uses=("layers.nc", "answers.csv", "saliency.nc"),
        writes=("bias.nc", "bias.csv"),
        settings=("inference.network", "inference.pretrainings", "networks", "psychophysics.curve"),
        meaning="what pre-training does",
    ),
    Stage(
        "figures",
        "folder:draw_figures",
        code=("figures", "inference", "rdms", *_CHOICES),
        reads=("rdms.nc",),
        uses=("human_rdms.nc", "layers.nc", "contrast.nc", "localization.nc", "people.nc", "seeds.nc",
              "recovery.nc", "stability.nc", "plan.nc", "psychometric.csv", "psychometric.nc",
              "psychometric_networks.nc", "saliency.nc", "saliency_maps.nc", "agreement.nc",
              "weights/{trained}.csv"),
        may_write=("figures/*",),
        content=("stimuli",),
    ),
)  # fmt: skip
