"""``rsa-face doctor``, ``extract``, ``activations`` and ``rdms``: what layers compute, and RDMs of it."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

activations_app = typer.Typer(name="activations", help="Look at, check and remove stores.", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="The stimulus table (CSV or TSV).")]
Networks = Annotated[
    list[str], typer.Option("--network", help="Such as alexnet (`rsa-face networks` lists them); repeat.")
]
Weights = Annotated[str, typer.Option(help="random, imagenet, or a .safetensors or .pth file.")]
Layers = Annotated[str, typer.Option(help="main, all, or names with commas between.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Cluster = Annotated[str | None, typer.Option(help="local:N or tcp://HOST:PORT (needs rsa-face[cluster]).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Store = Annotated[Path, typer.Argument(help="A .zarr folder.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line.

    Parameters
    ----------
    app : typer.Typer
        The ``rsa-face`` command.
    """
    app.command("doctor")(doctor)
    app.command("extract")(extract_command)
    app.command("rdms")(rdms_command)
    app.add_typer(activations_app)


def doctor(
    network: Annotated[list[str] | None, typer.Option(help="Which networks; all five unless given.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check this machine, and that every layer of every network is captured as it was computed."""
    import torch

    from rsa_face.activations.capture import audit
    from rsa_face.networks.zoo import build_network
    from rsa_face.provenance import versions
    from rsa_face.schema import NETWORKS
    from rsa_face.stimuli.preprocessing import Preprocessing

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    machine = {"gpu": gpu, "threads": torch.get_num_threads(), "versions": versions()}
    audits = {name: audit(build_network(name, preprocessing=Preprocessing(resize=64, crop=64)))
              for name in network or NETWORKS}  # fmt: skip
    wrong = [name for name, table in audits.items() if (table["captured"] != "right").any()]
    if as_json:
        tables = {name: table.to_dict("records") for name, table in audits.items()}
        print(json.dumps({**machine, "right": not wrong, "networks": tables}))
        return 1 if wrong else 0
    print(f"GPU {gpu}; {machine['threads']} threads")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    for name, table in audits.items():
        uncopied = table.loc[table["uncopied"] == "wrong", "layer"].tolist()
        right = int((table["captured"] == "right").sum())
        print(f"{name}: {right} of {len(table)} layers captured as computed.")
        print(f"  A hook that does not copy would get {len(uncopied)} wrong: {' '.join(uncopied)}")
    print(f"Wrong: {', '.join(wrong)}" if wrong else "All is well.")
    return 1 if wrong else 0


def extract_command(
    table: Table,
    network: Networks,
    store: Annotated[Path, typer.Option(help="Where to write: a .zarr folder, made or continued.")],
    weights: Weights = "random",
    seed: Annotated[int, typer.Option(help="For weights that start at random.")] = 0,
    layers: Layers = "main",
    device: Device = "auto",
    batch: Annotated[int, typer.Option(help="Stimuli run at once.")] = 32,
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16.")] = "float32",
    pool: Annotated[str, typer.Option(help="none, or mean over space.")] = "none",
    projection: Annotated[int | None, typer.Option(help="Keep this many random projections.")] = None,
    chunk: Annotated[int, typer.Option(help="Stimuli that a worker of a cluster takes at once.")] = 256,
    autocast: Annotated[bool, typer.Option(help="Compute in bfloat16 where torch deems it safe.")] = False,
    channels_last: Annotated[bool, typer.Option(help="Keep maps in memory with channels last.")] = False,
    cluster: Cluster = None,
) -> None:
    """Record what layers compute for all stimuli, into a store; go on where an earlier run stopped."""
    from rsa_face.activations.extract import Options, extract
    from rsa_face.networks.zoo import build_network
    from rsa_face.stimuli.catalogue import read_stimuli

    kept: dict[str, Any] = {"chunk": chunk, "pool": pool, "projection": projection, "seed": seed}
    options = Options(**kept, autocast=autocast, channels_last=channels_last)
    stimuli = read_stimuli(table)
    networks = [build_network(name, weights=weights, seed=seed) for name in network]
    _say_what_is_there(store)
    extract(
        networks,
        stimuli,
        store,
        layers=_layers(layers),
        device=device,
        batch=batch,
        dtype=dtype,
        options=options,
        cluster=cluster,
        progress=True,
    )
    print(store)


def rdms_command(
    table: Annotated[Path, typer.Argument(help="A stimulus table (CSV or TSV), or a study (YAML) in its place.")],
    network: Annotated[list[str] | None, typer.Option(help="With a table: which networks; repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the RDMs; a study has one of its own.")] = None,
    weights: Weights = "random",
    seed: Annotated[list[int] | None, typer.Option(help="Repeat for several; 0 unless given.")] = None,
    occlusion: Annotated[list[str] | None, typer.Option(help="Repeat for several; all stimuli unless given.")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="Repeat for several; correlation unless given. LAYER=MEASURE sets that of a layer."),
    ] = None,
    layers: Layers = "main",
    stream: Annotated[bool, typer.Option(help="Store no activations.")] = True,
    device: Device = "auto",
    batch: Annotated[int, typer.Option(help="Stimuli run at once.")] = 32,
    memory: Annotated[float, typer.Option(help="GiB of activations held in memory.")] = 3.0,
    cluster: Cluster = None,
    show: Annotated[bool, typer.Option("--list", help="Say which units are done, and run none.")] = False,
) -> None:
    """Compute RDMs of networks x seeds x occlusions x measures, each once; run it again to go on."""
    from rsa_face.activations.batch import Batch, compute_batch, is_done, sources_of
    from rsa_face.stimuli.catalogue import read_stimuli

    pairs = [word.partition("=") for word in measure or []]
    measures = [name for name, equals, _ in pairs if not equals]
    by_layer = {layer: name for layer, equals, name in pairs if equals}
    if table.suffix in (".yaml", ".yml"):
        flags = {"--network": network, "--seed": seed, "--occlusion": occlusion}
        _must_be_left_to_the_study([name for name, given in flags.items() if given])
        if show:
            _list_units_of_study(table, out)
            return
        wanted = _batch_of_study(table, out, measures, by_layer)
    else:
        _must_be_given([name for name, given in (("--network", network), ("--out", out)) if not given])
        wanted = Batch(
            stimuli=read_stimuli(table),
            folder=out or Path(),
            networks=sources_of(network or [], seed or [0], weights=weights),
            occlusions=tuple(occlusion or ["all"]),
            measures=tuple(measures or ["correlation"]),
            by_layer=by_layer,
            layers=_layers(layers),
        )
    if show:
        _list_units({unit.name: is_done(wanted, unit) for unit in wanted.units})
        return
    teller = _Teller()
    streaming = stream and cluster is None
    compute_batch(
        wanted,
        stream=streaming,
        device=device,
        size=batch,
        memory=memory,
        cluster=cluster,
        progress=True,
        tell=teller.tell,
    )
    print(teller.total(), f"in {wanted.folder}")


@activations_app.command("show")
def show_command(store: Store, as_json: AsJson = False) -> None:
    """Say what a store holds and how far it is."""
    from rsa_face.activations.store import describe_store

    described = describe_store(store)
    print(json.dumps(described) if as_json else _described(described))


@activations_app.command("verify")
def verify_command(store: Store) -> int:
    """Check every block of a store against its checksum; exit code 1 if one is damaged or missing."""
    from rsa_face.activations.store import verify_store

    faults = verify_store(store)
    for fault in faults:
        print(fault)
    counted = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    print(f"{store}: {counted if faults else 'all blocks are sound'}")
    return 1 if faults else 0


@activations_app.command("remove")
def remove_command(store: Store, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a store, and nothing that is not one."""
    from rsa_face.activations.store import remove_store

    if not yes:
        typer.confirm(f"Remove {store}?", abort=True)
    rest = remove_store(store)
    print(f"removed {store}")
    for file in rest:
        print(f"kept {file}, which the store does not list")


def _layers(words: str) -> Any:
    return words if words in ("main", "all") else tuple(word.strip() for word in words.split(",") if word.strip())


def _batch_of_study(file: Path, out: Path | None, measures: list[str], by_layer: dict[str, str]) -> Any:
    from rsa_face.study.batch import batch_of
    from rsa_face.study.config import load_study

    return batch_of(load_study(file), folder=out, measures=measures, by_layer=by_layer, progress=True,
                    say=lambda line: print(line, file=sys.stderr))  # fmt: skip


def _must_be_left_to_the_study(given: list[str]) -> None:
    if given:
        message = (
            f"{', '.join(given)} cannot be given with a study, which says itself what it compares. Leave that out."
        )
        raise ValueError(message)


def _must_be_given(missing: list[str]) -> None:
    if missing:
        message = (
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. With a stimulus table, give "
            "both --network and --out."
        )
        raise ValueError(message)


def _list_units_of_study(file: Path, out: Path | None) -> None:
    from rsa_face.activations.batch import describe_batch
    from rsa_face.study.batch import BATCH
    from rsa_face.study.config import load_study

    _list_units(describe_batch(out or load_study(file).output / BATCH))


def _list_units(states: dict[str, bool]) -> None:
    for name, done in states.items():
        print(f"{'done' if done else 'to do':6s} {name}")
    print(f"{sum(states.values())} of {len(states)} done")


class _Teller:
    """Prints a line for each unit, and counts."""

    def __init__(self) -> None:
        self.begun = self.last = time.monotonic()
        self.units = self.computed = 0

    def tell(self, _unit: Any, path: Path, new: bool) -> None:
        now = time.monotonic()
        print(f"{path}  {f'{now - self.last:.1f} s' if new else 'was there'}", flush=True)
        self.units, self.computed, self.last = self.units + 1, self.computed + new, now

    def total(self) -> str:
        return f"{self.units} units, {self.computed} computed now, {time.monotonic() - self.begun:.1f} s in all,"


def _say_what_is_there(store: Path) -> None:
    from rsa_face.activations.store import describe_store

    if not (store / "zarr.json").is_file():
        return
    for network in describe_store(store)["networks"]:
        print(f"{network['network']}: {network['done']} of {network['stimuli']} stimuli are there", file=sys.stderr)


def _described(described: dict[str, Any]) -> str:
    lines = [f"{described['path']}: {described['stimuli']} stimuli, {described['dtype']}, "
             f"{described['bytes'] / 2**20:.1f} MiB{', being written' if described['busy'] else ''}"]  # fmt: skip
    for network in described["networks"]:
        state = "finished" if network["finished"] else f"{network['done']} of {network['stimuli']} stimuli"
        random = ", random weights" if network["untrained"] else ""
        lines.append(f"  {network['network']}: {state}, {len(network['layers'])} layers{random}")
    return "\n".join(lines)
