"""What a study found, in sentences: each with its number, and with what it does not mean."""

from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from rsa_face.inference.pretraining import ALL_LAYERS
from rsa_face.provenance import load
from rsa_face.report.narrate import contrast_sentence, localization_sentences
from rsa_face.schema import NETWORK, RDM

_RANKED = {"pse_distance": "distance in PSE", "curve_rmse": "distance in choices"}
_BEST = "similarity_peak"
_MANY = 10


def tell_findings(
    result: xr.Dataset,
    *,
    scores: xr.Dataset | None = None,
    where: xr.Dataset | None = None,
    contrast: xr.Dataset | None = None,
    bias: xr.Dataset | None = None,
    agreement: xr.Dataset | None = None,
) -> list[str]:
    """Say in a sentence each which layer is most similar to people, where a network becomes human-like, and limits.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        From `compare_layers`.
    scores : Dataset, dims (network, condition), optional
        Of the training, on held-out faces.
    where : Dataset, dims (target, layer), optional
        From `localize`.
    contrast : Dataset, dims (layer, bound), optional
        From `contrast_layers`, with the baseline.
    bias : Dataset, dims (bias, bound) and (against, bound), optional
        From `measure_bias`.
    agreement : Dataset, dims (network, quantity) and (quantity, quantity_other), optional
        From `relate_measures`.

    Returns
    -------
    list of str
        The most similar layer; where the network in question turns human-like, and how it differs from its baseline;
        one sentence each on the bias of pre-training and on whether geometry, choices and saliency rank the networks
        alike, where these were measured; limits.
    """
    found = [
        _most_similar(result, scores),
        *(localization_sentences(where) if where is not None else []),
        contrast_sentence(contrast) if contrast is not None else "",
        _bias(bias),
        _ranks(agreement),
        _limits(result, scores),
    ]
    return [sentence for sentence in found if sentence]


def tell_study(folder: str | Path) -> list[str]:
    """Say what a finished study found, from what it wrote.

    Parameters
    ----------
    folder : str or Path
        Its output folder.

    Returns
    -------
    list of str
        See `tell_findings`; empty where nothing was compared with people.
    """
    parts = {
        name: cast("xr.Dataset", load(Path(folder) / f"{name}.nc"))
        for name in ("layers", "training", "localization", "contrast", "bias", "agreement")
        if (Path(folder) / f"{name}.nc").is_file()
    }
    if "layers" not in parts:
        return []
    found = {"scores": parts.get("training"), "where": parts.get("localization")}
    found |= {name: parts.get(name) for name in ("contrast", "bias", "agreement")}
    return tell_findings(parts["layers"], **found)


def _most_similar(result: xr.Dataset, scores: xr.Dataset | None) -> str:
    best = result.isel({RDM: int(np.nanargmax(result["similarity"].values))})
    people = "simulated observers" if result.attrs.get("simulated") else "participants"
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    count = len(set(result[NETWORK].values))
    said = (
        f"Of {result.sizes[RDM]} layers in {count} network{'s' if count > 1 else ''}, {best[RDM].item()} is most "
        f"similar to the {people} ({result.attrs['comparison']} {float(best['similarity']):.2f}; noise ceiling "
        f"{lower:.2f} to {upper:.2f})"
    )
    if scores is not None:
        shown = "none" if "none" in scores["condition"].values else "all"
        accuracy = scores["accuracy"].sel(condition=shown)
        rows = zip(accuracy[NETWORK].values, accuracy.values, strict=True)
        each = ", ".join(f"{name} {value:.2f}" for name, value in rows)
        said += f". Share of held-out {'whole ' if shown == 'none' else ''}faces told right: {each}"
    return said + "."


def _bias(bias: xr.Dataset | None) -> str:
    if bias is None or ALL_LAYERS not in bias["quantity"].values:
        return ""
    rows = bias.isel(bias=bias["quantity"].values == ALL_LAYERS)
    each = [
        f"{name} {value:+.3f} ({lower:+.3f} to {upper:+.3f})"
        for name, value, (lower, upper) in zip(
            rows["architecture"].values, rows["difference"].values, rows["difference_interval"].values, strict=True
        )
    ]
    confidence, over = float(bias.attrs["confidence"]), next(o for o in bias.attrs["over"] if "similarity" in o)
    said = (
        f"Trained from {bias.attrs['first']} minus trained from {bias.attrs['second']}, mean similarity over layers: "
        f"{', '.join(each)}; {confidence:.0%} intervals over {over.split(': ')[1]}"
    )
    if "compared" not in bias.coords:
        return said + "."
    against = bias.isel(against=bias["compared"].values == ALL_LAYERS)
    smaller = [
        f"{'smaller' if p < 1 - confidence else 'not shown to be smaller'} than in {name} "
        f"(by {-size:+.3f}, {-upper:+.3f} to {-lower:+.3f})"
        for name, p, size, (lower, upper) in zip(
            against["other"].values,
            against["p_smaller"].values,
            against["size_excess"].values,
            against["size_excess_interval"].values,
            strict=True,
        )
    ]
    return f"{said}. In {bias.attrs['network']} the difference is {', '.join(smaller)}."


def _ranks(agreement: xr.Dataset | None) -> str:
    if agreement is None or _BEST not in agreement["quantity"].values:
        return ""
    pairs = agreement.sel(quantity_other=_BEST)
    known = np.isfinite(pairs["rank_correlation"].values) & (pairs["quantity"].values != _BEST)
    pairs = pairs.isel(quantity=known & ~np.char.startswith(pairs["quantity"].values.astype(str), "similarity"))
    if not pairs.sizes["quantity"]:
        return ""
    each = [
        f"{_RANKED.get(name, name.replace('saliency_', 'saliency on the '))} {rho:.2f} (p {p:.3f})"
        for name, rho, p in zip(
            pairs["quantity"].values.astype(str),
            pairs["rank_correlation"].values,
            pairs["rank_correlation_p"].values,
            strict=True,
        )
    ]
    fewest = int(pairs["n_networks"].min())
    few = f"; with {fewest} networks an anecdote" if fewest < _MANY else ""
    return (
        f"Networks' ranks by the similarity of their best layer correlate with those by {', '.join(each)} (Spearman, "
        f"p by permutation of networks, not corrected{few})."
    )


def _limits(result: xr.Dataset, scores: xr.Dataset | None) -> str:
    reasons = []
    if result.attrs.get("simulated"):
        reasons.append("the observers are simulated")
    untrained = result.attrs.get("untrained") or []
    if len(untrained):
        reasons.append(f"{', '.join(untrained)} rest on random weights")
    if scores is not None:
        reasons.append("the networks learnt from the few faces of this study's training table")
    if not reasons:
        return ""
    return f"This does not say anything about people or about networks in general: {'; '.join(reasons)}."
