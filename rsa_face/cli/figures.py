"""``rsa-face figures``: draw a finished study's figures for a journal or a talk."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rsa_face.figures.folder import StudyFolder

_MOST_TO_EMBED = 400
_FORMATS = ("pdf", "svg", "png")


def figures(
    results: Annotated[Path, typer.Argument(help="A study's output folder: results/demo.", show_default=False)],
    style: Annotated[str, typer.Option(help="nature, plos, apa or talk.")] = "nature",
    formats: Annotated[str, typer.Option(help="Of pdf, svg and png, separated by commas.")] = "pdf,svg,png",
    scale: Annotated[str, typer.Option(help="Of RDMs: rank, shared or own.")] = "rank",
    sort: Annotated[str, typer.Option(help="Factors to sort stimuli by, separated by commas.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write; RESULTS/figures if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False,
) -> None:
    """Draw a study's figures: PDF and SVG with real text, PNG at 300 dpi, and each panel's numbers as CSV."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from rsa_face.figures.folder import read_results
    from rsa_face.figures.rdms import SCALES
    from rsa_face.figures.saving import save_figure
    from rsa_face.figures.style import figure_style
    from rsa_face.schema import must_be_known

    must_be_known(scale, SCALES, "scale")
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    for name in wanted:
        must_be_known(name, _FORMATS, "image format")
    study = read_results(results)
    folder = out or results / "figures"
    by = [name.strip() for name in sort.split(",") if name.strip()] or None
    written: list[Path] = []
    with figure_style(style):
        for name, draw in _figures(study, scale=scale, sort=by):
            figure = draw()
            written += save_figure(figure, folder / name, formats=wanted)
            plt.close(figure)
            if not as_json:
                print(folder / name)
    if as_json:
        print(json.dumps({"written": [str(path) for path in written], "missing": list(study.missing)}))
        return
    for sentence in study.missing:
        print(f"Left out: {sentence}")
    print(f"{len(written)} files in {folder}")


def _figures(study: "StudyFolder", *, scale: str, sort: list[str] | None) -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.layers import plot_layers
    from rsa_face.figures.networks import plot_networks
    from rsa_face.figures.rdms import plot_rdms
    from rsa_face.figures.study import plot_study

    result, rdms, human, stimuli = study.result, study.rdms, study.human, study.stimuli
    if result is not None:
        yield "layers", lambda: _whole(plot_layers(result, partial=study.extras.get("partial")))
        yield "depth", lambda: _whole(plot_layers(result, partial=study.extras.get("partial"), along="depth"))
        yield "networks", lambda: _whole(plot_networks(result))
    yield from _of_extras(study)
    yield from _of_behaviour(study)
    if rdms is not None:
        yield "rdms", lambda: _whole(plot_rdms(rdms, human=human, scale=scale, sort=sort, stimuli=stimuli))
        yield from _of_rdms(study)
    if result is not None:
        first = {name: next((study.extras[key] for key in study.extras if key.startswith(name)), None)
                 for name in ("localization", "contrast")}  # fmt: skip
        yield (
            "study",
            lambda: _whole(
                plot_study(
                    result,
                    where=first["localization"],
                    contrast=first["contrast"],
                    rdms=rdms,
                    human=human,
                    stimuli=stimuli,
                )["layers"]
            ),
        )


def _of_extras(study: "StudyFolder") -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.contrast import plot_contrast
    from rsa_face.figures.localization import plot_localization
    from rsa_face.figures.reliability import plot_reliability

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


def _of_rdms(study: "StudyFolder") -> Iterator[tuple[str, Callable[[], Any]]]:
    from rsa_face.figures.mds import plot_mds
    from rsa_face.figures.palette import in_order
    from rsa_face.figures.rdm_similarity import plot_rdm_similarity
    from rsa_face.rdms.embedding import embed_rdm
    from rsa_face.rdms.second_order import relate_rdms

    rdms = study.rdms
    assert rdms is not None  # the caller looked
    if rdms.sizes["rdm"] > 1:
        yield "rdm_similarity", lambda: _whole(plot_rdm_similarity(relate_rdms(rdms)))
    if rdms.sizes["stimulus_i"] > _MOST_TO_EMBED:
        return
    names = rdms["network"].values.astype(str)
    for network in in_order(names):
        last = int((names == network).nonzero()[0][rdms["order"].values[names == network].argmax()])
        for metric in (True, False):
            stem = f"mds-{network.replace('/', '-')}" + ("" if metric else "-nonmetric")
            yield (
                stem,
                lambda last=last, metric=metric: _whole(  # type: ignore[misc] # bound now
                    plot_mds(embed_rdm(rdms.isel(rdm=last), metric=metric), stimuli=study.stimuli)
                ),
            )


def _whole(ax: Any) -> Any:
    return ax.get_figure(root=True)
