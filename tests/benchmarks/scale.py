"""Print every figure of size and speed: kills survived, extraction, RDMs out of core, streaming, one after another.

Run as ``OMP_NUM_THREADS=2 python tests/benchmarks/scale.py`` on a machine that does nothing else: half an hour.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = (
    ("kill_store.py", "50"),
    ("rdm_speed.py",),
    ("throughput.py", "128"),
    ("stream_memory.py", "vgg16", "500"),
)


def main() -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    for script, *words in COMMANDS:
        print(f"== {script} {' '.join(words)}", flush=True)
        subprocess.run([sys.executable, HERE / script, *words], env=environment, check=True)


if __name__ == "__main__":
    main()
