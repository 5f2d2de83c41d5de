#!/usr/bin/env bash
# Uses some minutes on a machine with a GPU: tests, the benchmark of the card, two short trainings. docs/gpu.md says how to
# prepare the machine, and what takes how long. A second call with the same output does what is not done yet.
# Usage: bash scripts/gpu.sh [--minutes N] [--output FOLDER] [--data RECORDS ... --validation RECORDS ...] [--rehearse]
# PYTHON: the interpreter, which has torch and everything else (default: python3). Nothing is installed here.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" tools/benchmark.py session "$@"
