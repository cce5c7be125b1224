"""``rsa-face figures`` and ``report``: a finished study's figures, and all of it on one page."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rsa_face.study.folder import StudyFolder

_FEWEST_TO_EMBED, _MOST_TO_EMBED = 4, 400
_WAYS_TO_EMBED: dict[str, dict[str, Any]] = {"": {}, "-nonmetric": {"metric": False}, "-3d": {"dims": 3}}
_FORMATS = ("pdf", "svg", "png")


def figures(
    results: Annotated[Path, typer.Argument(help="A study's output folder: results/demo.", show_default=False)],
    style: Annotated[str, typer.Option(help="nature, plos, apa or talk.")] = "nature",
    formats: Annotated[str, typer.Option(help="Of pdf, svg and png, separated by commas.")] = "pdf,svg,png",
    scale: Annotated[str, typer.Option(help="Of RDMs: rank, shared or own.")] = "rank",
    sort: Annotated[str, typer.Option(help="Factors to sort stimuli by, separated by commas.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write; RESULTS/figures/STYLE if not given.")] = None,
    only: Annotated[str, typer.Option(help="Names of figures, separated by commas; all if not given.")] = "",
    dpi: Annotated[int, typer.Option(min=50, max=1200, help="Of PNG, in dots per inch.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False,
) -> None:
    """Draw a study's figures: PDF and SVG with real text, PNG at 300 dpi, and each panel's numbers as CSV.

    Each image says within itself which results it was drawn from; the study's own figures are not written over.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from rsa_face.figures.layout import save_figure
    from rsa_face.figures.rdms import SCALES
    from rsa_face.figures.style import STYLES, figure_style, font_in_words
    from rsa_face.schema import must_be_known
    from rsa_face.study.folder import read_results

    must_be_known(scale, SCALES, "scale")
    must_be_known(style, STYLES, "style")
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    for name in wanted:
        must_be_known(name, _FORMATS, "image format")
    study = read_results(results)
    folder = out or results / "figures" / style
    _must_be_free(folder, study)
    by = [name.strip() for name in sort.split(",") if name.strip()] or None
    written: list[Path] = []
    with figure_style(style):
        drawings = dict(_figures(study, scale=scale, sort=by))
        chosen = [name.strip() for name in only.split(",") if name.strip()] or list(drawings)
        for name in chosen:
            must_be_known(name, list(drawings), "figure of this study")
        about = _about(study)
        for name in chosen:
            figure = drawings[name]()
            written += save_figure(figure, folder / name, formats=wanted, dpi=dpi, about=about)
            plt.close(figure)
            if not as_json:
                print(folder / name)
    missing = [*study.missing, *_left_out(study)]
    if as_json:
        print(json.dumps({"written": [str(path) for path in written], "missing": missing, "font": font_in_words()}))
        return
    for sentence in missing:
        print(f"Left out: {sentence}")
    if font_in_words():
        print(font_in_words())
    print(f"{len(written)} files in {folder}")


def report(
    results: Annotated[Path, typer.Argument(help="A study's output folder: results/demo.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The file to write; RESULTS/report.html if not given.")] = None,
) -> None:
    """Write a finished study as one self-contained HTML page: it opens offline and can be mailed."""
    from rsa_face.report.page import write_report

    path = write_report(results, out=out)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _must_be_free(folder: Path, study: "StudyFolder") -> None:
    """Refuse a folder with figures that the study's manifest records: the next run would draw over these."""
    taken = sorted(file for file in study.recorded if file.resolve().parent == folder.resolve())
    if taken:
        message = (
            f"{str(taken[0])!r} is one of the study's own figures and would be written over. Name another folder "
            "with --out, or leave it out."
        )
        raise ValueError(message)


def _about(study: "StudyFolder") -> str:
    """Return which results figures show: the first digits of the sha256 of each file, as the manifest has them."""
    from rsa_face.provenance import hash_file

    files = sorted(study.path.glob("*.nc"))
    return f"Study {study.name}: " + ", ".join(f"{file.name} {hash_file(file)[:12]}" for file in files)


def _figures(study: "StudyFolder", *, scale: str, sort: list[str] | None) -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.layers import plot_layers
    from rsa_face.figures.networks import plot_networks
    from rsa_face.figures.rdms import plot_rdm_similarity, plot_rdms
    from rsa_face.figures.study import plot_study
    from rsa_face.rdms.embedding import relate_rdms

    result, rdms, stimuli = study.result, study.rdms, study.stimuli
    shared, judged = _judged(study)
    answers = _localized(study)
    compared = _planned(study, answers)
    if result is not None:
        yield "layers", lambda: _whole(plot_layers(result, partial=study.extras.get("partial")))
        yield "depth", lambda: _whole(plot_layers(result, partial=study.extras.get("partial"), along="depth"))
        yield "networks", lambda: _whole(plot_networks(result, where=answers, compared=compared))
    yield from _of_extras(study)
    yield from _of_behaviour(study)
    if rdms is not None and shared is not None:
        yield "rdms", lambda: _whole(plot_rdms(shared, human=judged, scale=scale, sort=sort, stimuli=stimuli))
        if shared.sizes["stimulus_i"] < rdms.sizes["stimulus_i"]:
            yield "rdms-all", lambda: _whole(plot_rdms(rdms, scale=scale, sort=sort, stimuli=stimuli))
        if rdms.sizes["rdm"] > 1:
            yield "rdm_similarity", lambda: _whole(plot_rdm_similarity(relate_rdms(rdms)))
        yield from _of_rdms(shared, judged, stimuli, result)
    if result is not None:
        contrast = next((study.extras[key] for key in study.extras if key.startswith("contrast")), None)
        yield (
            "study",
            lambda: _whole(
                plot_study(
                    result,
                    where=answers if "localization" in study.extras else None,
                    contrast=contrast,
                    rdms=shared,
                    human=judged,
                    stimuli=stimuli,
                    compared=compared,
                )["layers"]
            ),
        )


def _of_extras(study: "StudyFolder") -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.agreement import plot_reliability
    from rsa_face.figures.networks import plot_contrast, plot_localization

    draw: dict[str, Callable[[Any], Any]] = {
        "localization": plot_localization,
        "contrast": plot_contrast,
        "reliability": lambda reliability: plot_reliability(reliability)["halves"],
    }
    for name, extra in study.extras.items():
        kind = next((kind for kind in draw if name.startswith(kind)), None)
        if kind is not None:
            yield name, lambda kind=kind, extra=extra: _whole(draw[kind](extra))  # type: ignore[misc] # bound now


def _of_behaviour(study: "StudyFolder") -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.agreement import plot_agreement
    from rsa_face.figures.psychometric import plot_psychometric
    from rsa_face.figures.saliency import plot_saliency

    people, networks = (study.extras.get(name) for name in ("psychometric", "psychometric_networks"))
    if people is not None or networks is not None:
        yield "psychometric", lambda: _whole(plot_psychometric(people, networks))
    kept = study.extras.get("saliency_maps")
    if kept is not None:
        maps = next(iter(kept.data_vars.values())).assign_attrs(kept.attrs)
        yield "saliency", lambda: _whole(plot_saliency(maps, regions=study.extras.get("saliency")))
    agreement = study.extras.get("agreement")
    if agreement is not None:
        yield "agreement", lambda: _whole(plot_agreement(agreement))


def _of_rdms(rdms: Any, human: Any, stimuli: Any, result: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Draw people, and the layer of each network most like them, as points: in a plane, by ranks alone, in space."""
    from rsa_face.figures.mds import plot_mds
    from rsa_face.figures.rdms import mean_person
    from rsa_face.figures.study import most_similar
    from rsa_face.rdms.embedding import embed_rdm

    if not _FEWEST_TO_EMBED <= rdms.sizes["stimulus_i"] <= _MOST_TO_EMBED:
        return
    shown: dict[str, Any] = {}
    if human is not None and not (mean := mean_person(human)).isnull().any():
        factors = {name: part for name, part in rdms.coords.items() if part.dims == ("stimulus_i",)}
        shown["people"] = mean.assign_coords(factors).assign_attrs(human.attrs).rename("People (mean)")
    for rdm in most_similar(rdms, result):
        shown[str(rdm["network"].item()).replace("/", "-")] = rdm
    for name, rdm in shown.items():
        for ending, asked in _WAYS_TO_EMBED.items():
            yield (
                f"mds-{name}{ending}",
                lambda rdm=rdm, asked=asked: _whole(plot_mds(embed_rdm(rdm, **asked), stimuli=stimuli)),  # type: ignore[misc] # bound now
            )


def _judged(study: "StudyFolder") -> tuple[Any, Any]:
    """Return the layers' and the human RDMs of the stimuli that people judged."""
    from rsa_face.figures.layout import judged_stimuli
    from rsa_face.rdms.align import select_stimuli

    if study.rdms is None or study.human is None:
        return study.rdms, None
    shared = judged_stimuli(study.human, study.rdms)
    if len(shared) < _FEWEST_TO_EMBED:
        return study.rdms, None
    return select_stimuli(study.rdms, shared), select_stimuli(study.human, shared)


def _left_out(study: "StudyFolder") -> list[str]:
    """Return in words what is not drawn because there is too much of it, or pairs of it are missing."""
    from rsa_face.figures.rdms import mean_person

    shared, judged = _judged(study)
    if shared is None:
        return []
    count = shared.sizes["stimulus_i"]
    if count > _MOST_TO_EMBED:
        return [f"faces as points: {count} stimuli would hide one another (at most {_MOST_TO_EMBED} are drawn)."]
    never = 0 if judged is None else int(mean_person(judged).isnull().sum()) // 2
    if never:
        return [f"people as points: {never} pair{'s' * (never > 1)} of stimuli judged by nobody."]
    return []


def _localized(study: "StudyFolder") -> list[Any]:
    """Return the study's answer to where its network is most like people, and the same of its other networks."""
    from rsa_face.inference.localization import localize

    answers = [extra for name, extra in study.extras.items() if name.startswith("localization")]
    result = study.result
    if result is None or "similarity_draws" not in result:
        return answers
    known = {str(answer.attrs.get("network")) for answer in answers}
    others = [name for name in dict.fromkeys(map(str, result["network"].values)) if name not in known]
    return answers + [localize(result, network=name, baseline=None) for name in others]


def _planned(study: "StudyFolder", answers: Sequence[Any]) -> list[tuple[str, str, float]]:
    """Return the contrasts of two networks at the layers they are shown at, with Holm's correction for their number.

    Networks that are shown at layers that were not contrasted with one another have none.
    """
    import numpy as np

    from rsa_face.figures.networks import answers_of, picked_layers
    from rsa_face.inference.statistics import correct

    if study.result is None:
        return []
    shown = picked_layers(study.result, answers_of(answers))
    planned = []
    for name, contrast in study.extras.items():
        if not (name.startswith("contrast") and "p_difference" in contrast and "baseline_layer" in contrast.coords):
            continue
        network, baseline = str(contrast.attrs["network"]), str(contrast.attrs["baseline"])
        pairs = zip(contrast["layer"].values.astype(str), contrast["baseline_layer"].values.astype(str), strict=True)
        at = [place for place, pair in enumerate(pairs) if pair == (shown.get(network), shown.get(baseline))]
        planned += [(network, baseline, float(contrast["p_difference"][place])) for place in at]
    values = correct(np.array([p for *_, p in planned]), method="holm")
    return [(network, baseline, float(p)) for (network, baseline, _), p in zip(planned, values, strict=True)]


def _whole(ax: Any) -> Any:
    return ax.get_figure(root=True)
