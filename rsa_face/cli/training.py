"""``rsa-face train`` and ``rsa-face weights``: train networks on valence, and see what a file of weights holds."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rsa_face.training.loop import Trained

training_app = typer.Typer()
weights_app = typer.Typer(name="weights", help="See what files of weights hold.", no_args_is_help=True)


@training_app.command("train")
def train(
    faces: Annotated[Path, typer.Argument(help="The training faces: a table, or a folder.")],
    network: Annotated[list[str], typer.Option(help="Architecture; give several to train several.")],
    out: Annotated[Path, typer.Option(help="Folder for weights, logs and scores.")],
    weights: Annotated[str, typer.Option(help="random, imagenet, a file, or hf://OWNER/REPO/FILE.")] = "random",
    pretraining: Annotated[str | None, typer.Option(help="What to call the weights in names.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Faces of other identities to be judged in the end.")] = None,
    kind: Annotated[str, typer.Option(help="table, folder, affectnet-csv or affectnet-npy.")] = "table",
    label: Annotated[str, typer.Option(help="Column of the class, by name or by sign.")] = "valence",
    held_out_label: Annotated[str | None, typer.Option(help="The same for the held-out faces.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Give several for several networks.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of further settings (lr, batch, freeze ...).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes through the faces.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's log.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print scores and paths as JSON.")] = False,
) -> None:
    """Train networks to tell happy from sad faces. Interrupted, the same command goes on."""
    from rsa_face.training.data import read_faces
    from rsa_face.training.loop import Start, combine_seeds, train_seeds

    chosen = _settings(settings, label=label, epochs=epochs)
    named: dict[str, Any] = {"kind": kind, "classes": chosen.classes}
    table = read_faces(faces, label=label, **named)
    aside = None if held_out is None else read_faces(held_out, label=held_out_label or label, **named)
    for part in (table, aside):
        for left in part.left_out if part else ():
            typer.echo(f"left out: {left}", err=True)
    done = []
    for architecture in network:
        start = Start(architecture, weights, pretraining)
        with _bar() as progress:
            trained = train_seeds(
                start, table, seeds=seed or [0], settings=chosen, held_out=aside, folder=out, progress=progress
            )
            done += [_summary(each, tensorboard) for each in trained]
    scores = [each.pop("scores") for each in done]
    if aside is not None:
        from rsa_face.provenance import save

        combined = combine_seeds(scores)
        path = save(combined, out / "scores.nc")
        done.append({"file": str(path), "held_out": _plain(combined)})
    print(json.dumps(done) if as_json else "\n".join(_line(each) for each in done))


@training_app.command("replication")
def replication(
    folder: Annotated[Path, typer.Argument(help="The output folder of a study with seeds.")] = Path(
        "results/replication"
    ),
    network: Annotated[str, typer.Option(help="The architecture that should be the best.")] = "fe_alexnet",
    as_json: Annotated[bool, typer.Option("--json", help="Print every number, as JSON.")] = False,
) -> None:
    """Print how each architecture did over its seeds, and whether FE-AlexNet came first: after `run replication`."""
    from rsa_face.provenance import load
    from rsa_face.study.replication import compare_architectures, layers_picked, tell_places, write_markdown

    table = compare_architectures(folder, network=network)
    if as_json:
        print(table.to_json(orient="records"))
        return
    simulated = bool(load(folder / "layers.nc").attrs.get("simulated"))
    print(write_markdown(table, layers_picked(folder)), "", sep="\n")
    for sentence in tell_places(table, network=network, simulated=simulated):
        print(f"- {sentence}")


@weights_app.callback()
def _weights() -> None:
    pass


@weights_app.command("inspect")
def inspect(
    file: Annotated[str, typer.Argument(help="A file, or hf://OWNER/REPO/FILE.")],
    layout: Annotated[str, typer.Option(help="Whose layout, where the names do not say.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say whose layout a file of weights has, for which network, and what of it would load. Builds nothing."""
    from rsa_face.networks.weights import inspect_weights

    found = inspect_weights(file, layout=layout)
    print(json.dumps(found) if as_json else "\n".join(f"{name}: {_shown(value)}" for name, value in found.items()))


def _settings(path: Path | None, *, label: str, epochs: int | None) -> Any:
    from rsa_face.safety import read_yaml
    from rsa_face.training.settings import TrainingSettings

    given: dict[str, Any] = {}
    if path is not None:
        if not path.is_file():
            message = f"No such settings file: {str(path)!r}. Check the path."
            raise FileNotFoundError(message)
        given = read_yaml(path, "A settings file")[1] or {}
        if not isinstance(given, dict):
            kind = type(given).__name__
            message = f"{path.name} holds a {kind}, not keys and values. Write a line for each setting: `epochs: 3`."
            raise ValueError(message)
    options = {"label": label, **given, **({} if epochs is None else {"epochs": epochs})}
    try:
        return TrainingSettings(**{str(name): value for name, value in options.items()})
    except ValueError as error:
        message = f"{error} Change {path or 'the options'}."
        raise ValueError(message) from error


@contextmanager
def _bar() -> Iterator[Any]:
    from tqdm import tqdm

    seen: set[str] = set()
    form = "{desc} {bar:20} {n_fmt}/{total_fmt} {rate_fmt}"
    with tqdm(total=0, unit="batch", disable=None, bar_format=form) as line:

        def show(step: Any) -> None:
            done = step.batches * (step.epoch - 1) + step.batch
            if step.network not in seen:  # what an earlier run did is no work of this one
                seen.add(step.network)
                line.reset(step.batches * step.epochs)
                line.initial = done - 1
            line.n = done
            line.set_description_str(f"{step.network} epoch {step.epoch}/{step.epochs} loss {step.loss:.3f}")

        yield show


def _summary(trained: "Trained", tensorboard: Path | None) -> dict[str, Any]:
    from rsa_face.training.runs import write_tensorboard

    if tensorboard is not None:
        write_tensorboard(trained.history, tensorboard / trained.network.name)
    last = trained.history.iloc[-1]
    scores = trained.scores
    accuracy = {} if scores is None else {"held_out_accuracy": float(scores["accuracy"].sel(condition="all").item())}
    named = {"network": trained.network.name, "file": str(trained.file), "epochs": int(last["epoch"])}
    skipped = {"images_skipped": int(last["skipped"])} if last["skipped"] else {}
    return {**named, **skipped, "training_accuracy": float(last["accuracy"]), **accuracy, "scores": scores}


def _plain(combined: Any) -> dict[str, Any]:
    whole = combined.sel(condition="all")
    found = {}
    for start in whole["start"].values:
        lower, upper = whole["accuracy_interval"].sel(start=start).values.tolist()
        value = float(whole["accuracy"].sel(start=start))
        found[str(start)] = value if math.isnan(lower) else {"accuracy": value, "lower": lower, "upper": upper}
    return found


def _line(found: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in found.items()
    )


def _shown(value: Any) -> str:
    return ", ".join(str(each) for each in value) or "none" if isinstance(value, list) else str(value)
