"""Public data sets by name: fetched, checked by sha256, and unpacked into stimulus tables and human data."""

import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
import xarray as xr
from PIL import Image
from tqdm import tqdm

from rsa_face.provenance import hash_file, save
from rsa_face.safety import must_not_swell, path_in, reading, writable_folder, write_beside, write_table
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J, check_rdms, must_be_known
from rsa_face.stimuli.catalogue import open_picture

SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set: its path there, what its bytes must hash to, and a file that may stand in its place.

    Without a `sha256` the hash is recorded when the file is first fetched, and held to from then on. `instead` is
    what a folder of files got by hand may have in place of this one.
    """

    name: str
    sha256: str | None = None
    instead: str = ""


@dataclass(frozen=True)
class Dataset:
    """A public data set: where it lies, what may be done with it, and how it is unpacked.

    `unpack` takes the folder of original files, the folder to write to, and the side of the images in pixels (None
    leaves them as they are). `size` is in bytes.
    """

    name: str
    summary: str
    citation: str
    licence: str
    url: str
    size: int
    files: tuple[RemoteFile, ...]
    unpack: Callable[[Path, Path, int | None], None]


def fetch_dataset(
    name: str,
    out_dir: str | Path | None = None,
    *,
    source: str | Path | None = None,
    size: int | None = None,
    progress: bool = False,
) -> Path:
    """Fetch a public data set, check every file's sha256, and unpack it.

    In this order: files that lie in the output folder already, from an earlier try, are used if their checksum is
    right; the others are copied from `source`, or downloaded; all are checked; only then is anything unpacked.
    Nothing is downloaded at import, and nothing without this call. `size` is the side in pixels to which images are
    brought; they stay as they are unless it is given.
    """
    must_be_known(name, DATASETS, "data set")
    if size is not None and size < 1:
        message = f"size is {size}: images have a side of 1 pixel or more."
        raise ValueError(message)
    dataset = DATASETS[name]
    folder = Path("human_data") / name if out_dir is None else Path(out_dir)
    originals = _Originals(writable_folder(folder) / "original")
    wanted = [file for file in dataset.files if not originals.holds(file)]
    if source is None:
        _download(dataset, wanted, originals, progress=progress)
    else:
        _copy(wanted, Path(source), originals)
    with write_beside(folder / "README.md") as beside:
        beside.write_text(_readme(dataset), "utf-8")
    dataset.unpack(originals.folder, folder, size)
    return folder


@dataclass(frozen=True, eq=False)
class _Originals:
    """The folder of original files, with the sha256 of each as it was first fetched."""

    folder: Path
    recorded: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if (self.folder / SUMS).is_file():
            with reading(
                self.folder / SUMS, "A list of checksums is a text in UTF-8", then="Remove it and fetch again."
            ):
                lines = (self.folder / SUMS).read_text("utf-8").splitlines()
            self.recorded.update((name, digest) for digest, _, name in (line.partition("  ") for line in lines))

    def holds(self, file: RemoteFile) -> bool:
        """Return whether a file, or what stands in its place, was fetched and is whole."""
        expected = {
            file.name: file.sha256 or self.recorded.get(file.name),
            file.instead: self.recorded.get(file.instead),
        }
        return any(
            digest is not None and (self.folder / name).is_file() and hash_file(self.folder / name) == digest
            for name, digest in expected.items()
        )

    def take(self, name: str, fetch: Callable[[Path], object], expected: str | None) -> str:
        """Fetch a file; return what is wrong with it, and record its hash if nothing is."""
        expected, known = expected or self.recorded.get(name), expected is not None
        path = self.folder / name
        with write_beside(path) as beside:
            fetch(beside)
        digest = hash_file(path)
        if expected not in (None, digest):
            aside = path.with_name(f"{path.name}.unexpected")
            path.replace(aside)
            whose = "" if known else ", which it had when it was first fetched"
            return f"{name} has {digest} instead of {expected}{whose} (kept as {str(aside)!r})"
        with self._lock:
            if name not in self.recorded:
                with (self.folder / SUMS).open("a", encoding="utf-8") as sums:
                    sums.write(f"{digest}  {name}\n")
                self.recorded[name] = digest
        return ""


def _copy(files: Sequence[RemoteFile], source: Path, originals: _Originals) -> None:
    names = {file.name: file.name if (source / file.name).is_file() else file.instead for file in files}
    absent = [name for name, local in names.items() if not local or not (source / local).is_file()]
    if absent:
        message = f"{str(source)!r} lacks {_some(absent)}. Give the folder of the data set's files."
        raise FileNotFoundError(message)
    sums = {names[file.name]: file.sha256 if names[file.name] == file.name else None for file in files}
    _refuse([originals.take(name, partial(shutil.copyfile, source / name), known) for name, known in sums.items()])


def _download(dataset: Dataset, files: Sequence[RemoteFile], originals: _Originals, *, progress: bool) -> None:
    if not files:
        return
    import pooch

    def get(file: RemoteFile) -> str:
        fetch = pooch.HTTPDownloader(timeout=30)
        try:
            return originals.take(
                file.name, lambda beside: fetch(f"{dataset.url}/{file.name}", str(beside), None), file.sha256
            )
        except OSError as error:  # every failure of requests is one
            message = (
                f"The data set {dataset.name!r} could not be downloaded: {dataset.url}/{file.name} was not reached "
                f"({type(error).__name__}). What was fetched so far is kept: run the command again to go on. Or get "
                f"{_some([one.name for one in files])} (of {_megabytes(dataset)} in all) from {dataset.url} by other "
                f"means, put them into a folder with these paths and run: rsa-face datasets fetch {dataset.name} "
                "--from FOLDER"
            )
            raise ConnectionError(message) from error

    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="fetch") as pool:
        tries = [pool.submit(get, file) for file in files]
        try:
            _refuse([one.result() for one in tqdm(tries, unit="file", disable=None if progress else True)])
        finally:
            pool.shutdown(cancel_futures=True)


def _refuse(faults: Sequence[str]) -> None:
    """Raise for files whose bytes are not those expected, all of them named."""
    wrong = [fault for fault in faults if fault]
    if wrong:
        message = f"Unexpected sha256: {'; '.join(wrong[:20])}. Fetch again."
        raise ValueError(message)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _megabytes(dataset: Dataset) -> str:
    return f"{dataset.size / 1e6:.1f} MB"


def _readme(dataset: Dataset) -> str:
    return (
        f"# {dataset.name}\n\n{dataset.summary}\n\nCite: {dataset.citation}\n\nLicence: {dataset.licence}\n\n"
        f"From {dataset.url} ({len(dataset.files)} files, {_megabytes(dataset)}). `original/{SUMS}` holds the sha256 "
        "of each as it was fetched.\n"
    )


# -- images and regions ----------------------------------------------------------------------------------------------


def _shown(original: Path, folder: Path, name: str, size: int | None) -> tuple[str, int]:
    """Return the file of a stimulus, relative to its table, and its side: the original, or a copy of another size."""
    with open_picture(original) as image:
        if size is None:
            return original.relative_to(folder).as_posix(), image.width
        small = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    path = path_in(folder / "images", name, "The stimulus", suffix=".jpg")
    with write_beside(path) as beside:
        small.save(beside, format="JPEG", quality=95)
    return path.relative_to(folder).as_posix(), size


def _box(corners: Sequence[float], side: float) -> str:
    """Return a region in pixels, from corners as fractions of the image."""
    return " ".join(str(min(max(round(part * side), 0), round(side))) for part in corners)


def _either(originals: Path, file: RemoteFile) -> Path:
    return next(path for name in (file.name, file.instead) if (path := originals / name).is_file())


# -- kriegeskorte92 --------------------------------------------------------------------------------------------------


def _unpack_kriegeskorte92(originals: Path, folder: Path, size: int | None) -> None:
    shown = scipy.io.loadmat(originals / "Kriegeskorte_Neuron2008_supplementalData.mat")["stimuli_92objs"].ravel()
    judged = scipy.io.loadmat(originals / "92_behavRDMs.mat")["rdms_behav_92"].ravel()
    rows = []
    for number, stimulus in enumerate(shown, start=1):
        category = str(stimulus["category"].ravel()[0])
        name = f"{number:02d}_{category.replace(' ', '_')}"
        flags = {flag: int(stimulus[flag].ravel()[0]) for flag in ("human", "face", "animal", "natural")}
        rows.append({"stimulus": name, "file": f"images/{name}.png", "category": category, **flags})
        image = Image.fromarray(stimulus["image"])
        with write_beside(path_in(folder / "images", name, "The stimulus", suffix=".png")) as beside:
            (image if size is None else image.resize((size, size), Image.Resampling.LANCZOS)).save(beside)
    write_table(pd.DataFrame(rows), folder / "stimuli.csv")
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


# -- omi -------------------------------------------------------------------------------------------------------------

OMI_FACES = 1004
_OMI_RATINGS = RemoteFile("attribute_ratings.zip", instead="happy_ratings.csv")
# Where faces aligned as in FFHQ, which the generator of these faces learnt from, have their features; read off the
# mean of 201 of them: left, top, right, bottom as fractions of the image.
_FFHQ_REGIONS = {
    "eyes": (0.28, 0.405, 0.72, 0.525),
    "nose": (0.385, 0.525, 0.615, 0.665),
    "mouth": (0.33, 0.665, 0.67, 0.80),
}
_PERCEIVED = ("age", "gender")  # as raters saw them, 0 to 100; known where all attributes were fetched
_BANDS = (10, 20, 30, 40, 50, 60, 70, 80, 90)
_TESTED = 12  # faces of each band


def _unpack_omi(originals: Path, folder: Path, size: int | None) -> None:
    ratings = _omi_ratings(originals)
    rows = []
    for number in range(1, OMI_FACES + 1):
        name = f"omi{number:04d}"
        file, side = _shown(originals / "images" / f"{number}.jpg", folder, name, size)
        regions = {region: _box(corners, side) for region, corners in _FFHQ_REGIONS.items()}
        rows.append({"stimulus": name, "file": file, **regions})
    table = pd.DataFrame(rows)
    unrated, unshown = (
        sorted(set(one["stimulus"]) - set(other["stimulus"])) for one, other in ((table, ratings), (ratings, table))
    )
    if unrated or unshown:
        message = f"Faces and ratings differ: no ratings of {unrated[:20]}, no faces for ratings of {unshown[:20]}."
        raise ValueError(message + " Fetch the set again.")
    happy = ratings[ratings["attribute"] == "happy"].groupby("stimulus")["rating"]
    summary = pd.DataFrame({"happy": happy.mean(), "happy_sd": happy.std(), "ratings": happy.size()})
    for attribute in _PERCEIVED:
        perceived = ratings[ratings["attribute"] == attribute]
        if len(perceived):
            summary[attribute] = perceived.groupby("stimulus")["rating"].mean()
    table = split_by_rating(table.merge(summary.round(4), left_on="stimulus", right_index=True))
    write_table(table, folder / "stimuli.csv")
    write_table(table[table["split"] == "test"].drop(columns=["split", "valence"]), folder / "test.csv")
    training = table[table["valence"] != ""]
    write_table(training[["stimulus", "file", "happy", "valence"]], folder / "training.csv")
    rated = ratings[ratings["attribute"] == "happy"][["stimulus", "rating"]]
    write_table(rated.merge(table[["stimulus", "split"]], on="stimulus"), folder / "ratings.csv")


def _omi_ratings(originals: Path) -> pd.DataFrame:
    """Return all ratings, in no order that means anything: nobody says whose they are."""
    path = _either(originals, _OMI_RATINGS)
    with reading(path, "Ratings are a CSV file in UTF-8", then="Fetch it again."):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                must_not_swell(sum(part.file_size for part in archive.infolist()), path)
                name = next(part for part in archive.namelist() if part.rpartition("/")[2] == "attribute_ratings.csv")
                with archive.open(name) as opened:
                    frame = pd.read_csv(opened)
        else:
            frame = pd.read_csv(path).assign(attribute="happy")
    lacking = [name for name in ("stimulus", "attribute", "rating") if name not in frame]
    if lacking:
        message = f"No columns {lacking} in {path.name}, which has {list(frame)}. Was another version fetched?"
        raise ValueError(message)
    frame["stimulus"] = [f"omi{int(number):04d}" for number in frame["stimulus"]]
    return frame[["stimulus", "attribute", "rating"]]


def split_by_rating(table: pd.DataFrame) -> pd.DataFrame:
    """Add which faces are judged and which are learnt from, by rated happiness alone; no choice is left to chance.

    Twelve faces of each band of ten points between 10 and 90, evenly spread within it, are for tests: rated happiness
    is even over them, where that of all faces is not. `level` is the band's middle, from -1 (0 on the scale) to 1
    (100). Of the other faces the lowest third are ``sad`` and the highest ``happy`` to whoever learns: networks are
    trained on what people agree about, and never on a face that is tested.
    """
    table = table.assign(split="training", level=np.nan, valence="")
    order = table.sort_values(["happy", "stimulus"]).index
    for low, high in pairwise(_BANDS):
        band = [row for row in order if low <= table["happy"][row] < high]
        if len(band) < _TESTED:
            message = f"Only {len(band)} faces are rated {low} to {high}, fewer than the {_TESTED} to be tested."
            raise ValueError(message)
        places = np.round((np.arange(_TESTED) + 0.5) * len(band) / _TESTED - 0.5).astype(int)
        chosen = [band[place] for place in places]
        table.loc[chosen, "split"] = "test"
        table.loc[chosen, "level"] = round((low + high) / 100 - 1, 4)
    others = [row for row in order if table["split"][row] == "training"]
    third = len(others) // 3
    table.loc[others[:third], "valence"] = "sad"
    table.loc[others[-third:], "valence"] = "happy"
    return table


# -- london ----------------------------------------------------------------------------------------------------------

_LONDON = (
    "001 002 003 004 005 006 007 008 009 010 011 012 013 014 016 017 018 019 020 021 022 024 025 026 027 029 "
    "030 031 032 033 034 036 037 038 039 041 042 043 044 045 061 062 063 064 066 067 068 069 070 081 082 083 "
    "086 087 090 091 092 094 096 097 099 100 101 102 103 104 105 107 108 112 113 114 115 117 118 119 120 121 "
    "122 123 124 125 126 127 128 129 130 131 132 134 135 136 137 138 139 140 141 142 143 144 172 173"
)
_LONDON_INFO = RemoteFile("data-raw/london_info.csv", instead="stimuli.csv")
# The points of the set's template, counted from 0; widened a little, as they lie on the features' edges.
_LONDON_POINTS = {
    "eyes": [*range(44), *range(71, 87)],
    "nose": [*range(50, 71)],
    "mouth": [*range(87, 109)],
}
_WIDER = {"neutral": 0.01, "smiling": 0.03}


def _london_files(identity: str) -> dict[str, RemoteFile]:
    return {
        "neutral": RemoteFile(f"inst/london/{identity}_03.jpg", instead=f"images/{identity}_neutral.jpg"),
        "smiling": RemoteFile(f"inst/smiling/{identity}_08.jpg", instead=f"images/{identity}_smiling.jpg"),
        "landmarks": RemoteFile(f"inst/london/{identity}_03.tem", instead="landmarks_neutral.csv"),
    }


def _unpack_london(originals: Path, folder: Path, size: int | None) -> None:
    """Write the table; a smiling face, which has no landmarks, gets the regions of its neutral one, wider."""
    people, rows = _london_people(originals), []
    for identity in _LONDON.split():
        files = _london_files(identity)
        points = _landmarks(_either(originals, files["landmarks"]), identity)
        with open_picture(_either(originals, files["neutral"])) as image:
            points = points / image.width
        for expression, wider in _WIDER.items():
            name = f"{identity}_{expression}"
            file, side = _shown(_either(originals, files[expression]), folder, name, size)
            regions = {region: _around(points[places], wider, side) for region, places in _LONDON_POINTS.items()}
            about: dict[str, Any] = {"identity": identity, "expression": expression, **people[identity]}
            rows.append({"stimulus": name, "file": file, **about, **regions})
    write_table(pd.DataFrame(rows), folder / "stimuli.csv")


def _london_people(originals: Path) -> dict[str, dict[str, Any]]:
    path = _either(originals, _LONDON_INFO)
    renamed = {"face_id": "identity", "face_age": "age", "face_gender": "gender", "face_eth": "ethnicity"}
    names = ("gender", "age", "ethnicity")
    with reading(path, "The table of people is a CSV file in UTF-8", then="Fetch it again."):
        text = {"face_id": str, "identity": str}
        frame = (
            pd.read_csv(path, dtype=text).rename(columns=renamed).drop_duplicates("identity").set_index("identity")
        )
        return {who: {name: frame.loc[who, name] for name in names} for who in _LONDON.split()}


def _landmarks(path: Path, identity: str) -> np.ndarray:
    """Return a face's points in pixels of its file: from a template of WebMorph, or a table of all faces."""
    with reading(path, "Landmarks are a template or a table of numbers", then="Fetch them again."):
        if path.suffix == ".csv":
            frame = pd.read_csv(path)
            points = frame[frame["stimulus"] == f"{identity}_neutral"].sort_values("point")
            return points[["x", "y"]].to_numpy(float)
        lines = path.read_text("utf-8").split("\n")
        return np.array([line.split() for line in lines[1 : 1 + int(lines[0])]], dtype=float)


def _around(points: np.ndarray, wider: float, side: float) -> str:
    return _box([*(points.min(axis=0) - wider), *(points.max(axis=0) + wider)], side)


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
        size=4586498,
        files=(
            RemoteFile("92_behavRDMs.mat", "7a8e118c144c3840adeeeef6ea0706a0be2b3e80df719af15fbb56fc62562f5f"),
            RemoteFile(
                "Kriegeskorte_Neuron2008_supplementalData.mat",
                "06f21214399a5d43dc264eed19a7f4b8daf11c8622a59eec3e106064ce5e3504",
            ),
        ),
        unpack=_unpack_kriegeskorte92,
    ),
    # The hashes of the next two sets' files are not known where this was written, which had only copies of another
    # size: the commit fixes what they are, and the hash of each is recorded when it is first fetched.
    "omi": Dataset(
        name="omi",
        summary="1,004 photorealistic faces that a network generated (no person is shown), each rated for happiness "
        "and 33 other impressions by about 30 people, 0 to 100. Raters are not identified: no rating of one face is "
        "known to be by the same person as a rating of another.",
        citation="Peterson, Uddenberg, Griffiths, Todorov & Suchow 2022, Deep models of superficial face judgments, "
        "PNAS 119(17), 10.1073/pnas.2115228119.",
        licence="CC BY-NC-SA 4.0: not for commercial use; share what is made from it alike, and name the authors.",
        url="https://raw.githubusercontent.com/jcpeterson/omi/53bb3c13113afc3ae67aa6ede4ac9dfe33f306af",
        size=118_000_000,
        files=(_OMI_RATINGS, *(RemoteFile(f"images/{number}.jpg") for number in range(1, OMI_FACES + 1))),
        unpack=_unpack_omi,
    ),
    "london": Dataset(
        name="london",
        summary="102 real people, neutral and smiling, with self-reported age, gender and ethnicity, and 189 points "
        "of each neutral face (Face Research Lab London Set). They consented to their images being used in studies.",
        citation="DeBruine & Jones 2017, Face Research Lab London Set, figshare, 10.6084/m9.figshare.5047666.",
        licence="CC BY 4.0: name the authors.",
        url="https://raw.githubusercontent.com/debruine/webmorphR.stim/fa8b78fda2d659bb74ce62fcd99c4407551d2a77",
        size=96_000_000,
        files=(_LONDON_INFO, *(file for identity in _LONDON.split() for file in _london_files(identity).values())),
        unpack=_unpack_london,
    ),
}
