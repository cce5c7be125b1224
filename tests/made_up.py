"""Made-up results whose every number a test can name."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr


def made_up_localization(
    layers: Sequence[str],
    probability: Mapping[str, Mapping[str, float]],
    picked: Mapping[str, str],
    **attrs: object,
) -> xr.Dataset:
    """Return what `localize` would, with hand-picked shares of draws: those above .15 are in the sets.

    Similarity rises by .05 from layer to layer, with bands of .04 on either side; a difference is .1 less.
    """
    names, targets = [*layers, "none"], list(probability)
    share = np.array([[probability[target].get(name, 0.0) for name in names] for target in targets])
    similarity = np.append(0.05 * np.arange(1, len(names)), np.nan)
    value = np.stack([similarity - 0.1 * target.endswith("baseline") for target in targets])
    ends = np.array([-0.04, 0.04])
    return xr.Dataset(
        {
            "probability": (("target", "layer"), share),
            "in_set": (("target", "layer"), share > 0.15),
            "picked": ("target", [picked[target] for target in targets]),
            "value": (("target", "layer"), value),
            "value_band": (("target", "layer", "bound"), value[..., None] + ends),
            "similarity": ("layer", similarity),
            "similarity_band": (("layer", "bound"), similarity[:, None] + ends),
            "share_of_ceiling": ("layer", similarity / 0.4),
            "share_of_ceiling_band": (("layer", "bound"), (similarity[:, None] + ends) / 0.4),
            "below_ceiling": ("layer", similarity < 0.3),
            "noise_ceiling": ("bound", [0.4, 0.5]),
            "noise_ceiling_extrapolated": 0.45,
            "half_way_depth": 0.6,
            "half_way_interval": ("bound", [0.4, 0.75]),
            "half_way_layer": layers[len(layers) * 6 // 10],
        },
        {
            "target": targets,
            "layer": names,
            "bound": ["lower", "upper"],
            "depth": ("layer", [*np.arange(1, len(names)) / len(layers), np.nan]),
        },
        {"network": "fe_alexnet", "baseline": "alexnet", "confidence": 0.95, "ceiling_margin": 0.1, **attrs},
    )


def answered(picked: list[str]) -> xr.Dataset:
    """Return a localization of four layers with these answers."""
    targets = ["peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"]
    shares = [
        {"relu1": 0.1, "relu5": 0.1, "fe": 0.2, "fc8": 0.6},
        {"fe": 0.1, "fc8": 0.2, "none": 0.7},
        {"fe": 0.8, "fc8": 0.1, "none": 0.1},
        {"relu1": 0.6, "fe": 0.4},
    ]
    probability, picked_of = dict(zip(targets, shares, strict=True)), dict(zip(targets, picked, strict=True))
    return made_up_localization(["relu1", "relu5", "fe", "fc8"], probability, picked_of)


def made_up_contrast(lower: list[float]) -> xr.Dataset:
    """Return a contrast of three layers whose bands begin here."""
    band = np.stack([lower, np.array(lower) + 0.1], axis=1)
    return xr.Dataset(
        {"difference": ("layer", band.mean(axis=1)), "difference_band": (("layer", "bound"), band)},
        {"layer": ["relu1", "relu5", "fc8"], "bound": ["lower", "upper"]},
        {"network": "fe_alexnet", "baseline": "alexnet"},
    )
