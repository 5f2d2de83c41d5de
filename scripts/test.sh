#!/usr/bin/env bash
# Lints, type-checks and tests the project in its own virtual environment, made on the first call.
# Usage: bash scripts/test.sh [pytest arguments]        e.g. bash scripts/test.sh -m "not slow" tests/data

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
ensure_environment test

say "ruff"
ruff check .
ruff format --check .
say "mypy"
mypy
say "pytest"
python -m pytest -n auto "$@"
