"""How often the intervals of the PSE hold it: ``python -m tests.benchmarks.psychometric_coverage [OBSERVERS]``.

Observers are new in each row. Their PSEs are normal with the published mean and SD; their lapses are those of the
row: the curve stays above 0 at the sad end and below 1 at the happy end by these shares. A PSE counts as held by
the interval whether or not the observer's status is undetermined; the width and the bias are of those who have a
PSE.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from rsa_face.human.observers import PSE_MEAN, PSE_SD
from rsa_face.psychophysics.psychometric import fit_psychometric

DESIGNS = {"21 levels x 2 trials": (21, 2), "9 levels x 10 trials": (9, 10)}
# guess (happy answers at the sad end) and lapse (sad answers at the happy end)
LAPSES = ((0.0, 0.0), (0.02, 0.02), (0.05, 0.05), (0.02, 0.2), (0.2, 0.2))
SDS = (0.07, 0.12, 0.2)


def simulate(
    levels: int, trials: int, guess: float, lapse: float, sd: float, *, observers: int, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return counted choices on the morph of observers, and the level at which each chooses happy half the time."""
    rng = np.random.default_rng(
        np.random.SeedSequence([seed, levels, trials, *(int(1e3 * x) for x in (guess, lapse, sd))])
    )
    pse = rng.normal(PSE_MEAN, PSE_SD, observers)
    midpoint = pse - sd * ndtri((0.5 - guess) / (1 - guess - lapse))
    morph = np.linspace(0, 1, levels)
    chance = guess + (1 - guess - lapse) * ndtr((morph - midpoint[:, None]) / sd)
    table = pd.DataFrame({
        "participant": np.repeat([f"p{number:04d}" for number in range(observers)], levels),
        "level": np.tile(morph, observers),
        "p_happy": (rng.binomial(trials, chance) / trials).ravel(),
        "trials": trials,
    })  # fmt: skip
    return table, pse


def coverage(
    design: str, guess: float, lapse: float, *, observers: int, sds: tuple[float, ...] = SDS
) -> dict[str, float]:
    """Return what a row of the table holds, over observers of several widths."""
    held, determined, error, wide, misfit, count = 0, 0, [], [], 0, 0
    for sd in sds:
        table, pse = simulate(*DESIGNS[design], guess, lapse, sd, observers=observers)
        fit = fit_psychometric(table, draws=200).isel(occlusion=0)
        ends = fit["pse_interval"].values
        fitted = np.isfinite(ends).all(axis=1)
        held += int(((ends[:, 0] <= pse) & (pse <= ends[:, 1]))[fitted].sum())
        count += int(fitted.sum())
        known = np.isfinite(fit["pse"].values)
        determined += int(known.sum())
        error += (fit["pse"].values - pse)[known].tolist()
        wide += (ends[:, 1] - ends[:, 0])[known].tolist()
        misfit += int((fit["deviance_p"].values[fitted] <= 0.05).sum())
    total = len(sds) * observers
    return {
        "coverage": held / count,
        "undetermined": 1 - determined / total,
        "width": float(np.median(wide)),
        "bias": float(np.mean(error)),
        "misfit": misfit / count,
        "observers": count,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("observers", nargs="?", type=int, default=300, help="observers of each SD in each row")
    observers = parser.parse_args().observers
    print(
        "95 % intervals of the PSE, over observers whose curves have SDs of "
        + ", ".join(map(str, SDS))
        + " on the morph\n"
    )
    print("| design | happy at the sad end | sad at the happy end | coverage | undetermined | median width | bias "
          "| deviance rejects |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    start = time.perf_counter()
    for design in DESIGNS:
        for guess, lapse in LAPSES:
            row = coverage(design, guess, lapse, observers=observers)
            print(f"| {design} | {guess:.2f} | {lapse:.2f} | {row['coverage']:.3f} | {row['undetermined']:.3f} | "
                  f"{row['width']:.2f} | {row['bias']:+.3f} | {row['misfit']:.3f} |", flush=True)  # fmt: skip
    print(f"\n{observers * len(SDS)} observers a row, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
