"""``rsa-face networks``, ``train``, ``extract``, ``rdms`` ...: networks, their weights, activations and RDMs."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rsa_face.cli.shared import (
    NETWORK_NAMES,
    Batch,
    Cluster,
    Device,
    Json,
    Layers,
    Networks,
    Seed,
    StimulusTable,
    Thorough,
    Weights,
    completing,
    print_table,
    say,
    split,
)

if TYPE_CHECKING:
    from rsa_face.training.loop import Trained

_MOST_SHOWN = 20
networks_app = typer.Typer()
activations_app = typer.Typer(
    name="activations", help="Look at, check or remove a store of activations.", no_args_is_help=True
)
weights_app = typer.Typer(name="weights", help="Look into files of weights, or convert them.", no_args_is_help=True)

Pool = Annotated[
    Literal["none", "mean", "class"],
    typer.Option(help="Keep all of a layer, the mean over space or tokens, or a transformer's class token."),
]
Store = Annotated[Path, typer.Argument(help="A store of activations (.zarr folder).")]
Layout = Annotated[
    str,
    typer.Option(
        help="Whose names of layers the file uses.",
        autocompletion=completing("auto", registry="networks.weights.LAYOUTS"),
    ),
]


@networks_app.command()
def networks(as_json: Json = False) -> None:
    """List the networks with their layers and numbers of parameters."""
    from rsa_face.networks.layers import name_layers, select_layers
    from rsa_face.networks.zoo import attention_of, count_parameters, make_skeleton
    from rsa_face.schema import NETWORKS

    rows: list[dict[str, Any]] = []
    for name in NETWORKS:
        layers = name_layers(make_skeleton(name, 2, attention_of(name, None), device="meta"))
        main = [layer.name for layer in select_layers(layers, "main", network=name)]
        counts = count_parameters(name)
        rows.append({"network": name, "parameters": counts["all"], **counts, "layers": len(layers), "main": main})
    if as_json:
        say(json.dumps(rows, indent=1))
        return
    for row in rows:
        parts = ", ".join(f"{row[part]:,} {part}" for part in ("features", "attention", "classifier") if row[part])
        say(
            f"{row['network']:<11} {row['parameters']:>12,} parameters (2 classes: {parts}), {row['layers']} layers",
            f"{'':<11} main: {' '.join(row['main'])}",
        )


@networks_app.command()
def layers(
    network: Annotated[str, typer.Argument(help="A network, such as alexnet.", autocompletion=NETWORK_NAMES)],
    as_json: Json = False,
) -> None:
    """List the layers of a network: name, module, shape, features, depth, before or after the nonlinearity.

    A star marks those of `--layers main`. Modules that cannot be recorded come last, with the reason.
    """
    import torch

    from rsa_face.activations.capture import capture
    from rsa_face.networks.zoo import build_network

    built = build_network(network)
    side, main = built.preprocessing.crop, built.select("main")
    captured = {} if built.survey.layers else capture(built, built.layers, torch.zeros(1, 3, side, side))
    shapes = {layer.name: list(layer.shape or captured[layer.name].shape[1:]) for layer in built.layers}
    if as_json:
        rows = [
            {"layer": layer.name, "module": layer.path, "shape": shapes[layer.name],
             "features": math.prod(shapes[layer.name]), "depth": layer.depth, "nonlinearity": layer.nonlinearity,
             "main": layer in main}
            for layer in built.layers
        ]  # fmt: skip
        say(json.dumps(rows, indent=1))
        return
    wide, deep = (max(len(getattr(layer, name)) for layer in built.layers) for name in ("name", "path"))
    say(f"  {'layer':<{wide}} {'module':<{deep}} {'shape':<16} {'features':>10}  {'depth':<6} nonlinearity")
    for layer in built.layers:
        shape = " x ".join(map(str, shapes[layer.name]))
        size = math.prod(shapes[layer.name])
        say(
            f"{'*' if layer in main else ' '} {layer.name:<{wide}} {layer.path:<{deep}} {shape:<16} {size:>10,}  "
            f"{layer.depth:<6.3f} {layer.nonlinearity}"
        )
    for name, reason in built.survey.unrecorded.items():
        say(f"  {name}: cannot be recorded, it {reason}")


@networks_app.command()
def doctor(
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="A network to check; may be repeated.", show_default="all five", autocompletion=NETWORK_NAMES
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Check this machine, and that the activations of every layer are recorded as they were computed.

    A network that cannot be built or recorded is named with the reason; the others are checked all the same.
    """
    import torch

    from rsa_face.networks.reference import must_be_reference
    from rsa_face.provenance import versions
    from rsa_face.schema import NETWORKS, must_be_network

    for name in network or ():
        must_be_network(name)
        must_be_reference(name)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    machine = {"gpu": gpu, "threads": torch.get_num_threads(), "versions": versions()}
    if not as_json:
        say(f"GPU {gpu}; {machine['threads']} threads")
        say(", ".join(f"{name} {version}" for name, version in versions().items()))
    audits, refused = _audits(network or list(NETWORKS))
    wrong = [name for name, table in audits.items() if (table["captured"] == "wrong").any()]
    if as_json:
        tables = {name: table.to_dict("records") for name, table in audits.items()}
        right = not wrong and not refused
        say(json.dumps({**machine, "right": right, "networks": tables, "refused": refused}))
        return 0 if right else 1
    if audits:
        _print_audits(audits)
    say(*(f"{name} cannot be checked: {reason}" for name, reason in refused.items()))
    if wrong or not refused:
        say(f"Wrong: {', '.join(wrong)}" if wrong else "All is well.")
    return 1 if wrong or refused else 0


def _audits(names: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the audit of each network, and why there is none."""
    from rsa_face.activations.capture import audit
    from rsa_face.networks.zoo import build_network
    from rsa_face.schema import is_builder
    from rsa_face.stimuli.preprocessing import Preprocessing

    audits, refused = {}, {}
    for name in names:
        try:
            try:
                small = None if is_builder(name) else Preprocessing(resize=64, crop=64)
                audits[name] = audit(build_network(name, preprocessing=small))
            except ValueError:  # it takes images of one size alone, or cannot be built, which is said here
                audits[name] = audit(build_network(name))
        except (ValueError, ModuleNotFoundError, RuntimeError) as error:
            refused[name] = str(error)
    return audits, refused


def _print_audits(audits: dict[str, Any]) -> None:
    """Print for each network how many layers are right, by our capture and by a hook that does not copy."""
    rows = []
    for name, table in audits.items():
        recorded = table[table["captured"].isin(["right", "wrong"])]
        uncopied = int((recorded["uncopied"] == "wrong").sum())
        right = int((recorded["captured"] == "right").sum())
        rows.append((name, right, len(recorded) - right, uncopied, len(table) - len(recorded)))
    print_table(
        ("network", "right", "wrong", "wrong\nuncopied", "not\nrecorded"),
        rows,
        title="Layers whose recorded activations are those that were computed",
        words=("network",),
    )
    for name, table in audits.items():
        uncopied = table.loc[table["uncopied"] == "wrong", "layer"].tolist()
        if uncopied and len(audits) == 1:
            more = f" and {len(uncopied) - _MOST_SHOWN} more" if len(uncopied) > _MOST_SHOWN else ""
            say(f"A hook that does not copy gets {' '.join(uncopied[:_MOST_SHOWN])}{more} wrong.")
        for reason, those in table[~table["captured"].isin(["right", "wrong"])].groupby("captured")["layer"]:
            more = f" and {len(those) - 3} more" if len(those) > 3 else ""
            say(f"{name}: {', '.join(those[:3])}{more} cannot be recorded: {reason}")


@networks_app.command("extract")
def extract_command(
    table: StimulusTable,
    network: Networks,
    store: Annotated[Path, typer.Option(help="The store to write: a .zarr folder, which is made or continued.")],
    weights: Weights = None,
    seed: Seed = 0,
    layers: Layers = "main",
    device: Device = "auto",
    batch: Batch = 32,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"], typer.Option(help="Precision in the store.")
    ] = "float32",
    pool: Pool = "none",
    projection: Annotated[
        int | None, typer.Option(help="Keep this many random projections of each larger layer.")
    ] = None,
    chunk: Annotated[int, typer.Option(help="Number of stimuli that a worker of a cluster takes at once.")] = 256,
    autocast: Annotated[bool, typer.Option(help="Compute in bfloat16 where torch considers it safe.")] = False,
    channels_last: Annotated[bool, typer.Option(help="Hold maps in memory with the channels last.")] = False,
    cluster: Cluster = None,
) -> None:
    """Record the activations of layers for all stimuli in a store; an interrupted run is continued."""
    from rsa_face.activations.extract import Options, extract
    from rsa_face.activations.store import describe_store
    from rsa_face.networks.zoo import build_network
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = read_stimuli(table)
    built = [build_network(name, weights=weights, seed=seed) for name in network]
    for stored in describe_store(store)["networks"] if (store / "zarr.json").is_file() else ():
        say(f"{stored['network']}: {stored['done']} of {stored['stimuli']} stimuli are there", err=True)
    extract(
        built,
        stimuli,
        store,
        layers=_layers(layers),
        device=device,
        batch=batch,
        dtype=dtype,
        options=Options(chunk, pool, projection, seed, autocast, channels_last),
        cluster=cluster,
        progress=True,
    )
    say(store)


@networks_app.command("rdms")
def rdms_command(
    table: Annotated[Path, typer.Argument(help="A stimulus table (CSV or TSV), or a study file (YAML).")],
    network: Annotated[
        list[str] | None,
        typer.Option(help="A network (with a stimulus table); may be repeated.", autocompletion=NETWORK_NAMES),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the RDMs; a study has one of its own.")] = None,
    weights: Weights = None,
    seed: Annotated[list[int] | None, typer.Option(help="A seed; may be repeated.", show_default="0")] = None,
    occlusion: Annotated[
        list[str] | None,
        typer.Option(
            help="Use the stimuli with this occlusion; may be repeated.",
            show_default="all stimuli",
            autocompletion=completing(registry="schema.OCCLUSIONS"),
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help="A measure of dissimilarity, or LAYER=MEASURE for that of one layer; may be repeated.",
            show_default="correlation",
            autocompletion=completing(registry="schema.MEASURES"),
        ),
    ] = None,
    layers: Layers = "main",
    pool: Pool = "none",
    stream: Annotated[bool, typer.Option(help="Compute RDMs without storing activations.")] = True,
    device: Device = "auto",
    batch: Batch = 32,
    memory: Annotated[float, typer.Option(help="Memory for activations, in GiB.")] = 3.0,
    cluster: Cluster = None,
    show: Annotated[bool, typer.Option("--list", help="Only list the RDM files, and which are done.")] = False,
) -> None:
    """Compute a file of RDMs for each network, seed, occlusion and measure; files that are done are kept."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.study.batch import Batch as Wanted
    from rsa_face.study.batch import compute_batch, is_done, sources_of

    pairs = [word.partition("=") for word in measure or []]
    measures = [name for name, equals, _ in pairs if not equals]
    by_layer = {layer: name for layer, equals, name in pairs if equals}
    of_study = table.suffix in (".yaml", ".yml")
    given = {"--network": network, "--seed": seed, "--occlusion": occlusion, "--pool": pool if pool != "none" else ""}
    _must_suit(given, out, of_study=of_study)
    if of_study:
        from rsa_face.study.batch import BATCH, batch_of
        from rsa_face.study.config import load_study

        study = load_study(table)
        if show:
            show_units(out or study.output / BATCH)
            return
        options: dict[str, Any] = {"progress": True, "say": lambda line: say(line, err=True)}
        wanted = batch_of(study, folder=out, measures=measures, by_layer=by_layer, **options)
    else:
        wanted = Wanted(
            stimuli=read_stimuli(table),
            folder=out or Path(),
            networks=sources_of(network or [], seed or [0], weights=weights),
            occlusions=tuple(occlusion or ["all"]),
            measures=tuple(measures or ["correlation"]),
            by_layer=by_layer,
            layers=_layers(layers),
            pool=pool,
        )
    if show:
        _print_units({unit.name: is_done(wanted, unit) for unit in wanted.units})
        return
    begun = last = time.monotonic()
    computed: list[bool] = []

    def tell(_unit: Any, path: Path, new: bool) -> None:
        nonlocal last
        now = time.monotonic()
        say(f"{path}  {f'{now - last:.1f} s' if new else 'was there'}")
        computed.append(new)
        last = now

    compute_batch(
        wanted,
        stream=stream and cluster is None,
        device=device,
        size=batch,
        memory=memory,
        cluster=cluster,
        progress=True,
        tell=tell,
    )
    seconds = time.monotonic() - begun
    say(f"{len(computed)} units, {sum(computed)} computed now, {seconds:.1f} s in all, in {wanted.folder}")


def _layers(words: str) -> Any:
    return words if words in ("main", "all") else tuple(split(words))


def _must_suit(given: dict[str, Any], out: Path | None, *, of_study: bool) -> None:
    """Refuse options that a study sets itself, and the lack of those that a stimulus table needs."""
    options = [name for name, value in given.items() if value]
    missing = [name for name, value in (("--network", given["--network"]), ("--out", out)) if not value]
    if of_study and options:
        message = f"{', '.join(options)} cannot be given with a study, which sets what it compares. Leave it out."
        raise ValueError(message)
    if missing and not of_study:
        are = "is" if len(missing) == 1 else "are"
        message = f"{' and '.join(missing)} {are} missing. With a stimulus table, give both --network and --out."
        raise ValueError(message)


def show_units(folder: Path, as_json: bool = False) -> None:
    """Print which RDM files of a folder are done."""
    from rsa_face.study.batch import describe_batch

    states = describe_batch(folder)
    if as_json:
        say(json.dumps({name: "done" if done else "missing" for name, done in states.items()}))
        return
    _print_units(states)


def _print_units(states: dict[str, bool]) -> None:
    say(*(f"{'done' if done else 'to do':6s} {name}" for name, done in states.items()))
    say(f"{sum(states.values())} of {len(states)} done")


@activations_app.command("show")
def show_store(store: Store, as_json: Json = False, thorough: Thorough = False) -> None:
    """Show what a store holds, how much of it is recorded, and which files are missing or have another size."""
    from rsa_face.activations.store import describe_store, verify_store

    contents = describe_store(store)
    faults = verify_store(store, read="all" if thorough else "none")
    if as_json:
        say(json.dumps({**contents, "faults": faults}))
        return
    size, busy = f"{contents['bytes'] / 2**20:.1f} MiB", ", being written" if contents["busy"] else ""
    say(f"{contents['path']}: {contents['stimuli']} stimuli, {contents['dtype']}, {size}{busy}")
    for network in contents["networks"]:
        state = "finished" if network["finished"] else f"{network['done']} of {network['stimuli']} stimuli"
        random = ", random weights" if network["untrained"] else ""
        random += ", training unknown" if network["training_unknown"] else ""
        say(f"  {network['network']}: {state}, {len(network['layers'])} layers{random}")
        say(*(f"    {fault}" for fault in faults if fault.startswith(f"{network['network']}/")))


@activations_app.command("verify")
def verify_command(store: Store) -> int:
    """Check every block of a store against its checksum; the exit code is 1 if one is damaged or missing."""
    from rsa_face.activations.store import verify_store

    faults = verify_store(store)
    counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    say(*faults, f"{store}: {counted if faults else 'all blocks are sound'}")
    return 1 if faults else 0


@activations_app.command("remove")
def remove_command(store: Store, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a store. Nothing else is removed: files that the store does not list stay."""
    from rsa_face.activations.store import remove_store

    if not yes:
        typer.confirm(f"Remove {store}?", abort=True)
    rest = remove_store(store)
    say(f"removed {store}", *(f"kept {file}, which the store does not list" for file in rest))


@networks_app.command()
def train(
    faces: Annotated[Path, typer.Argument(help="The faces to train on: a table, or a folder.")],
    network: Networks,
    out: Annotated[Path, typer.Option(help="Folder for weights, logs and scores.")],
    weights: Weights = None,
    pretraining: Annotated[str | None, typer.Option(help="What names of networks call these weights.")] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="Faces of other identities, to test the trained networks on.")
    ] = None,
    kind: Annotated[
        Literal["table", "folder", "affectnet-csv", "affectnet-npy"], typer.Option(help="How the faces are stored.")
    ] = "table",
    label: Annotated[str, typer.Option(help="Column of the class: words, or numbers by their sign.")] = "valence",
    held_out_label: Annotated[
        str | None, typer.Option(help="The same of the held-out faces.", show_default="that of --label")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="A seed, one network each; may be repeated.", show_default="0")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="YAML file of further settings (lr, batch, freeze ...).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of passes through the faces.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's log.")] = None,
    as_json: Json = False,
) -> None:
    """Train networks to tell happy from sad faces. After an interruption, the same command goes on."""
    from rsa_face.provenance import save
    from rsa_face.training.data import read_faces
    from rsa_face.training.evaluation import combine_seeds
    from rsa_face.training.loop import Start, train_seeds

    chosen = training_settings(settings, label=label, epochs=epochs)
    named: dict[str, Any] = {"kind": kind, "classes": chosen.classes}
    table = read_faces(faces, label=label, **named)
    aside = None if held_out is None else read_faces(held_out, label=held_out_label or label, **named)
    say(*(f"left out: {left}" for part in (table, aside) for left in (part.left_out if part else ())), err=True)
    done = []
    for architecture in network:
        start = Start(architecture, weights or "random", pretraining)
        with bar() as progress:
            trained = train_seeds(
                start, table, seeds=seed or [0], settings=chosen, held_out=aside, folder=out, progress=progress
            )
            done += [_summary(each, tensorboard) for each in trained]
    scores = [each.pop("scores") for each in done]
    if aside is not None:
        combined = combine_seeds(scores)
        done.append({"file": str(save(combined, out / "scores.nc")), "held_out": _accuracies(combined)})
    if as_json:
        say(json.dumps(done))
        return
    for each in done:
        rounded = {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in each.items()}
        say("  ".join(f"{name} {value}" for name, value in rounded.items()))


def training_settings(path: Path | None, *, label: str, epochs: int | None) -> Any:
    """Return the settings of a training, from a file where there is one."""
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
def bar() -> Iterator[Any]:
    """Show a bar of the epoch at hand, and give what moves it."""
    from tqdm import tqdm

    seen: set[str] = set()
    form = "{desc} {bar:20} {n_fmt}/{total_fmt} {rate_fmt}"
    with tqdm(total=0, unit="batch", disable=None, bar_format=form) as line:

        def show(step: Any) -> None:
            done = step.batches * (step.epoch - 1) + step.batch
            if step.network not in seen:  # what an earlier run did does not count for the rate of this one
                seen.add(step.network)
                line.reset(step.batches * step.epochs)
                line.initial = done - 1
            line.n = done
            line.set_description_str(f"{step.network} epoch {step.epoch}/{step.epochs} loss {step.loss:.3f}")

        yield show


def _summary(each: "Trained", tensorboard: Path | None) -> dict[str, Any]:
    from rsa_face.training.loop import write_tensorboard

    if tensorboard is not None:
        write_tensorboard(each.history, tensorboard / each.network.name)
    last, scores = each.history.iloc[-1], each.scores
    summary = {"network": each.network.name, "file": str(each.file), "epochs": int(last["epoch"])}
    if last["skipped"]:
        summary["images_skipped"] = int(last["skipped"])
    summary["training_accuracy"] = float(last["accuracy"])
    if scores is not None:
        summary["held_out_accuracy"] = float(scores["accuracy"].sel(condition="all").item())
    return {**summary, "scores": scores}


def _accuracies(combined: Any) -> dict[str, Any]:
    """Return the accuracy of each start over its seeds, with an interval where there are several."""
    every = combined.sel(condition="all")
    accuracies: dict[str, Any] = {}
    for start in every["start"].values:
        lower, upper = every["accuracy_interval"].sel(start=start).values.tolist()
        value = float(every["accuracy"].sel(start=start))
        accuracies[str(start)] = value if math.isnan(lower) else {"accuracy": value, "lower": lower, "upper": upper}
    return accuracies


@weights_app.callback()
def _weights() -> None:
    pass


@weights_app.command("inspect")
def inspect(
    file: Annotated[str, typer.Argument(help="A file of weights, or hf://OWNER/REPO/FILE.")],
    layout: Layout = "auto",
    network: Annotated[
        str, typer.Option(help="The network; auto: recognised by the names of tensors.", autocompletion=NETWORK_NAMES)
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Show which network a file of weights is for, whose names it uses, and which parts would load."""
    from rsa_face.networks.convert import inspect_file

    contents = inspect_file(file, layout=layout, network=network)
    if as_json:
        say(json.dumps(contents))
        return
    for name, value in contents.items():
        shown = value
        if isinstance(value, list):
            more = f" and {len(value) - _MOST_SHOWN} more" if len(value) > _MOST_SHOWN else ""
            shown = f"{', '.join(map(str, value[:_MOST_SHOWN])) or 'none'}{more}"
        say(f"{name}: {'unknown' if shown is None else shown}")


@weights_app.command("convert")
def convert(
    file: Annotated[str, typer.Argument(help="A file of weights as others distribute it, or hf://OWNER/REPO/FILE.")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    network: Annotated[
        str, typer.Option(help="The network; auto: recognised by the names of tensors.", autocompletion=NETWORK_NAMES)
    ] = "auto",
    layout: Layout = "auto",
    classes: Annotated[
        int | None, typer.Option(help="Outputs of the last layer.", show_default="those of the file")
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            help="OLD=NEW: what begins names in the file and in the network (.OLD=.NEW: anywhere in them; OLD=: left "
            "out); may be repeated."
        ),
    ] = None,
    bgr: Annotated[bool, typer.Option(help="The original takes blue, green, red.")] = False,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="What input the weights expect, as in a study: {resize: 112, crop: 112, mean: [.5, .5, .5]}."
        ),
    ] = None,
    outputs: Annotated[str, typer.Option(help="What the outputs stand for, with commas between.")] = "",
) -> None:
    """Convert a file of weights to safetensors, list what was mapped and what not, and check a forward pass."""
    from rsa_face.networks.convert import convert_weights

    pairs = [word.partition("=") for word in rename or []]
    bad = [old or new for old, equals, new in pairs if not (old and equals)]
    if bad:
        message = f"--rename is {bad[0]!r}. Give OLD=NEW."
        raise ValueError(message)
    conversion = convert_weights(
        file,
        out,
        network=network,
        layout=layout,
        classes=classes,
        rename={old: new for old, _, new in pairs},
        bgr=bgr,
        preprocessing=_preprocessing(preprocessing),
        outputs=split(outputs),
    )
    say(*(f"{key} <- {name}" for key, name in conversion.mapped.items()))
    for what, names in (("left out", conversion.left_out), ("missing", conversion.missing)):
        say(f"{what}: {', '.join(names) or 'nothing'}")
    low, high = conversion.outputs
    count = len(conversion.mapped)
    say(f"{conversion.network}: {count} tensors; outputs for noise {low:.4g} to {high:.4g}, by both files")
    say(conversion.out)


def _preprocessing(text: str | None) -> Any:
    """Return the preprocessing that an option describes as a study file does."""
    from rsa_face.safety import in_short, plain_value
    from rsa_face.stimuli.preprocessing import Preprocessing

    if text is None:
        return None
    try:
        values = plain_value(text)
    except Exception as error:  # of YAML's parser
        message = f"--preprocessing is {text!r}: {in_short(error)}. Write {{resize: 112, crop: 112}}."
        raise ValueError(message) from error
    if not isinstance(values, dict):
        message = f"--preprocessing is {text!r}, not keys and values. Write {{resize: 112, crop: 112}}."
        raise ValueError(message)
    return Preprocessing(**values)
