# Sourced by the scripts beside it: changes to the repository's root and makes its virtual environment if needed.
# SCENETEXT_VENV: the environment's folder (default: .venv in the repository). PYTHON: the interpreter to make it with.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${SCENETEXT_VENV:-$PWD/.venv}

say() { printf '\n== %s\n' "$*"; }

# ensure_environment EXTRA: installs the project with an extra ("" for none), unless that was already done for this pyproject.toml.
ensure_environment() {
    local extra=$1 stamp
    stamp=$VENV/.scenetext-installed${extra:+-$extra}
    if [ ! -x "$VENV/bin/python" ]; then
        say "making the virtual environment $VENV"
        "${PYTHON:-python3}" -m venv "$VENV"
    fi
    if [ -f "$stamp" ] && cmp -s pyproject.toml "$stamp" && "$VENV/bin/python" -c "import scenetext" 2>/dev/null; then
        say "using the virtual environment $VENV"
    else
        say "installing scenetext${extra:+ with the extra $extra} (torch is several GB; this is the long part)"
        "$VENV/bin/python" -m pip install --disable-pip-version-check --progress-bar off -q -e ".${extra:+[$extra]}"
        cp pyproject.toml "$stamp"
    fi
    export PATH="$VENV/bin:$PATH"
}
