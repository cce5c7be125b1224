"""All draws at once: what rsatoolbox computes in a loop over draws, from RDMs that are sorted once."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rsa_face.inference.accelerated import choose_device, evaluate_on
from rsa_face.inference.draws import evaluate, mean_over, prepare
from rsa_face.inference.resampling import Draws
from rsa_face.inference.vectors import Floats, Whole

_NUMBER = 8  # bytes of a float64


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What the draws gave.

    Parameters
    ----------
    similarity : array, shape (kind, draw, rdm)
        Mean similarity over the participants of each draw; NaN in draws that were skipped.
    ceiling : array, shape (kind, draw, bound)
        Lower and upper bound of the noise ceiling in each draw.
    """

    similarity: Floats
    ceiling: Floats


def evaluate_draws(
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    ceilings: bool = True,
    memory: float = 2e9,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Evaluated:
    """Compute similarities and noise ceilings in every draw.

    Each draw (with those of the same stimuli) is computed by itself, so the result depends neither on how many are
    computed at a time nor on how many threads compute them.

    Parameters
    ----------
    layers : array, shape (rdm, pair)
        Layer RDMs, whole; there may be none.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    draws : Draws
        The draws.
    comparison : str
        A name in `COMPARISONS`.
    ceilings : bool
        Whether to compute the noise ceiling; NaN if not.
    memory : float
        How much memory to use at most, in bytes.
    workers : int, optional
        How many threads; as many as there are processors if not given, fewer where memory is short.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a graphics processor where there is one and the comparison runs there.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Evaluated
        The values, in the order of ``draws.kinds``.

    Raises
    ------
    ValueError
        If one draw does not fit into the memory allowed, or the device cannot be used.
    """
    where = choose_device(device, comparison, people)
    if where != "cpu":
        found = evaluate_on(where, layers, people, draws, comparison=comparison, memory=memory, progress=progress)
        return Evaluated(*found)
    workers = _workers_within(memory, workers, len(layers), people.shape)
    prepared = prepare(layers, people, comparison)
    shape = (len(draws.kinds), len(draws))
    similarity = np.full((*shape, len(layers)), np.nan)
    ceiling = np.full((*shape, 2), np.nan)
    everything = evaluate(prepared, np.ones_like(draws.stimuli[0])) if "participant" in draws.kinds else None

    def run(alike: Whole) -> int:
        # draws of the same stimuli, such as deletions that differ in the participant alone, share one evaluation
        drawn = everything if draws.kinds == ("participant",) else evaluate(prepared, draws.stimuli[alike[0]])
        for draw in alike:
            people = draws.participants[draw]
            for place, kind in enumerate(draws.kinds):
                found = everything if kind == "participant" else drawn
                if found is None:
                    continue
                times = np.ones_like(people) if kind == "stimulus" else people
                similarity[place, draw] = mean_over(found[0], times)
                if ceilings:
                    ceiling[place, draw] = found[1](times)
        return len(alike)

    bar = tqdm(total=int(draws.usable.sum()), disable=None if progress else True, desc="draws", unit="draw")
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool, bar:
        for count in pool.map(run, draws.alike):
            bar.update(count)
    return Evaluated(similarity, ceiling)


def _workers_within(memory: float, workers: int | None, layers: int, people: tuple[int, ...]) -> int:
    """Return how many draws may be computed at a time, and refuse where not even one may."""
    rdms = layers + people[0]
    fixed = rdms * people[1] * _NUMBER * 3  # values, order and ties
    each = (4 * rdms + 4 * people[0]) * people[1] * _NUMBER  # ranks, order, products and pools
    affordable = int((memory - fixed) // each)
    if affordable < 1:
        message = (
            f"One draw of {rdms} RDMs of {people[1]} pairs must fit into memory, which takes "
            f"{(fixed + each) / 1e9:.3g} GB, but `memory` allows {memory / 1e9:.3g} GB. "
            "Allow more, or use fewer layers."
        )
        raise ValueError(message)
    return min(affordable, workers or processors())


def processors() -> int:
    """Return how many processors this program may use.

    Returns
    -------
    int
        At least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
