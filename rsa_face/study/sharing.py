"""What each network explains of people's judgements, what no other explains, and what other weights would reach."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pandas as pd
import xarray as xr

from rsa_face.activations.extract import extract
from rsa_face.files import write_table
from rsa_face.inference.resampling import choose_groups
from rsa_face.inference.unique import faults_of_folds, partition_variance, pick_in_folds, reweight_layer
from rsa_face.provenance import load, save
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, RDM, STIMULUS, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.comparing import factor_of, judged, varying
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, networks_of

VARIANCE, REWEIGHTED = "variance.nc", "reweighted.nc"
_FOLDS = (3, 5)


def share_variance(
    study: Study, rdms: xr.DataArray, human: xr.DataArray | None, manifest: Manifest
) -> xr.Dataset | None:
    """Split the variance that is explained of people's judgements among the study's networks.

    All layers of a network together, weighed on other stimuli and participants: a network that resembles people as
    much as another may do so by the same means, and then neither explains anything of its own.

    Parameters
    ----------
    study : Study
        Its `inference` section gives the seed of the division.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (set, participant), or None
        From `partition_variance`, a set for each network; also in ``variance.nc``, and its means as a table in
        ``variance.csv``. None where there is one network only, or too few stimuli or participants to leave some out.
    """
    if human is None:
        return None
    about = varying(judged(study, rdms, human))[0]
    sets = {
        str(network): [str(name) for name in about[RDM].values[about[NETWORK].values == network]]
        for network in dict.fromkeys(about[NETWORK].values.tolist())
    }
    groups = study.inference.groups
    if len(sets) < 2 or faults_of_folds(human, folds=_FOLDS, groups=choose_groups(human, groups)):
        return None

    def make() -> None:
        shares = partition_variance(
            sets, rdms=about, human=human, folds=_FOLDS, seed=study.inference.seed, groups=groups
        )
        save(shares, study.output / VARIANCE)
        write_table(tabulate_shares(shares), study.output / "variance.csv")

    inputs = {
        "rdms": manifest.hash_of("rdms.nc"),
        "human": manifest.hash_of("human_rdms.nc"),
        "seed": study.inference.seed,
        "groups": None if groups is None else factor_of(human, groups),
    }
    manifest.stage("explained variance", make, inputs=inputs, outputs=[VARIANCE, "variance.csv"])
    return cast("xr.Dataset", load(study.output / VARIANCE))


def reweight_peak(
    study: Study,
    stimuli: StimulusSet,
    rdms: xr.DataArray,
    human: xr.DataArray | None,
    where: xr.Dataset | None,
    manifest: Manifest,
) -> xr.Dataset | None:
    """Weigh the features of the layer that is most like people, and test that on other stimuli and participants.

    The layer is picked again for each division, without the stimuli and participants that are left out.

    Parameters
    ----------
    study : Study
        Its `inference` section names the network.
    stimuli : StimulusSet
        All of the study's.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    where : Dataset or None
        From `find_layer`: whether any layer is more like people than chance.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (participant,), or None
        From `reweight_layer`; also in ``reweighted.nc`` and, as means, ``reweighted.csv``. None where no layer is
        more like people than chance, or there are too few stimuli or participants to leave some out.
    """
    called = study.inference.network
    section = next((one for one in networks_of(study) if one.called == called), None)
    if human is None or where is None or section is None or str(where["picked"].sel(target="peak").values) == "none":
        return None
    asked = study.inference
    if faults_of_folds(human, folds=_FOLDS, groups=choose_groups(human, asked.groups)):
        return None
    about = varying(judged(study, rdms, human))[0]
    own = about.isel({RDM: about[NETWORK].values.astype(str) == called})
    folds: dict[str, Any] = {
        "comparison": asked.comparison, "folds": _FOLDS, "seed": asked.seed, "groups": asked.groups
    }  # fmt: skip
    seen = StimulusSet(stimuli.table[stimuli.table[STIMULUS].isin(stimulus_ids(human))].reset_index(drop=True))

    def make() -> None:
        layer_of = dict(zip(own[RDM].values.astype(str).tolist(), own[LAYER].values.astype(str), strict=True))
        picked = [str(layer_of[name]) for name in pick_in_folds(own, human, **folds)]
        often = Counter(picked).most_common()
        with tempfile.TemporaryDirectory(dir=study.output) as folder:
            store, layers = Path(folder) / "peak.zarr", [name for name, _ in often]
            tree = extract([build(study, section)], seen, store, layers=layers, progress=False)
            activations = {str(leaf.name): leaf.dataset["activation"].load() for leaf in tree.leaves}
        weighed = reweight_layer(activations, human, picked=picked, **folds)
        weighed = weighed.assign_attrs(network=called, layer=often[0][0])
        save(weighed, study.output / REWEIGHTED)
        means = weighed.mean(PARTICIPANT)
        row = {
            "network": called,
            "layer": often[0][0],
            "picked": ", ".join(f"{name} {times}" for name, times in often),
            "raw": float(means["raw"]),
            "reweighted": float(means["reweighted"]),
        }
        write_table(pd.DataFrame([row]), study.output / "reweighted.csv")

    inputs = {
        "rdms": manifest.hash_of("rdms.nc"),
        "human": manifest.hash_of("human_rdms.nc"),
        "network": called,
        "inference": [asked.comparison, asked.seed],
        "groups": None if asked.groups is None else factor_of(human, asked.groups),
    }
    manifest.stage("reweighted features", make, inputs=inputs, outputs=[REWEIGHTED, "reweighted.csv"])
    return cast("xr.Dataset", load(study.output / REWEIGHTED))


def tabulate_shares(shares: xr.Dataset) -> pd.DataFrame:
    """Return the split of the variance as a table, a row for each set, and one for all of them.

    Parameters
    ----------
    shares : Dataset, dims (set, participant)
        From `partition_variance`.

    Returns
    -------
    DataFrame
        ``set``, ``explained`` and ``unique``: means over participants, shares of their variance.
    """
    means = shares.mean(PARTICIPANT)
    rows = [
        {"set": str(name), "explained": float(means["explained"][place]), "unique": float(means["unique"][place])}
        for place, name in enumerate(shares["set"].values)
    ]
    together = {"set": "all together", "explained": float(means["total"]), "unique": float("nan")}
    table = pd.DataFrame([*rows, together])
    return table.assign(participants=shares.sizes[PARTICIPANT], simulated=bool(shares.attrs.get("simulated", False)))
