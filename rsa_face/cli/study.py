"""``rsa-face run``, ``demo``, ``networks``, ``layers`` and ``status``: a whole study, and what it can be made of."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rsa_face.cli.status import status

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead of the study's own folder.")]
Cluster = Annotated[str | None, typer.Option(help="local:N or tcp://HOST:PORT (needs rsa-face[cluster]).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DEMOS = {"random": "demo", "imagenet": "demo-imagenet"}
AsJson = Annotated[bool, typer.Option("--json", help="For another program to read.")]


def run(
    study: Annotated[str, typer.Argument(help="A study file, or an embedded study's name.")],
    output: Output = None,
    quiet: Quiet = False,
    cluster: Cluster = None,
    weights_dir: Annotated[
        Path | None, typer.Option(help="Take ImageNet weights from this folder, without downloading any.")
    ] = None,
) -> None:
    """Run a study's stages in order; what is up to date is not run again."""
    from rsa_face.report.narrate import tell_study
    from rsa_face.study.config import load_study
    from rsa_face.study.graph import run_study

    loaded = load_study(study, output=output, weights=weights_dir)
    if cluster is not None:
        loaded = loaded.model_copy(update={"cluster": cluster})
    say = (lambda _line: None) if quiet else (lambda line: print(line, file=sys.stderr))
    folder = run_study(loaded, progress=not quiet, say=say)
    _show(folder)
    for sentence in tell_study(folder):
        print(sentence)


def demo(
    output: Output = None,
    quiet: Quiet = False,
    weights: Annotated[
        str, typer.Option(help="random: train from scratch; imagenet: download weights and train the classifier.")
    ] = "random",
) -> None:
    """Run the study that comes with the package: rendered faces, networks trained on them, simulated observers."""
    from rsa_face.schema import must_be_known

    must_be_known(weights, DEMOS, "start of the demo's networks")
    run(DEMOS[weights], output=output, quiet=quiet)


def networks(as_json: AsJson = False) -> None:
    """List the networks, their layers and parameters."""
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
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        parts = ", ".join(f"{row[part]:,} {part}" for part in ("features", "attention", "classifier") if row[part])
        print(
            f"{row['network']:<11} {row['parameters']:>12,} parameters (2 classes: {parts}), {row['layers']} layers"
        )
        print(f"{'':<11} main: {' '.join(row['main'])}")


def layers(
    network: Annotated[str, typer.Argument(help="A network, such as alexnet: `rsa-face networks` lists them.")],
    as_json: AsJson = False,
) -> None:
    """List a network's layers: name, module, shape, features, depth, pre or post nonlinearity."""
    import math

    import torch

    from rsa_face.activations.capture import capture
    from rsa_face.networks.zoo import build_network

    built = build_network(network)
    side = built.preprocessing.crop
    captured = capture(built, built.layers, torch.zeros(1, 3, side, side))
    rows: list[dict[str, Any]] = [
        {
            "layer": layer.name,
            "module": layer.path,
            "shape": list(captured[layer.name].shape[1:]),
            "features": math.prod(captured[layer.name].shape[1:]),
            "depth": layer.depth,
            "nonlinearity": layer.nonlinearity,
        }
        for layer in built.layers
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'layer':<9} {'module':<18} {'shape':<16} {'features':>10}  {'depth':<6} nonlinearity")
    for row in rows:
        shape = " x ".join(str(size) for size in row["shape"])
        print(
            f"{row['layer']:<9} {row['module']:<18} {shape:<16} {row['features']:>10,}  "
            f"{row['depth']:<6.3f} {row['nonlinearity']}"
        )


def register(app: typer.Typer) -> None:
    """Put these commands on the command line."""
    for command in (run, demo, networks, layers, status):
        app.command(command.__name__)(command)


def _show(folder: Path) -> None:
    tables = ("layers.csv", "training.csv", "contrast.csv", "psychometric.csv", "saliency.csv", "agreement.csv")
    for name in (*tables, "localization.nc", "figures", "manifest.json"):
        if (folder / name).exists():
            print(folder / name)
