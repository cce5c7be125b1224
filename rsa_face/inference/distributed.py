"""The draws of a bootstrap on many machines: each dask worker takes some of them."""

from dataclasses import replace

import numpy as np
from tqdm.auto import tqdm

from rsa_face.cluster import connect, map_in_order
from rsa_face.inference.bootstrap import Evaluated, evaluate_draws
from rsa_face.inference.resampling import Draws
from rsa_face.inference.vectors import Floats

_TOGETHER = 64  # draws that a worker takes at a time

_Shared = tuple[Floats, Floats, Draws, str, float]


def evaluate_draws_on(
    cluster: str,
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    memory: float = 2e9,
    progress: bool = False,
) -> Evaluated:
    """Compute similarities and noise ceilings in every draw, by the workers of a cluster.

    Each draw is computed by itself, so the values are those of `evaluate_draws` to the bit, however many workers
    there are. Draws that a worker had begun when it died are computed again by another.

    Parameters
    ----------
    cluster : str
        ``local:N`` or ``tcp://HOST:PORT``, see `rsa_face.cluster.connect`.
    layers : array, shape (rdm, pair)
        Layer RDMs, whole.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    draws : Draws
        The draws.
    comparison : str
        A name in `COMPARISONS`.
    memory : float
        How much memory each worker may use, in bytes.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Evaluated
        The values, in the order of ``draws.kinds``.

    Raises
    ------
    ValueError
        If one draw does not fit into a worker's memory, or no scheduler answers.
    """
    starts = range(0, len(draws), _TOGETHER)
    shared: _Shared = (layers, people, draws, comparison, memory)
    hidden = None if progress else True
    parts = []
    with connect(cluster) as client, tqdm(total=len(draws), disable=hidden, desc="draws", unit="draw") as bar:
        for part in map_in_order(client, _evaluate_some, starts, shared=shared):
            parts.append(part)
            bar.update(part[0].shape[1])
    similarity, ceiling = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    return Evaluated(similarity, ceiling)


def _evaluate_some(start: int, shared: _Shared) -> tuple[Floats, Floats]:
    layers, people, draws, comparison, memory = shared
    rows = slice(start, start + _TOGETHER)
    some = replace(
        draws, stimuli=draws.stimuli[rows], participants=draws.participants[rows], usable=draws.usable[rows]
    )
    found = evaluate_draws(layers, people, some, comparison=comparison, memory=memory, workers=1)
    return found.similarity, found.ceiling
