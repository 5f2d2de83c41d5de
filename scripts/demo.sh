#!/usr/bin/env bash
# The whole workflow on generated scenes, in about ten minutes on two cores without a GPU: generate, pre-train, transfer,
# train a detector and a reader, evaluate, detect and read, draw attention. Everything is written to one folder, with a report.
# Usage: bash scripts/demo.sh [--output FOLDER] [other arguments of scenetext demo]

source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
ensure_environment ""

say "the workflow"
python -m scenetext demo "$@"
