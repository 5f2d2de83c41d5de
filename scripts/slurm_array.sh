#!/usr/bin/env bash
# Reads or packs a large collection with an array of jobs on a Slurm cluster, each of which does one share of it.
#
#   sbatch --array=1-SHARES [sbatch options] scripts/slurm_array.sh SHARES VERB [arguments of `scenetext VERB`]
#
#   sbatch --array=1-64 --cpus-per-task=8 --time=12:00:00 \
#       scripts/slurm_array.sh 64 acquire images --output data/acquired/records.jsonl --workers 8
#   scenetext prepare merge data/acquired/records.jsonl
#   sbatch --array=1-64 --cpus-per-task=8 --time=04:00:00 \
#       scripts/slurm_array.sh 64 prepare pack data/acquired/records.jsonl --output data/packed --workers 8
#   scenetext prepare merge data/packed/acquired_records/records.jsonl
#
# Submit from the repository's root, which all nodes must see under the same path, with the environment active. Which
# images a share has is decided by a hash, so any of the jobs can be submitted again, alone (--array=5,17); the merge
# names those that are missing, and refuses.
#
# - Two minutes before the time limit the command is ended. An acquisition, whose journal has all it read, goes back into
#   the queue and on from there. Packing starts a share from the beginning: take more shares if one does not fit.
#
#SBATCH --job-name=scenetext-shares
#SBATCH --ntasks=1
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A_%a.log

set -euo pipefail

say() { printf '%s slurm_array.sh on %s: %s\n' "$(date +%FT%T)" "$(hostname -s)" "$*" >&2; }

if [ $# -lt 2 ]; then
    say "usage: sbatch --array=1-SHARES [sbatch options] scripts/slurm_array.sh SHARES VERB [arguments of scenetext VERB]"
    exit 2
fi
shares=$1
verb=$2
shift
cd "$SLURM_SUBMIT_DIR"
python -m scenetext "$@" --share "$SLURM_ARRAY_TASK_ID/$shares" &
work=$!
warned=""
trap 'warned=1; say "time is nearly over"; kill -TERM "$work" 2>/dev/null || true' USR1
while :; do # a trapped signal interrupts the wait
    interrupted=$warned
    code=0
    wait "$work" || code=$?
    [ "$interrupted" = "$warned" ] && break
done
if [ -n "$warned" ] && [ "$code" -ne 0 ]; then
    if [ "$verb" = acquire ]; then
        say "what was read is in the journal; back into the queue"
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
        exit 0
    fi
    say "this share takes longer than the time limit; use more shares"
fi
exit "$code"
