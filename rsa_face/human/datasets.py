"""Public data sets by name: fetched, checked by sha256, and unpacked into images, a stimulus table and RDMs."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import xarray as xr
from PIL import Image

from rsa_face.provenance import hash_file, save
from rsa_face.safety import path_in, writable_folder, write_beside
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J, check_rdms, must_be_known


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set: what it is called, how large it is and what its bytes must hash to."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Dataset:
    """A public data set: where it lies, what may be done with it, and how it is unpacked."""

    name: str
    summary: str
    citation: str
    licence: str
    url: str
    files: tuple[RemoteFile, ...]
    unpack: Callable[[Path, Path], None]


def fetch_dataset(name: str, out_dir: str | Path | None = None, *, source: str | Path | None = None) -> Path:
    """Fetch a public data set, check every file's sha256, and unpack it.

    In this order: files that lie in the output folder already, from an earlier try, are used if their checksum is
    right; the others are copied from `source`, or downloaded; all are checked; only then is anything unpacked.
    Nothing is downloaded at import, and nothing without this call.
    """
    must_be_known(name, DATASETS, "data set")
    dataset = DATASETS[name]
    folder = Path("human_data") / name if out_dir is None else Path(out_dir)
    originals = writable_folder(folder) / "original"
    wanted = [file for file in dataset.files if not _is_here(originals / file.name, file)]
    if source is None:
        _download(dataset, wanted, originals)
    else:
        _copy(wanted, Path(source), originals)
    dataset.unpack(originals, folder)
    with write_beside(folder / "README.md") as beside:
        beside.write_text(_readme(dataset), "utf-8")
    return folder


def _is_here(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and hash_file(path) == file.sha256


def _copy(files: list[RemoteFile], source: Path, originals: Path) -> None:
    absent = [file.name for file in files if not (source / file.name).is_file()]
    if absent:
        message = f"{str(source)!r} lacks {', '.join(absent)}. Give the folder of the data set's files."
        raise FileNotFoundError(message)
    for file in files:
        with write_beside(originals / file.name) as beside:
            shutil.copyfile(source / file.name, beside)
    _check(files, originals)


def _download(dataset: Dataset, files: list[RemoteFile], originals: Path) -> None:
    if not files:
        return
    import pooch

    for file in files:
        fetch = pooch.HTTPDownloader(timeout=30)
        try:
            with write_beside(originals / file.name) as beside:
                fetch(f"{dataset.url}/{file.name}", str(beside), None)
        except OSError as error:  # every failure of requests is one
            sizes = ", ".join(f"{one.name} ({one.size / 1e6:.1f} MB)" for one in files)
            message = (
                f"The data set {dataset.name!r} could not be downloaded: {dataset.url}/{file.name} was not reached "
                f"({type(error).__name__}). Get {sizes} from {dataset.url} by other means, put them into a "
                f"folder and run: rsa-face datasets fetch {dataset.name} --from FOLDER"
            )
            raise ConnectionError(message) from error
    _check(files, originals)


def _check(files: list[RemoteFile], originals: Path) -> None:
    """Set aside every file whose bytes are not those expected, and say what they hash to."""
    faults = []
    for file in files:
        found = hash_file(originals / file.name)
        if found != file.sha256:
            aside = originals / f"{file.name}.unexpected"
            (originals / file.name).replace(aside)
            faults.append(f"{file.name} has {found} instead of {file.sha256} (kept as {str(aside)!r})")
    if faults:
        message = f"Unexpected sha256: {'; '.join(faults)}. Fetch again."
        raise ValueError(message)


def _unpack_kriegeskorte92(originals: Path, folder: Path) -> None:
    shown = scipy.io.loadmat(originals / "Kriegeskorte_Neuron2008_supplementalData.mat")["stimuli_92objs"].ravel()
    judged = scipy.io.loadmat(originals / "92_behavRDMs.mat")["rdms_behav_92"].ravel()
    rows = []
    for number, stimulus in enumerate(shown, start=1):
        category = str(stimulus["category"].ravel()[0])
        name = f"{number:02d}_{category.replace(' ', '_')}"
        flags = {flag: int(stimulus[flag].ravel()[0]) for flag in ("human", "face", "animal", "natural")}
        rows.append({"stimulus": name, "file": f"images/{name}.png", "category": category, **flags})
        with write_beside(path_in(folder / "images", name, "The stimulus", suffix=".png")) as beside:
            Image.fromarray(stimulus["image"]).save(beside)
    with write_beside(folder / "stimuli.csv") as beside:
        pd.DataFrame(rows).to_csv(beside, index=False, lineterminator="\n")
    ids = [str(row["stimulus"]) for row in rows]
    people = [f"subject{int(str(one['name'].ravel()[0]).rpartition('subject')[2]):02d}" for one in judged]
    rdms = xr.DataArray(
        np.stack([np.asarray(one["RDM"], dtype=float) for one in judged]),
        dims=(PARTICIPANT, STIMULUS_I, STIMULUS_J),
        coords={PARTICIPANT: people, STIMULUS_I: ids, STIMULUS_J: ids},
        attrs={"simulated": False, "citation": DATASETS["kriegeskorte92"].citation},
        name="dissimilarity",
    )
    save(check_rdms(rdms, along=PARTICIPANT, name="92_behavRDMs.mat"), folder / "rdms.nc")


def _readme(dataset: Dataset) -> str:
    files = "\n".join(f"- `{file.name}`, {file.size} bytes, sha256 `{file.sha256}`" for file in dataset.files)
    return (
        f"# {dataset.name}\n\n{dataset.summary}\n\nCite: {dataset.citation}\n\nLicence: {dataset.licence}\n\n"
        f"From {dataset.url}\n\n{files}\n"
    )


DATASETS = {
    "kriegeskorte92": Dataset(
        name="kriegeskorte92",
        summary="92 images of objects, 24 of them faces, and 16 participants' similarity judgements of all pairs "
        "(multi-arrangement).",
        citation="Kriegeskorte et al. 2008, Neuron, 10.1016/j.neuron.2008.10.043 (images); Mur et al. 2013, "
        "Frontiers in Psychology, 10.3389/fpsyg.2013.00128 (judgements).",
        licence="the repository rsagroup/rsatoolbox is MIT-licensed; it states no licence for the data set itself, "
        "so do not pass the images on.",
        url="https://raw.githubusercontent.com/rsagroup/rsatoolbox/f1f83cad/demos/92imageData",
        files=(
            RemoteFile(
                "92_behavRDMs.mat", "7a8e118c144c3840adeeeef6ea0706a0be2b3e80df719af15fbb56fc62562f5f", 982719
            ),
            RemoteFile(
                "Kriegeskorte_Neuron2008_supplementalData.mat",
                "06f21214399a5d43dc264eed19a7f4b8daf11c8622a59eec3e106064ce5e3504",
                3603779,
            ),
        ),
        unpack=_unpack_kriegeskorte92,
    )
}
