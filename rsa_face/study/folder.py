"""A study's output folder: whatever of it can be shown, in words what cannot, and its figures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.agreement import plot_agreement
from rsa_face.figures.behaviour import plot_psychometric, plot_training
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import save_figure
from rsa_face.figures.networks import plot_contrast, plot_localization, plot_seeds, seeds_differ
from rsa_face.figures.people import plot_people
from rsa_face.figures.planning import plot_plan, plot_recovery, plot_stability
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.saliency import plot_saliency
from rsa_face.figures.style import figure_style
from rsa_face.inference.recovery import RAW
from rsa_face.provenance import hash_file, load, unsealed
from rsa_face.rdms.align import select_stimuli
from rsa_face.safety import holder_of, lock_in, read_json
from rsa_face.schema import (
    BOUND,
    DEPTH,
    LAYER,
    NETWORK,
    PARTICIPANT,
    RDM,
    STIMULUS_I,
    STIMULUS_J,
    TRAINING_UNKNOWN,
    UNTRAINED,
    origin_of,
    stimulus_ids,
)
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.study.config import networks_of, recorded_study
from rsa_face.study.stages import STAGES, steps_of, writer_of

if TYPE_CHECKING:
    from rsa_face.study.graph import Run

_EXPECTED: dict[str, tuple[str, ...]] = {
    "layers.nc": (RDM,),
    "rdms.nc": (RDM, STIMULUS_I, STIMULUS_J),
    "human_rdms.nc": (PARTICIPANT, STIMULUS_I, STIMULUS_J),
}
BESIDE = ("partial", "reliability", "multiverse")  # written by other commands than those of a study


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """What a study's output folder holds.

    Parameters
    ----------
    path : Path
        The folder.
    result : Dataset or None
        ``layers.nc``.
    rdms, human : DataArray or None
        ``rdms.nc`` and ``human_rdms.nc``.
    stimuli : StimulusSet or None
        ``stimuli.csv``, or the table the manifest names.
    extras : dict of str to Dataset
        Other results by file name: ``localization``, ``contrast``, ``psychometric``, ...
    manifest : dict
        ``manifest.json``; empty where there is none.
    missing : tuple of str
        A sentence for each part that is not there or cannot be read.
    """

    path: Path
    result: xr.Dataset | None = None
    rdms: xr.DataArray | None = None
    human: xr.DataArray | None = None
    stimuli: StimulusSet | None = None
    extras: dict[str, xr.Dataset] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The study's name."""
        study = self.manifest.get("study")
        named = study.get("name") if isinstance(study, Mapping) else self.manifest.get("name")
        return str(named or self.path.resolve().name)

    @property
    def recorded(self) -> set[Path]:
        """The files that the manifest says a stage wrote."""
        stages = self.manifest.get("stages")
        entries = stages.values() if isinstance(stages, Mapping) else []
        written = [entry.get("outputs") for entry in entries if isinstance(entry, Mapping)]
        return {self.path / str(file) for outputs in written if isinstance(outputs, Mapping) for file in outputs}

    @property
    def simulated(self) -> bool:
        """Whether any part says that its observers were simulated."""
        parts = [self.result, self.human, *self.extras.values()]
        return any(bool(part.attrs.get("simulated")) for part in parts if part is not None)

    @property
    def untrained(self) -> list[str]:
        """The networks that some part calls untrained."""
        return self._origin[UNTRAINED]

    @property
    def training_unknown(self) -> list[str]:
        """The networks of which nobody said whether they are trained."""
        return self._origin[TRAINING_UNKNOWN]

    @property
    def _origin(self) -> dict[str, list[str]]:
        return origin_of(*(part.attrs for part in (self.result, self.rdms) if part is not None))

    def _repr_html_(self) -> str:
        """Show in a notebook the answer, some faces, what is there, what it rests on, and what is missing."""
        from rsa_face.report.narrate import findings_of

        answer = "".join(f"<p><b>{escape(sentence)}</b></p>" for sentence in findings_of(self)[:1])
        report = self.path / "report.html"
        link = escape(report.resolve().as_uri(), quote=True)
        link = f'<p><a href="{link}">{escape(str(report))}</a></p>' if report.is_file() else ""
        faces = self.stimuli._repr_html_() if self.stimuli is not None else ""
        rests_on = [
            *(["<b>Simulated observers.</b> No person took part."] if self.simulated else []),
            *([f"<b>Untrained weights:</b> {escape(', '.join(self.untrained))}."] if self.untrained else []),
        ]
        if self.training_unknown:
            rests_on.append(f"<b>Training unknown:</b> {escape(', '.join(self.training_unknown))}.")
        rows = [f"<tr><td>{escape(name)}</td><td>{escape(size)}</td></tr>" for name, size in self._sizes()]
        gone = [f"<li>{escape(sentence)}</li>" for sentence in self.missing]
        return (
            f"<div><b>{escape(self.name)}</b> ({escape(str(self.path))})"
            + answer
            + link
            + faces
            + "".join(f"<p>{sentence}</p>" for sentence in rests_on)
            + f"<table><tbody>{''.join(rows)}</tbody></table>"
            + (f"<ul>{''.join(gone)}</ul>" if gone else "")
            + "</div>"
        )

    def _sizes(self) -> list[tuple[str, str]]:
        """Return each part that is there, and how large it is in words."""
        parts = {"result": self.result, "rdms": self.rdms, "human": self.human}
        parts |= {f"extras[{name!r}]": extra for name, extra in self.extras.items()}
        sizes = [
            (name, ", ".join(f"{size} {dim}" for dim, size in part.sizes.items()))
            for name, part in parts.items()
            if part is not None
        ]
        return sizes + ([("stimuli", f"{len(self.stimuli)} images")] if self.stimuli is not None else [])


def read_results(folder: str | Path) -> StudyFolder:
    """Read a study's output folder, or as much of it as there is.

    A stage that did not run, or a file from an older version, does not keep the rest from being shown: it is named
    in `missing`.

    Parameters
    ----------
    folder : str or Path
        What a study wrote: ``layers.nc``, ``rdms.nc``, ``human_rdms.nc``, ``manifest.json`` and what else there is.

    Returns
    -------
    StudyFolder
        Its parts.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or nothing in it that a study writes.

    Examples
    --------
    >>> import tempfile, rsa_face as rf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = rf.save(rf.example("demo").human, f"{folder}/human_rdms.nc")
    ...     study = read_results(folder)
    >>> study.human.sizes["participant"], study.result
    (20, None)
    >>> study.missing[0]
    "There is no rdms.nc: the layers' RDMs cannot be shown."
    """
    path = Path(folder)
    if not path.is_dir():
        message = f"No such folder: {str(path)!r}. Run the study first."
        raise FileNotFoundError(message)
    faults: list[str] = []
    holder = holder_of(lock_in(path))
    if holder:
        faults.append(f"What {holder} is about to write: the study is being run, and parts may be of an earlier run.")
    unread: list[str] = []
    manifest = _read_manifest(path / "manifest.json", unread)
    faults += [*_not_made(path, manifest), *unread]
    parts = {name: _read(path / name, dims, faults) for name, dims in _EXPECTED.items()}
    extras = _read_extras(path, _origin(parts.values()), faults)
    faults += _written_over(path, manifest)
    if not any(part is not None for part in parts.values()) and not extras:
        message = f"{str(path)!r} has none of a study's results, {', '.join(_EXPECTED)}. Run the study first."
        raise FileNotFoundError(" ".join([message, *faults]))
    result, rdms, human = parts["layers.nc"], parts["rdms.nc"], parts["human_rdms.nc"]
    assert result is None or isinstance(result, xr.Dataset)
    assert rdms is None or isinstance(rdms, xr.DataArray)
    assert human is None or isinstance(human, xr.DataArray)
    stimuli = _read_stimuli(path, manifest, faults)
    return StudyFolder(path, result, rdms, human, stimuli, extras, manifest, tuple(faults))


def _read(path: Path, dims: tuple[str, ...], faults: list[str]) -> xr.DataArray | xr.Dataset | None:
    if not path.is_file():
        return None
    stage = writer_of(path.name)
    meaning = stage.meaning if stage is not None else "it"
    try:
        array = load(path)
    except (ValueError, OSError) as error:
        faults.append(f"{path.name} cannot be read ({error}), so {meaning} cannot be shown.")
        return None
    if not has_form(array, dims):
        faults.append(
            f"{path.name} has another form than this version writes (dims {tuple(map(str, array.dims))}), so "
            f"{meaning} cannot be shown. Run the study again."
        )
        return None
    return array


def _read_manifest(path: Path, faults: list[str]) -> dict[str, Any]:
    then = "Remove it, and run the study again."
    try:
        manifest = read_json(path, "A manifest is JSON", then=then) if path.is_file() else None
        manifest = unsealed(manifest, path, then=then) if isinstance(manifest, dict) else manifest
    except (ValueError, OSError) as error:
        faults.append(f"manifest.json cannot be read ({error}), so how the study was made is unknown.")
        return {}
    if manifest is None:
        faults.append("There is no manifest.json: how the study was made is unknown.")
        return {}
    if not isinstance(manifest, dict):
        faults.append("manifest.json is not a record of a study, so how it was made is unknown.")
        return {}
    return manifest


def _written_over(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Return a sentence for each result that is not what its stage wrote: netCDF cannot tell that by itself."""
    recorded: dict[str, Any] = {}
    for entry in _mapping(manifest.get("stages")).values():
        if not _mapping(entry).get("aside"):
            recorded |= _mapping(_mapping(entry).get("outputs"))
    for file in sorted(path.glob("*.nc")):
        if file.name in recorded and hash_file(file) != recorded[file.name]:
            yield f"{file.name} is not what the study wrote, and may be wrong where it is shown. Run the study again."


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _origin(parts: Iterable[xr.DataArray | xr.Dataset | None]) -> dict[str, Any]:
    """Return what a part that does not say what it rests on inherits from those it was made of."""
    origins = [origin_of(part.attrs) for part in parts if part is not None]
    return next((origin for origin in reversed(origins) if any(origin.values())), {})


def _read_extras(path: Path, origin: Mapping[str, Any], faults: list[str]) -> dict[str, xr.Dataset]:
    extras: dict[str, xr.Dataset] = {}
    for file in sorted(path.glob("*.nc")):
        stage = writer_of(file.name)
        beside = file.stem.startswith(BESIDE)
        if file.name in _EXPECTED or not (beside or (stage is not None and stage.meaning)):
            continue
        try:
            array = load(file)
        except (ValueError, OSError) as error:
            faults.append(f"{file.name} cannot be read ({error}).")
            continue
        extra = array if isinstance(array, xr.Dataset) else array.to_dataset(name=file.stem)
        if not is_shown(file.stem, extra):
            faults.append(
                f"{file.name} has another form than this version writes, so it is not shown. Run the study again."
            )
            continue
        extras[file.stem] = extra.assign_attrs({**origin, **extra.attrs})
    return extras


def _not_made(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each file that the study asks for and the folder lacks; without a study, for each part."""
    study = recorded_study(manifest.get("study"))
    if study is None:
        stages = [stage for stage in STAGES if set(_EXPECTED) & set(stage.writes)]
        files = {stage.writes[0]: stage.meaning for stage in stages}
    else:
        steps = [step for step in steps_of(study) if step.promised and step.stage.meaning]
        files = {step.files("writes")[0]: step.stage.meaning for step in steps}
    for file, meaning in files.items():
        if file != "stimuli.csv" and not (path / file).is_file():  # another table of stimuli does as well
            reason = "" if study is None else ", though the study asks for it"
            yield f"There is no {file}{reason}: {meaning} cannot be shown."


def _read_stimuli(path: Path, manifest: Mapping[str, Any], faults: list[str]) -> StimulusSet | None:
    stimuli = manifest.get("stimuli")
    named = stimuli.get("table") if isinstance(stimuli, Mapping) else None
    tables = [path / "stimuli.csv", *([path / str(named)] if named else [])]
    table = next((file for file in tables if file.is_file()), None)
    if table is None:
        faults.append("There is no stimuli.csv: pictures of the stimuli cannot be shown.")
        return None
    try:
        return read_stimuli(table)
    except (ValueError, OSError) as error:
        faults.append(f"Pictures of the stimuli cannot be shown. {error}")
        return None


_NUMBERS = "fiu"  # numpy's kinds: floats and integers
_RESULT: dict[str, tuple[str, ...]] = {
    "similarity": (RDM,),
    "similarity_interval": (RDM, BOUND),
    "noise_ceiling": (BOUND,),
    "participant_similarity": (RDM, PARTICIPANT),
}
_FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "localization": ("probability", (LAYER,)),
    "contrast": ("difference", (LAYER,)),
    "people": ("difference", (RDM,)),
    "psychometric_likeness": ("rmse", (NETWORK,)),
    "psychometric": ("proportion", ("level",)),
    "saliency_layers": ("proportion", (RDM, "region")),
    "agreement": ("rank", (NETWORK, "quantity")),
    "partial": ("similarity", (RDM,)),
    "training": ("accuracy", (NETWORK,)),
    "seeds": ("difference", ("seeded",)),
    "multiverse": ("half_way_depth", ("universe",)),
    "recovery": ("picked_share", ("fit", "true", "picked")),
    "stability": ("similarity", ("case", LAYER)),
    "plan": ("left_out", ("participants", "stimuli", LAYER)),
    "trials": ("similarity", (RDM,)),
    "error_consistency": ("error_consistency", (NETWORK, PARTICIPANT, "occlusion")),
}


_ALSO: dict[str, tuple[str, ...]] = {
    "localization": (
        "in_set",
        "picked",
        "value",
        "value_band",
        "similarity",
        "similarity_band",
        "half_way_depth",
        "half_way_interval",
        "half_way_layer",
    ),
    "contrast": ("difference_band",),
    "multiverse": (
        "peak_depth",
        "peak_layer",
        "difference",
        "reason",
        *(f"{name}_interval" for name in ("peak_depth", "difference", "half_way_depth")),
    ),
    "trials": tuple(
        f"{of}{score}" for score in ("accuracy", "log_likelihood") for of in ("", "guessing_", "ceiling_")
    ),
    "people": ("similarity", "p_difference_corrected", "noise_ceiling", "participants"),
    "recovery": ("told_apart", "share_recovered"),
    "stability": ("picked", "same_layer"),
    "plan": ("set_size", "needed_participants", "needed_stimuli"),
    "agreement": (
        "value",
        "peak_layer",
        "rank_correlation",
        "rank_correlation_p",
        "rank_correlation_interval",
        "n_networks",
    ),
}


def has_form(array: xr.DataArray | xr.Dataset, dims: tuple[str, ...]) -> bool:
    """Return whether RDMs, or the comparison of layers with people, are as this version writes them.

    A file may come from an older version, or from a stranger; what is shown of it is drawn without another look.
    """
    if isinstance(array, xr.DataArray) != (len(dims) > 1) or not set(dims) <= set(array.dims):
        return False
    if 0 in array.sizes.values():
        return False
    coords = set(map(str, array.coords))
    if isinstance(array, xr.DataArray):
        return array.dtype.kind in _NUMBERS and (RDM not in dims or {NETWORK, LAYER} <= coords)
    variables = {name: array[name] for name in _RESULT if name in array}
    fit = all(set(_RESULT[name]) == set(one.dims) and one.dtype.kind in _NUMBERS for name, one in variables.items())
    return fit and "similarity" in variables and {NETWORK, LAYER, DEPTH} <= coords and _is_bounded(array)


def is_shown(name: str, extra: xr.Dataset) -> bool:
    """Return whether another result holds what is shown of its kind."""
    kind = next((kind for kind in _FORMS if name.startswith(kind)), None)
    if kind is None:
        return _is_bounded(extra)
    variable, dims = _FORMS[kind]
    complete = {variable, *_ALSO.get(kind, ())} <= set(map(str, extra.data_vars)) and set(dims) <= set(
        extra[variable].dims
    )
    complete &= kind != "trials" or ({"trials", "folds"} <= set(extra.attrs) and has_form(extra, (RDM,)))
    return complete and extra[variable].dtype.kind in _NUMBERS and _is_bounded(extra)


def _is_bounded(result: xr.Dataset) -> bool:
    """Return whether intervals have two ends, and a confidence that is one."""
    confidence = result.attrs.get("confidence", 0.95)
    return result.sizes.get(BOUND, 2) == 2 and isinstance(confidence, int | float) and 0 < confidence <= 1


def draw_figures(run: "Run") -> list[Path]:
    """Draw each figure that the study has the numbers of."""
    written = []
    with figure_style():
        for file, name, plot in _FIGURES:
            if run.has(file.format(network=networks_of(run.study)[0].called)):
                if (ax := plot(run)) is None:
                    continue
                figure = ax.get_figure(root=True)
                assert figure is not None
                written += save_figure(figure, run.folder / "figures" / name)
                plt.close(figure)
    return written


def _rdms(run: "Run") -> Axes:
    rdms = run.array("rdms.nc")
    if not run.has("human_rdms.nc"):
        return plot_rdms(rdms, stimuli=run.stimuli)
    human = run.array("human_rdms.nc")
    return plot_rdms(select_stimuli(rdms, stimulus_ids(human)), human=human, stimuli=run.stimuli)


def _psychometric(run: "Run") -> Axes:
    return plot_psychometric(run.result("psychometric.nc"), run.result("psychometric_networks.nc"))


def _saliency(run: "Run") -> Axes:
    return plot_saliency(run.array("saliency_maps.nc"), run.stimuli, regions=run.dataset("saliency.nc"))


def _people(run: "Run") -> Axes:
    result, network = run.dataset("people.nc"), run.study.inference.network
    return plot_people(result, network=network if network in result[NETWORK].values else None)


def _training(run: "Run") -> Axes:
    trained = [section for section in networks_of(run.study) if section.gate is None]
    logs = {section.called: run.folder / section.log_file for section in trained}
    return plot_training({name: pd.read_csv(file) for name, file in logs.items()})


def _seeds(run: "Run") -> Axes | None:
    seeded = run.dataset("seeds.nc")
    return plot_seeds(seeded) if seeds_differ(seeded) else None


# The file without which there is nothing to draw, the figure's name, and what draws it (or finds nothing to draw).
_FIGURES: tuple[tuple[str, str, Callable[["Run"], Axes | None]], ...] = (
    ("rdms.nc", "rdms", _rdms),
    ("layers.nc", "layers", lambda run: plot_layers(run.dataset("layers.nc"))),
    ("contrast.nc", "contrast", lambda run: plot_contrast(run.dataset("contrast.nc"))),
    ("people.nc", "people", _people),
    ("seeds.nc", "seeds", _seeds),
    ("localization.nc", "localization", lambda run: plot_localization(run.dataset("localization.nc"))),
    ("recovery.nc", "recovery", lambda run: plot_recovery(run.dataset("recovery.nc"))[RAW]),
    ("stability.nc", "stability", lambda run: plot_stability(run.dataset("stability.nc"))["picked"]),
    ("plan.nc", "plan", lambda run: plot_plan(run.dataset("plan.nc"))["power"]),
    ("psychometric.csv", "psychometric", _psychometric),
    ("saliency_maps.nc", "saliency", _saliency),
    ("agreement.nc", "agreement", lambda run: plot_agreement(run.dataset("agreement.nc"))),
    ("weights/{network}.csv", "training", _training),
)
