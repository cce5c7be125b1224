"""What each network explains of people's judgements, and what no other network explains."""

import pandas as pd
import xarray as xr

from rsa_face.files import write_table
from rsa_face.inference.resampling import choose_groups
from rsa_face.inference.unique import faults_of_folds, partition_variance
from rsa_face.provenance import save
from rsa_face.schema import NETWORK, PARTICIPANT, RDM
from rsa_face.study.comparing import judged, varying
from rsa_face.study.graph import Run

FOLDS = (3, 5)


def why_no_shares(run: Run) -> str:
    """Say why variance cannot be split: it takes enough people and stimuli to leave some out."""
    few = too_few(run)
    return f"what each network explains, since {few}" if few else ""


def why_not_reweighted(run: Run) -> str:
    """Say why no layer's features can be weighed."""
    few, what = too_few(run), "the weighing of features"
    if few:
        return f"{what}, since {few}"
    picked = str(run.dataset("localization.nc")["picked"].sel(target="peak").values)
    return f"{what}, since no layer is more like people than chance" if picked == "none" else ""


def too_few(run: Run) -> str:
    """Say of what there is too little to leave some out; empty if there is enough."""
    human = run.array("human_rdms.nc")
    return "; ".join(faults_of_folds(human, folds=FOLDS, groups=choose_groups(human, run.study.inference.groups)))


def share_variance(run: Run) -> None:
    """Split the variance that is explained of people's judgements among the study's networks.

    All layers of a network together, weighed on other stimuli and participants: a network that resembles people as
    much as another may do so by the same means, and then neither explains anything of its own.
    """
    rdms, human, inference = varying(judged(run))[0], run.array("human_rdms.nc"), run.study.inference
    sets = {
        str(network): [str(name) for name in rdms[RDM].values[rdms[NETWORK].values == network]]
        for network in dict.fromkeys(rdms[NETWORK].values.tolist())
    }
    shares = partition_variance(
        sets, rdms=rdms, human=human, folds=FOLDS, seed=inference.seed, groups=inference.groups
    )
    save(shares, run.folder / "variance.nc")
    write_table(tabulate_shares(shares), run.folder / "variance.csv")


def tabulate_shares(shares: xr.Dataset) -> pd.DataFrame:
    """Return means over participants as a table, a row for each set, and one for all of them."""
    means = shares.mean(PARTICIPANT)
    rows = [
        {"set": str(name), "explained": float(means["explained"][place]), "unique": float(means["unique"][place])}
        for place, name in enumerate(shares["set"].values)
    ]
    together = {"set": "all together", "explained": float(means["total"]), "unique": float("nan")}
    table = pd.DataFrame([*rows, together])
    return table.assign(participants=shares.sizes[PARTICIPANT], simulated=bool(shares.attrs.get("simulated", False)))
