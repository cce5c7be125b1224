#!/usr/bin/env bash
# Everything that needs a CUDA device, in under 8 minutes: the tests marked gpu, then ratios and equality to the CPU.
# A machine without internet takes its wheels from WHEELS (zarr, rsatoolbox and what they need).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
if [ -n "${WHEELS:-}" ]; then "$python" -m pip install -q --no-index --find-links "$WHEELS" zarr rsatoolbox; fi
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
"$python" -c 'import torch; assert torch.cuda.is_available(), "torch finds no CUDA device"'
timeout 200 "$python" -m pytest -q -m gpu -o addopts= --import-mode=importlib tests/activations tests/inference
timeout 260 "$python" -m tests.gpu.check "$@"
