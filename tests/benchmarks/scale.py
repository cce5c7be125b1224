"""Print every figure of size and speed: kills survived, RDMs out of core, extraction, streaming, one after another.

Run as ``OMP_NUM_THREADS=2 python tests/benchmarks/scale.py`` on a machine that does nothing else: about a quarter of
an hour on two cores. ``scale.py whole`` takes four times the stimuli, for figures to report: half an hour. A part
that takes longer than its share is ended and said to be.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
# script, arguments, most seconds
PARTS = (
    ("rdm_speed.py", (), 90),
    ("throughput.py", ("256",), 900),
    ("kill_store.py", ("50",), 300),
    ("stream_memory.py", ("vgg16", "96"), 120),
)
WHOLE = (
    ("rdm_speed.py", (), 90),
    ("throughput.py", (), 1800),
    ("kill_store.py", ("50",), 300),
    ("stream_memory.py", (), 900),
)


def main(words: list[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    failed = []
    for script, arguments, most in WHOLE if "whole" in words else PARTS:
        print(f"== {script} {' '.join(arguments)}", flush=True)
        begun = time.perf_counter()
        try:
            subprocess.run([sys.executable, HERE / script, *arguments], env=environment, check=True, timeout=most)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            failed.append(script)
            print(f"not finished: {error}", flush=True)
        print(f"   ({time.perf_counter() - begun:.0f} s)", flush=True)
    print(f"not finished: {', '.join(failed)}" if failed else "all parts finished")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
