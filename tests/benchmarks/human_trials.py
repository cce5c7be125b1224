"""What ten million trials of each kind cost to read, in processor seconds and gigabytes.

``python tests/benchmarks/human_trials.py --trials 1000000 choice rating`` makes files of so many trials (60 stimuli,
1,000 participants), reads each in a process of its own, and scales what it cost beyond the imports to ten million:
seconds and memory grow with the number of trials, as ``--trials 10000000`` shows on a machine that is free.
``choices`` is `read_choices`, for psychometric curves. Memory shows from three million trials on: a million takes
less than the imports took at most.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

STIMULI, PEOPLE, PART, MOST = 60, 1000, 500_000, 10_000_000
READ = """
import resource, sys, time
from rsa_face.human.read import read_human
from rsa_face.human.choices import read_choices
memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
before, start = memory(), time.process_time()
kind = sys.argv[2]
read = read_choices(sys.argv[1]) if kind == "choices" else read_human(sys.argv[1], kind=kind)
print(time.process_time() - start, before, memory())
"""


def _shifted(rng, count, among):
    """Return stimuli of which none of a trial is the same as another, dims (trial, place)."""
    first = rng.integers(0, STIMULI, count)
    steps = np.cumsum(rng.integers(1, STIMULI // among, (count, among - 1)), axis=1)
    return np.column_stack([first, (first[:, None] + steps) % STIMULI])


def columns_of(kind, rng, count):
    """Return the columns of some trials of a kind."""
    ids, people = (np.array([f"{name}_{k:04d}" for k in range(n)]) for name, n in (("face", STIMULI), ("p", PEOPLE)))
    table = {"participant": people[rng.integers(0, PEOPLE, count)]}
    two, three = (ids[_shifted(rng, count, among)] for among in (2, 3))
    level = rng.integers(0, 21, count) / 10 - 1
    word = np.where(rng.random(count) < 1 / (1 + np.exp(-4 * level)), "happy", "sad")
    pair = {"stimulus_a": two[:, 0], "stimulus_b": two[:, 1]}
    return table | {
        "choice": {"stimulus": two[:, 0], "response": word},
        "choices": {"stimulus": two[:, 0], "level": level.round(1), "response": word},
        "confusion": {"stimulus": two[:, 0], "response": rng.choice(["happy", "sad", "angry", "calm"], count)},
        "rating": pair | {"rating": rng.integers(1, 8, count)},
        "samediff": pair | {"response": rng.choice(["same", "different"], count)},
        "triplet": {f"stimulus_{k + 1}": three[:, k] for k in range(3)} | {"odd": three[:, 0]},
        "anchored": dict(zip(("anchor", "stimulus_a", "stimulus_b", "nearer"), three.T[[0, 1, 2, 1]], strict=True)),
        "ranking": {"target": three[:, 0], "choice_1": three[:, 1], "choice_2": three[:, 2]},
    }[kind]  # fmt: skip


KINDS = ("choice", "choices", "confusion", "rating", "samediff", "triplet", "anchored", "ranking")


def cost_of(kind, trials, folder):
    """Return the processor seconds, and the gigabytes before and at most, of reading trials of a kind."""
    rng, path = np.random.default_rng(0), Path(folder, f"{kind}.csv")
    for start in range(0, trials, PART):
        part = pd.DataFrame(columns_of(kind, rng, min(PART, trials - start)))
        part.to_csv(path, mode="a", header=start == 0, index=False)
    words = [sys.executable, "-c", READ, str(path), kind]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    path.unlink()
    return tuple(map(float, said.stdout.split()))


def main():
    """Print a row of the table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=KINDS)
    parser.add_argument("--trials", type=int, default=1_000_000)
    given = parser.parse_args()
    print(f"| kind | {given.trials:,} trials: s | GB | ten million: s | GB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.kinds:
            seconds, before, most = cost_of(kind, given.trials, folder)
            scale = MOST / given.trials
            scaled = before + scale * (most - before)
            print(f"| {kind} | {seconds:.1f} | {most:.2f} | {scale * seconds:.0f} | {scaled:.2f} |", flush=True)


if __name__ == "__main__":
    main()
