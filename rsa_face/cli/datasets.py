"""``rsa-face datasets``: fetch public data sets by name, checked by sha256."""

from pathlib import Path
from typing import Annotated

import typer

datasets_app = typer.Typer(
    name="datasets", help="Fetch public data sets by name, checked by sha256.", no_args_is_help=True
)


@datasets_app.command("list")
def show() -> None:
    """List the data sets that can be fetched: what they are, how large, whom to cite, their licence."""
    from rsa_face.human.datasets import DATASETS

    for dataset in DATASETS.values():
        size = sum(file.size for file in dataset.files) / 1e6
        print(f"{dataset.name} ({size:.1f} MB): {dataset.summary}")
        print(f"  Cite: {dataset.citation}\n  Licence: {dataset.licence}\n  From: {dataset.url}")


@datasets_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Its name, as `rsa-face datasets list` has it.")],
    source: Annotated[Path | None, typer.Option("--from", help="Take its files from this folder.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; human_data/NAME if not given.")] = None,
) -> None:
    """Download a data set (or take its files from a folder), check it, and unpack it."""
    from rsa_face.human.datasets import DATASETS, fetch_dataset

    if name in DATASETS and source is None:
        size = sum(file.size for file in DATASETS[name].files) / 1e6
        print(f"Fetching {name} ({size:.1f} MB) from {DATASETS[name].url}")
    folder = fetch_dataset(name, out, source=source)
    print(f"Cite: {DATASETS[name].citation}\nLicence: {DATASETS[name].licence}")
    print(folder / "stimuli.csv", folder / "rdms.nc", sep="\n")
