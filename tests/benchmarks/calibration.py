"""Whether tests reject and intervals cover as often as they say: simulations with known truth, printed as a table.

Run ``python -m tests.benchmarks.calibration`` from the repository's root; ``--simulations``, ``--sizes`` and
``--scenarios`` choose a part. Stimuli and participants are random draws from populations in every simulation. The p
values by t of the dual bootstrap are rsatoolbox's own test (the reference tests hold them equal), so its power stands
in the same table. Blocks of simulations are written to a file as they are done, and what is there is not run again.
"""

import argparse
import hashlib
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

import rsa_face.inference
from rsa_face.inference.draws import processors
from tests.benchmarks.grouped import GROUPED_SCENARIOS
from tests.benchmarks.scenarios import DRAWS, SCENARIOS, SHUFFLES, wanted

Size = tuple[int, ...]
Scenario = Callable[[Any, int], Iterator[tuple[str, float]]]
GRID: tuple[Size, ...] = ((3, 40), (10, 20), (20, 40), (40, 90))
GROUPED_GRID: tuple[Size, ...] = ((20, 6, 9), (20, 12, 4))
EVERY_SCENARIO: dict[str, Scenario] = {**SCENARIOS, **GROUPED_SCENARIOS}
# Of these fewer, since one takes long; a row of the table says how many, and what error a rate then has.
FEWER: dict[Size, int] = {(40, 90): 500}
FEWER_BY_RANKS: dict[Size, int] = {(20, 40): 500, (40, 90): 0, (20, 6, 9): 500, (20, 12, 4): 500}
BLOCK = 20
Job = tuple[str, Size, int]
SECONDS = "CPU seconds of a simulation"


def rates(scenario: str, size: Size, simulations: int) -> dict[str, float]:
    """Return the mean of everything a scenario yields."""
    sums = run_block(scenario, size, 0, simulations)
    return {name: total / simulations for name, total in sums.items()}


def simulations_of(scenario: str, size: Size, most: int) -> int:
    """Return how many simulations of a scenario and size stand in the table."""
    return min(most, (FEWER_BY_RANKS if scenario.endswith("rho-a") else FEWER).get(size, most))


def run_block(scenario: str, size: Size, first: int, count: int) -> dict[str, float]:
    """Return the sum of everything a scenario yields in simulations that follow one another."""
    found: dict[str, float] = defaultdict(float)
    start = time.process_time()
    with threadpool_limits(1):
        for seed in range(first, first + count):
            for name, value in EVERY_SCENARIO[scenario](size, seed):
                found[name] += value
    return dict(found) | {SECONDS: time.process_time() - start}


def read_blocks(kept: Path) -> dict[Job, dict[str, Any]]:
    """Return the blocks that an earlier run has written; a line that was cut short is left out."""
    blocks: dict[Job, dict[str, Any]] = {}
    for line in kept.read_text("utf-8").splitlines() if kept.exists() else []:
        try:
            block = json.loads(line)
        except ValueError:
            continue
        blocks[block["scenario"], tuple(block["size"]), block["first"]] = block
    return blocks


def run_missing(jobs: list[Job], kept: Path, workers: int) -> None:
    """Run blocks of simulations on several processes and write each to the file when it is done."""
    code = code_hash()
    kept.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool, kept.open("a", encoding="utf-8") as lines:
        running = {pool.submit(run_block, *job, BLOCK): job for job in jobs}
        for done in tqdm(as_completed(running), total=len(running), unit="block", disable=None):
            scenario, size, first = running[done]
            block = {"scenario": scenario, "size": size, "first": first, "code": code, "sums": done.result()}
            lines.write(json.dumps(block) + "\n")
            lines.flush()


def code_hash() -> str:
    """Return a short hash of the code whose rates these are."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    files = [
        *Path(str(rsa_face.inference.__file__)).parent.glob("*.py"),
        here / "scenarios.py",
        here / "grouped.py",
        here / "batched.py",
    ]
    for file in [*sorted(files), here.parent / "inference" / "simulated.py"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def table(blocks: dict[Job, dict[str, Any]], scenarios: list[str], sizes: list[Size]) -> Iterator[str]:
    """Yield the lines of the table in markdown; a rate outside what it should lie in is marked with a star."""
    heads = " | ".join(_head(size) for size in sizes)
    yield f"| | should be | {heads} |"
    yield f"|---|---|{'---:|' * len(sizes)}"
    for scenario in scenarios:
        cells: dict[str, dict[Size, str]] = defaultdict(dict)
        counts = []
        for size in sizes:
            chosen = [block for (named, of, _), block in blocks.items() if (named, of) == (scenario, size)]
            counts.append(len(chosen) * BLOCK)
            for name in chosen[0]["sums"] if chosen else ():
                rate = sum(block["sums"][name] for block in chosen) / counts[-1]
                bounds = wanted(name)
                star = " *" if bounds and not bounds[0] <= round(rate, 3) <= bounds[1] else ""
                cells[name][size] = f"{rate:.3f}{star}"
        yield f"| **{scenario}**, simulations | | {' | '.join(f'{count:,}' for count in counts)} |"
        errors = (f"{np.sqrt(0.05 * 0.95 / count):.3f}" if count else "-" for count in counts)
        yield f"| standard error of a rate of .05 | | {' | '.join(errors)} |"
        for name, row in cells.items():
            bounds = wanted(name)
            span = "" if bounds is None else f"{bounds[0]:g} to {bounds[1]:g}"
            yield f"| {name} | {span} | {' | '.join(row.get(size, '-') for size in sizes)} |"


def _head(size: Size) -> str:
    people, *stimuli = size
    what = f"{stimuli[0]} stimuli" if len(stimuli) == 1 else f"{stimuli[0]} identities x {stimuli[1]} levels"
    return f"{people} participants, {what}"


def _sizes_of(scenario: str, chosen: list[int]) -> list[Size]:
    """Return the sizes chosen of a scenario; designs of identities and levels have two of their own."""
    grid = GROUPED_GRID if scenario in GROUPED_SCENARIOS else GRID
    return [grid[index] for index in chosen if index < len(grid)]


def main() -> None:
    """Run what is missing and print the table."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--simulations", type=int, default=1000, help=f"of each scenario and size, in {BLOCK}s")
    options.add_argument("--sizes", type=int, nargs="*", default=list(range(len(GRID))), choices=range(len(GRID)))
    options.add_argument("--scenarios", nargs="*", default=list(EVERY_SCENARIO), choices=list(EVERY_SCENARIO))
    options.add_argument("--workers", type=int, default=processors())
    options.add_argument("--kept", type=Path, default=Path("results/calibration.jsonl"))
    options.add_argument("--print-only", action="store_true", help="print what is there, and run nothing")
    asked = options.parse_args()
    # by block first, so that an interruption leaves every cell with some
    firsts = range(0, asked.simulations, BLOCK)
    jobs = [
        (scenario, size, first)
        for first in firsts
        for scenario in asked.scenarios
        for size in _sizes_of(scenario, asked.sizes)
        if first < simulations_of(scenario, size, asked.simulations)
    ]
    there = read_blocks(asked.kept)
    missing = [job for job in jobs if job not in there]
    if missing and not asked.print_only:
        run_missing(missing, asked.kept, asked.workers)
    blocks = {job: block for job, block in read_blocks(asked.kept).items() if job in set(jobs)}
    codes = sorted({block["code"] for block in blocks.values()})
    print(
        f"corr where nothing else is said, {DRAWS} draws, {SHUFFLES} shuffles, alpha .05; 2 networks of 10 layers; "
        f"code {', '.join(codes)}"
    )
    print(f"{SHUFFLES} shuffles allow no p value below {1 / (SHUFFLES + 1):g}, too high for FDR over 20 layers.")
    if codes != [code_hash()]:
        print(f"The code is now {code_hash()}: remove {asked.kept} to measure it anew.")
    for grouped in (False, True):
        scenarios = [name for name in asked.scenarios if (name in GROUPED_SCENARIOS) == grouped]
        if scenarios:
            print("\n".join(["", *table(blocks, scenarios, _sizes_of(scenarios[0], asked.sizes))]))


if __name__ == "__main__":
    main()
