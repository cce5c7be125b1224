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
