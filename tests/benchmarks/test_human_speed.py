"""What it costs to turn a million triplets and ten million other trials into RDMs, beside pandas.read_csv alone.

Run by name: ``pytest -s -m "" tests/benchmarks/test_human_speed.py``. Each reading has a process of its own, so that
its memory is its own; pandas.read_csv of the same file, which makes no RDMs, comes before and after. Imports are done
before the clock starts.
"""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

OURS = """
import resource, sys, time
from rsa_face.human.read import read_human
start = time.perf_counter()
human = read_human(sys.argv[1], kind=sys.argv[2])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(time.perf_counter() - start, memory, int(human.n_trials.sum()))
"""
PEER = """
import resource, sys, time
import pandas as pd
start = time.perf_counter()
rows = len(pd.read_csv(sys.argv[1]))
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, rows)
"""


def measured(program, *words):
    """Return the seconds and the gigabytes at most that a program takes in a process of its own, and its rows."""
    said = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=True
    )
    seconds, memory, rows = said.stdout.split()
    return float(seconds), float(memory), int(rows)


def compared(path, kind, title):
    """Print a row of the table, and return our seconds, gigabytes and rows."""
    before, ours, after = measured(PEER, path), measured(OURS, path, kind), measured(PEER, path)
    theirs = (before[0] + after[0]) / 2
    print("\n| file | rsa_face, s | GB | pandas.read_csv, s | GB | times as long |\n|---|---|---|---|---|---|")
    print(f"| {title} | {ours[0]:.1f} | {ours[1]:.2f} | {theirs:.1f} | {after[1]:.2f} | {ours[0] / theirs:.1f} |")
    return ours


@pytest.mark.slow
def test_a_million_triplets_of_200_stimuli_and_1000_participants(tmp_path):
    rng, count = np.random.default_rng(0), 1_000_000
    three = rng.integers(0, 200, (count, 1)) + np.array([0, 1, 0])
    three[:, 1] = three[:, 0] + rng.integers(1, 100, count)
    three[:, 2] = three[:, 0] + rng.integers(100, 200, count)
    ids, people = (np.array([f"{name}_{k:04d}" for k in range(n)]) for name, n in (("face", 200), ("worker", 1000)))
    odd = three[np.arange(count), rng.integers(0, 3, count)] % 200
    table = {f"stimulus_{k + 1}": ids[three[:, k] % 200] for k in range(3)}
    path = tmp_path / "triplets.csv"
    who = people[rng.integers(0, 1000, count)]
    pd.DataFrame({"participant": who, **table, "odd": ids[odd]}).to_csv(path, index=False)
    seconds, memory, rows = compared(path, "triplet", "1,000,000 triplets")
    assert rows == count
    assert seconds < 10
    assert memory < 2


@pytest.mark.slow
def test_ten_million_choices_within_two_gigabytes(tmp_path):
    rng, part = np.random.default_rng(0), 500_000
    ids, people = (np.array([f"{name}_{k:04d}" for k in range(n)]) for name, n in (("face", 126), ("worker", 2000)))
    path = tmp_path / "choices.csv"
    path.write_text("participant,stimulus,level,occlusion,response\n")
    for _ in range(20):
        shown = rng.integers(0, 126, part)
        level = (shown % 21) / 10 - 1
        said = np.where(rng.random(part) < 1 / (1 + np.exp(-4 * level)), "happy", "sad")
        rows = {
            "p": people[rng.integers(0, 2000, part)],
            "s": ids[shown],
            "l": level.round(1),
            "o": "none",
            "r": said,
        }
        pd.DataFrame(rows).to_csv(path, mode="a", index=False, header=False)
    _, memory, rows = compared(path, "choice", "10,000,000 choices")
    assert rows == 20 * part
    assert memory < 2


SECONDS = """
import resource, sys, time
from rsa_face.human.read import read_human
start = time.process_time()
human = read_human(sys.argv[1], kind=sys.argv[2])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(time.process_time() - start, memory, int(human.n_trials.sum()))
"""
COLUMNS = {
    "anchored": ("participant", "anchor", "stimulus_a", "stimulus_b", "nearer"),
    "ranking": ("participant", "target", *(f"choice_{place}" for place in range(1, 9))),
    "pairs": ("participant", "stimulus_a", "stimulus_b", "rating"),
}


def write_trials(path, kind, rows):
    """Write trials of 200 stimuli and 1,000 participants, names of equal length, quickly."""
    rng = np.random.default_rng(0)
    ids, people = (
        np.array([f"{letter}{k:04d}".encode() for k in range(n)]) for letter, n in (("f", 200), ("w", 1000))
    )
    with path.open("wb") as file:
        file.write(",".join(COLUMNS[kind]).encode() + b"\n")
        for start in range(0, rows, 500_000):
            count = min(500_000, rows - start)
            cells = [people[rng.integers(0, 1000, count)]]
            if kind == "pairs":
                pair = rng.integers(0, 100, count)
                cells += [
                    ids[2 * pair],
                    ids[2 * pair + 1],
                    np.array([b"1", b"2", b"3", b"4"])[rng.integers(0, 4, count)],
                ]
            else:
                shown = len(COLUMNS[kind]) - (2 if kind == "anchored" else 1)
                steps = np.sort(rng.permuted(np.tile(np.arange(200), (1000, 1)), axis=1)[:, :shown], axis=1)
                places = (rng.integers(0, 200, count)[:, None] + steps[rng.integers(0, 1000, count)]) % 200
                cells += [ids[column] for column in places.T]
                if kind == "anchored":
                    cells.append(np.where(rng.random(count) < 0.5, cells[2], cells[3]))
            parts = [
                part for cell in cells for part in (cell.view(np.uint8).reshape(count, -1), np.full((count, 1), 44))
            ]
            parts[-1] = np.full((count, 1), 10)
            file.write(np.concatenate(parts, axis=1).astype(np.uint8).tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(COLUMNS))
def test_ten_million_trials_of_a_kind_within_two_minutes_and_gigabytes(tmp_path, kind):
    for rows in (1_000_000, 10_000_000):
        path = tmp_path / f"{rows}.csv"
        write_trials(path, kind, rows)
        seconds, memory, trials = measured(SECONDS, path, kind)
        print(f"\n| {rows:,} {kind} | {seconds:.1f} processor seconds | {memory:.2f} GB |")
        assert trials == rows
    assert seconds < 120
    assert memory < 2
