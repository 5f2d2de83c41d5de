#!/usr/bin/env bash
# Collects the wheels of scenetext and of everything it needs but torch, for a machine without network.
# Usage: bash scripts/wheelhouse.sh FOLDER [EXTRA ...] [options]; --help lists them. It needs no environment, only pip.
# PYTHON: the interpreter to run pip with.

set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/wheelhouse.py" "$@"
