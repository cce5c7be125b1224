"""RDMs, pictures and embeddings in a form small enough to carry in one page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image

from rsa_face.figures.layout import factors_of, judged_stimuli, sort_stimuli, thumbnail
from rsa_face.figures.networks import most_similar
from rsa_face.figures.rdms import mean_person
from rsa_face.figures.style import in_order, network_label
from rsa_face.rdms.align import select_stimuli
from rsa_face.rdms.embedding import embed_rdm
from rsa_face.schema import LAYER, NETWORK, ORDER, PARTICIPANT, RDM, STIMULUS_I, STIMULUS_J
from rsa_face.study.folder import StudyFolder

_RDM_BYTES = 5_000_000
_PICTURE_BYTES = 3_000_000
_TOP = 65534
_UNJUDGED = 65535
_MOST_EMBEDDED = 240


@dataclass(frozen=True)
class Explorer:
    """What the page's RDM explorer shows."""

    content: dict[str, Any]
    notes: tuple[str, ...]


def explorer_of(study: StudyFolder) -> Explorer | None:
    """Return a study's RDMs, pictures and embeddings, packed.

    Dissimilarities keep 16 bits between each RDM's least and greatest. Where there are too many stimuli for a page,
    every second, third, ... is shown, in the order of their factors, and a note says so.
    """
    if study.rdms is None:
        return None
    rdms, _ = sort_stimuli(study.rdms)
    rdms, notes = _thinned(rdms)
    human = _people(study, rdms, notes)
    pictures = _pictures(study, [str(name) for name in rdms[STIMULUS_I].values], notes)
    factors = factors_of(rdms)
    stimuli = [
        {
            "id": str(name),
            "image": picture,
            "factors": {factor: _plain(rdms[factor].values[place]) for factor in factors},
        }
        for place, (name, picture) in enumerate(zip(rdms[STIMULUS_I].values, pictures, strict=True))
    ]
    place = {name: index for index, name in enumerate(in_order(map(str, rdms[NETWORK].values)))}
    within = rdms[ORDER].values if ORDER in rdms.coords else np.arange(rdms.sizes[RDM])
    order = sorted(range(rdms.sizes[RDM]), key=lambda n: (place[str(rdms[NETWORK].values[n])], within[n]))
    packed = [
        {"network": str(rdms[NETWORK].values[n]), "label": network_label(str(rdms[NETWORK].values[n])),
         "layer": str(rdms[LAYER].values[n]), **_pack(rdms.values[n])}
        for n in order
    ]  # fmt: skip
    people = None
    if human is not None and study.human is not None:
        people = {"n": int(study.human.sizes[PARTICIPANT]), **_pack(human)}
    content = {"stimuli": stimuli, "factors": factors, "rdms": packed, "human": people}
    start = _start(study, packed) | {"occlusion": _judged_alone(stimuli, human)}
    content |= {"start": start, "embeddings": _embeddings(study, rdms, human, notes)}
    return Explorer(content, tuple(notes))


def _start(study: StudyFolder, packed: list[dict[str, Any]]) -> dict[str, str]:
    """Return the RDM shown first: the most similar layer of FE-AlexNet, or of all."""
    networks = {one["network"] for one in packed}
    score = _scores(study)
    pool = [one for one in packed if one["network"] == "fe_alexnet" or "fe_alexnet" not in networks]
    best = max(pool, key=lambda one: score.get(f"{one['network']}/{one['layer']}", -np.inf))
    return {"network": best["network"], "layer": best["layer"]}


def _judged_alone(stimuli: list[dict[str, Any]], human: np.ndarray | None) -> str:
    """Return the occlusion to show first: the only one that people judged, if there is one."""
    if human is None:
        return ""
    judged = np.flatnonzero(np.isfinite(human).any(axis=0))
    occlusions = {str(stimuli[place]["factors"].get("occlusion", "")) for place in judged}
    return occlusions.pop() if len(occlusions) == 1 else ""


def _scores(study: StudyFolder) -> dict[str, float]:
    if study.result is None:
        return {}
    names = zip(study.result[NETWORK].values, study.result[LAYER].values, strict=True)
    labels = [f"{network}/{layer}" for network, layer in names]
    return dict(zip(labels, map(float, study.result["similarity"].values), strict=True))


def _thinned(rdms: xr.DataArray) -> tuple[xr.DataArray, list[str]]:
    count = rdms.sizes[STIMULUS_I]
    most = max(int(np.sqrt(_RDM_BYTES * 3 / 4 / (rdms.sizes[RDM] + 1))), 8)  # two bytes a pair, in base 64
    if count <= most:
        return rdms, []
    shown = np.unique(np.linspace(0, count - 1, most).round().astype(int))
    note = f"To keep this page small, RDMs and pictures show {len(shown)} of {count} stimuli, spread evenly; "
    note += "ranks are among these."
    return rdms.isel({STIMULUS_I: shown, STIMULUS_J: shown}), [note]


def _people(study: StudyFolder, rdms: xr.DataArray, notes: list[str]) -> np.ndarray | None:
    """Return people's mean RDM of the stimuli shown; NaN where they judged a stimulus never, or never a pair."""
    if study.human is None:
        return None
    ids = [str(name) for name in rdms[STIMULUS_I].values]
    judged = judged_stimuli(study.human, rdms)
    if not judged:
        notes.append("No RDM of people is shown: they judged none of these stimuli.")
        return None
    if len(judged) < len(ids):
        notes.append(f"People judged {len(judged)} of these {len(ids)} stimuli; cells of the others are empty.")
    places = np.array([ids.index(name) for name in judged])
    square = np.full((len(ids), len(ids)), np.nan)
    square[np.ix_(places, places)] = mean_person(select_stimuli(study.human, judged)).values
    return square


def _pack(values: np.ndarray) -> dict[str, Any]:
    i, j = np.triu_indices(len(values), k=1)
    flat = np.asarray(values[i, j], dtype=float)
    known = np.isfinite(flat)
    low, high = (float(flat[known].min()), float(flat[known].max())) if known.any() else (0.0, 1.0)
    steps = np.full(flat.shape, _UNJUDGED, dtype="<u2")
    steps[known] = np.round((flat[known] - low) / ((high - low) or 1.0) * _TOP).astype("<u2")
    return {"low": low, "high": high, "values": base64.b64encode(steps.tobytes()).decode("ascii")}


def _pictures(study: StudyFolder, ids: Sequence[str], notes: list[str]) -> list[str | None]:
    if study.stimuli is None:
        return [None] * len(ids)
    files = dict(zip(study.stimuli.ids, study.stimuli.files, strict=True))
    pixels = 112 if len(ids) <= 120 else 80 if len(ids) <= 500 else 48
    pictures: list[str | None] = []
    spent = 0
    for name in ids:
        picture = _as_uri(thumbnail(files[name], pixels=pixels)) if name in files and spent < _PICTURE_BYTES else None
        spent += len(picture or "")
        pictures.append(picture)
    shown = sum(picture is not None for picture in pictures)
    if shown < len(ids):
        notes.append(f"Pictures are shown for {shown} of {len(ids)} stimuli.")
    return pictures


def _as_uri(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _embeddings(
    study: StudyFolder, rdms: xr.DataArray, human: np.ndarray | None, notes: list[str]
) -> list[dict[str, Any]]:
    """Return people, and the most similar and the last layer of each network, as points."""
    embeddings = []
    if human is not None:
        shown = _spread(np.flatnonzero(np.isfinite(human).any(axis=0)).tolist())
        values = np.array(human[np.ix_(shown, shown)])
        np.fill_diagonal(values, 0)
        if len(shown) > 2 and np.isfinite(values).all():
            person = rdms.isel({RDM: 0, STIMULUS_I: shown, STIMULUS_J: shown}, drop=True).copy(data=values)
            embeddings.append(_embedding(person, "People (mean)", shown))
        elif len(shown) > 2:
            notes.append("People are not shown as points, because some of these pairs were judged by nobody.")
    shown = _spread(list(range(rdms.sizes[STIMULUS_I])))
    if len(shown) < rdms.sizes[STIMULUS_I]:
        notes.append(f"Embeddings show {len(shown)} of {rdms.sizes[STIMULUS_I]} stimuli.")
    if len(shown) < 3:
        return embeddings
    for rdm in _to_embed(study, rdms.isel({STIMULUS_I: shown, STIMULUS_J: shown})):
        name = f"{network_label(str(rdm[NETWORK].item()))} {rdm[LAYER].item()}"
        if rdm.values.any():
            embeddings.append(_embedding(rdm, name, shown))
        else:
            notes.append(f"{name} tells no two stimuli apart, so its points coincide and are not shown.")
    return embeddings


def _spread(places: list[int]) -> list[int]:
    return places[:: -(-len(places) // _MOST_EMBEDDED)]


def _to_embed(study: StudyFolder, rdms: xr.DataArray) -> list[xr.DataArray]:
    last = most_similar(rdms, None)
    if study.result is None:
        return list(last)
    names = [str(name) for name in most_similar(rdms, study.result)[RDM].values]
    return [rdms.sel({RDM: name}) for pair in zip(names, map(str, last[RDM].values), strict=True)
            for name in dict.fromkeys(pair)]  # fmt: skip


def _embedding(rdm: xr.DataArray, name: str, shown: list[int]) -> dict[str, Any]:
    points = embed_rdm(rdm, starts=0)
    return {
        "name": name,
        "stress": points.attrs["stress"],
        "stimuli": shown,
        "points": points.values.round(4).tolist(),
    }


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
