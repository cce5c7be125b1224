"""Many draws at once on a graphics processor: cosine, correlation and rank correlations of RDMs without gaps."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from rsa_face.inference.ranking import sort_once
from rsa_face.inference.resampling import Draws
from rsa_face.inference.vectors import Floats, pairs_of
from rsa_face.schema import COMPARISONS

_NUMBER = 8
_Bounds = Callable[[Any], Any]


def choose_device(device: str, comparison: str, people: Floats) -> str:
    """Return where to compute.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"`` or ``"auto"``: a graphics processor where there is one and the comparison runs there.
    comparison : str
        The comparison.
    people : array, shape (participant, pair)
        Human RDMs.

    Returns
    -------
    str
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ValueError
        If ``"cuda"`` is asked for and there is none, or the request does not run there.
    """
    if device == "cpu" or (device == "auto" and shutil.which("nvidia-smi") is None):
        return "cpu"  # without loading torch, which takes seconds
    import torch

    faults = [] if torch.cuda.is_available() else ["torch finds no CUDA device"]
    if not COMPARISONS[comparison].is_plain:
        plain = [name for name, row in COMPARISONS.items() if row.is_plain]
        faults.append(f"the comparison is {comparison!r}, not one of {', '.join(plain)}")
    if np.isnan(people).any():
        faults.append("the human RDMs miss pairs")
    if faults and device == "cuda":
        message = f"To compute on 'cuda' everything must run there, but {'; '.join(faults)}. Use device='auto'."
        raise ValueError(message)
    return "cpu" if faults else "cuda"


def evaluate_on(
    device: str,
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    memory: float,
    progress: bool = False,
) -> tuple[Floats, Floats]:
    """Compute similarities and noise ceilings of all draws with torch, in float64.

    The arithmetic is that of the loop over draws; only sums are added in another order.

    Parameters
    ----------
    device : str
        A torch device.
    layers : array, shape (rdm, pair)
        Layer RDMs, whole.
    people : array, shape (participant, pair)
        Human RDMs, whole.
    draws : Draws
        The draws.
    comparison : str
        A plain one: of products or ranks, not whitened.
    memory : float
        How much of the device's memory to use at most, in bytes.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    similarity : array, shape (kind, draw, rdm)
        As `evaluate_draws` returns them.
    ceiling : array, shape (kind, draw, bound)
        Likewise.
    """
    import torch

    pairs, count = layers.shape[1], len(people)
    each = pairs * _NUMBER * (3 * (len(layers) + count) + 12 * (count + 1))
    chunk = int(memory // each)
    if chunk < 1:
        need = f"One draw takes {each / 1e9:.3g} GB on {device!r}"
        message = f"{need}, but `memory` allows {memory / 1e9:.3g} GB. Allow more."
        raise ValueError(message)
    similarity = np.full((len(draws.kinds), len(draws), len(layers)), np.nan)
    ceiling = np.full((len(draws.kinds), len(draws), 2), np.nan)
    start = _start_ranks if COMPARISONS[comparison].scores == "ranks" else _start_products
    weigh = start(torch, device, layers, people, comparison)
    rows, columns = (torch.as_tensor(np.array(side), device=device) for side in pairs_of(draws.stimuli.shape[1]))
    everything = weigh(torch.ones((1, pairs), dtype=torch.float64, device=device))
    usable = np.flatnonzero(draws.usable)
    for first in tqdm(range(0, len(usable), chunk), disable=None if progress else True, desc="draws", unit="chunk"):
        chosen = usable[first : first + chunk]
        stimuli = torch.as_tensor(draws.stimuli[chosen], dtype=torch.float64, device=device)
        times = torch.as_tensor(draws.participants[chosen], dtype=torch.float64, device=device)
        drawn = weigh(stimuli[:, rows] * stimuli[:, columns]) if draws.kinds != ("participant",) else everything
        for place, kind in enumerate(draws.kinds):
            table, bounds = everything if kind == "participant" else drawn
            taken = torch.ones_like(times) if kind == "stimulus" else times
            means = (table * taken[:, None]).sum(-1) / taken.sum(-1, keepdim=True)
            similarity[place, chosen] = means.cpu().numpy()
            ceiling[place, chosen] = bounds(taken).cpu().numpy()
    return similarity, ceiling


def _start_products(torch: Any, device: str, layers: Floats, people: Floats, comparison: str) -> Callable[[Any], Any]:
    both = torch.as_tensor(np.concatenate([layers, people]), device=device)
    centred = COMPARISONS[comparison].centred
    both = both - both.mean(1, keepdim=True) if centred else both
    first = len(layers)

    def weigh(weights: Any) -> tuple[Any, _Bounds]:
        heavy = both[first:] * weights[:, None]
        gram = torch.matmul(both, heavy.mT)
        raw = torch.matmul(weights, both.mT**2)
        squares = raw
        if centred:
            sums, total = torch.matmul(weights, both.mT), weights.sum(1, keepdim=True)
            gram = gram - sums[:, :, None] * (sums[:, first:] / total)[:, None]
            squares = raw - sums**2 / total
            squares = torch.where(squares <= 1e-13 * raw, 0, squares)
        inverse = torch.where(squares > 0, squares.clamp(min=1e-300).rsqrt(), 0)
        gram = gram * inverse[:, :, None] * inverse[:, None, first:]
        return gram[:, :first], lambda times: _bounds_of_products(torch, gram[:, first:], times)

    return weigh


def _bounds_of_products(torch: Any, gram: Any, times: Any) -> Any:
    count = times.shape[1]
    own = torch.diagonal(gram, dim1=1, dim2=2)
    whole = times[:, None].expand(-1, count, -1)
    pools = torch.stack([_without_own(torch, times), whole], 1)
    products = torch.matmul(pools, gram[:, None])
    norms = ((products * pools).sum(-1).clamp(min=0) * own[:, None]).sqrt()
    between = torch.diagonal(products, dim1=2, dim2=3)
    return _mean_over_drawn(torch, torch.where(norms > 0, between / norms.clamp(min=1e-300), 0), times)


def _start_ranks(torch: Any, device: str, layers: Floats, people: Floats, comparison: str) -> Callable[[Any], Any]:
    once = sort_once(np.concatenate([layers, people]))
    orders = torch.as_tensor(once.order.astype(np.int64), device=device)
    places = np.arange(layers.shape[1])
    firsts = np.maximum.accumulate(np.where(once.tied, 0, places), axis=1)
    ends = np.where(np.roll(once.tied, -1, axis=1) & (places < places[-1]), places[-1], places)
    lasts = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1].copy()
    first_of, last_of = (torch.as_tensor(each, device=device) for each in (firsts, lasts))
    split, corrected = len(layers), COMPARISONS[comparison].tie_corrected

    def weigh(weights: Any) -> tuple[Any, _Bounds]:
        ranks = weights.new_empty((len(weights), len(orders), weights.shape[1]))
        for rdm, order in enumerate(orders):
            own = weights[:, order]
            sums = own.cumsum(1)
            before = (sums - own)[:, first_of[rdm]]
            ranks[:, rdm, order] = before + sums[:, last_of[rdm]] + 1
        total = weights.sum(1)[:, None, None]
        ranks -= total + 1
        heavy = ranks[:, split:] * weights[:, None]
        between = torch.matmul(ranks[:, :split], heavy.mT)
        if corrected:
            squares = (ranks**2 * weights[:, None]).sum(-1)
            norms = (squares[:, :split, None] * squares[:, None, split:]).sqrt()
            table = torch.where(norms > 0, between / norms.clamp(min=1e-300), 0)
        else:
            table = 3 * between / (total**3 - total)
        return table, lambda times: _bounds_of_ranks(torch, ranks[:, split:], weights, times, corrected)

    return weigh


def _bounds_of_ranks(torch: Any, ranks: Any, weights: Any, times: Any, corrected: bool) -> Any:
    pools = torch.matmul(torch.cat([_without_own(torch, times), times[:, None]], 1), ranks)
    values, order = pools.sort(-1)
    own = torch.gather(weights[:, None].expand_as(pools), -1, order)
    sums = own.cumsum(-1)
    first = torch.searchsorted(values, values)
    last = torch.searchsorted(values, values, right=True) - 1
    total = weights.sum(1)[:, None, None]
    pooled = torch.empty_like(pools).scatter_(
        -1, order, torch.gather(sums - own, -1, first) + torch.gather(sums, -1, last) - total
    )
    heavy = ranks * weights[:, None]
    lower, upper = (pooled[:, :-1] * heavy).sum(-1), (pooled[:, -1:] * heavy).sum(-1)
    between = torch.stack([lower, upper], 1)
    if not corrected:
        return _mean_over_drawn(torch, 3 * between / (total**3 - total), times)
    squares = (pooled**2 * weights[:, None]).sum(-1)
    each = torch.stack([squares[:, :-1], squares[:, -1:].expand_as(squares[:, :-1])], 1)
    norms = (each * (ranks * heavy).sum(-1)[:, None]).sqrt()
    return _mean_over_drawn(torch, torch.where(norms > 0, between / norms.clamp(min=1e-300), 0), times)


def _without_own(torch: Any, times: Any) -> Any:
    """Return the pools without each participant; where nobody else was drawn, the pool of all."""
    pools = times[:, None] * (1 - torch.eye(times.shape[1], dtype=times.dtype, device=times.device))
    alone = (pools.sum(-1, keepdim=True) == 0) & (times[:, :, None] > 0)
    return torch.where(alone, times[:, None], pools)


def _mean_over_drawn(torch: Any, each: Any, times: Any) -> Any:
    drawn = (times > 0).to(each.dtype)[:, None]
    return (torch.where(drawn > 0, each, 0)).sum(-1) / drawn.sum(-1)
