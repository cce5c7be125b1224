"""The psychophysics of one study: curves of people and networks, and how far they lie apart, as files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.provenance import save
from rsa_face.psychophysics.choices import ChoiceWords, check_choices, count_choices, scale_of, to_morph
from rsa_face.psychophysics.likeness import error_consistency, human_likeness
from rsa_face.psychophysics.psychometric import UNFITTED, Curve, first_status, fit_psychometric
from rsa_face.safety import write_table

_COLUMNS = ("pse", "midpoint", "slope", "width", "guess", "lapse")


def write_psychophysics(
    people: pd.DataFrame | None,
    networks: pd.DataFrame | None,
    out: str | Path,
    *,
    curve: Curve | Mapping[str, object] | None = None,
    draws: int = 1000,
    seed: int = 0,
    resamples: Mapping[str, np.ndarray] | None = None,
) -> list[Path]:
    """Fit everybody's curves, compare networks with people, and write it all."""
    out = Path(out)
    curve = Curve.of(curve)
    fits, written = [], []
    chosen = None if people is None else check_choices(people)
    if chosen is not None:
        fits.append(fit_psychometric(chosen, curve, seed=seed))
        written.append(save(fits[0], out / "psychometric.nc"))
    if networks is not None:
        answered = check_choices(networks)
        must_answer_alike(chosen, answered)
        answered = answered if chosen is None else _on_scale_of(answered, chosen)
        fits.append(fit_psychometric(answered, curve.changed(pooling="none"), seed=seed))
        written.append(save(fits[-1], out / "psychometric_networks.nc"))
        if chosen is not None and fits[0].sizes.get("participant", 0) >= 3:
            matched = "stimulus" in chosen and "stimulus" in answered
            consistency = error_consistency(answered, chosen) if matched else None
            if consistency is not None:
                written += _write_consistency(consistency, out)
            likeness = human_likeness(*fits, consistency=consistency, draws=draws, seed=seed, resamples=resamples)
            written.append(save(likeness, out / "psychometric_likeness.nc"))
    write_table(pd.concat([tabulate_curves(fit) for fit in fits]), out / "psychometric.csv")
    return [*written, out / "psychometric.csv"]


def must_answer_alike(people: pd.DataFrame | None, networks: pd.DataFrame) -> None:
    """Refuse people and networks that chose between different answers."""
    words = [ChoiceWords.from_attrs(table.attrs).attrs for table in (people, networks) if table is not None]
    pairs = [f"{one['high']} or {one['low']}" for one in words]
    if len({pair.lower() for pair in pairs}) > 1:
        message = f"People answered {pairs[0]}, networks {pairs[1]}. Compare choices between the same two answers."
        raise ValueError(message)


def _write_consistency(consistency: xr.DataArray, out: Path) -> list[Path]:
    """Write how consistent the errors of networks and people are, with what says how sure it is."""
    table = consistency.to_dataframe().reset_index().assign(simulated=consistency.attrs["simulated"])
    write_table(table, out / "error_consistency.csv")
    return [save(consistency, out / "error_consistency.nc"), out / "error_consistency.csv"]


def tabulate_curves(fit: xr.Dataset) -> pd.DataFrame:
    """Return fitted curves as a table, a row for each observer and occlusion."""
    kind = "participant" if "participant" in fit.dims else "network"
    condition = ChoiceWords.from_attrs(fit.attrs).condition or "occlusion"
    rows = []
    for observer in fit[kind].values:
        for occlusion in fit["occlusion"].values:
            one = fit.sel({kind: observer, "occlusion": occlusion})
            row: dict[str, object] = {"observer": str(observer), "kind": kind, condition: str(occlusion)}
            for name in _COLUMNS:
                row[name] = float(one[name])
                if f"{name}_interval" in one:
                    row[f"{name}_lower"], row[f"{name}_upper"] = one[f"{name}_interval"].values.tolist()
            row["status"] = str(one["status"].item())
            at = one["at_bound"].any("bound")
            row["bound"] = " ".join(str(name) for name in at["parameter"].values[at.values])
            rows.append(row)
    return pd.DataFrame(rows)


def any_curve(choices: pd.DataFrame) -> bool:
    """Say whether a curve can be fitted to anybody's choices: answers that differ, on enough levels."""
    return bool((~np.isin(first_status(count_choices(check_choices(choices))), UNFITTED)).any())


def _on_scale_of(networks: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Put networks' levels on the morph where people's are; their tables have signed levels."""
    scales = [scale_of(table["level"].to_numpy(dtype=float)) for table in (people, networks)]
    return to_morph(networks) if scales == ["morph", "signed"] else networks
