#!/usr/bin/env bash
# Trains on one or several nodes of a Slurm cluster, and continues by itself after its time limit.
#
#   sbatch [sbatch options] scripts/slurm.sh FOLDER VERB WORD [other arguments of `scenetext VERB`]
#
#   sbatch --nodes=2 --gpus-per-node=8 --cpus-per-task=64 --time=24:00:00 \
#       scripts/slurm.sh outputs/rn50 pretrain oclip rn50 synthtext
#   sbatch --nodes=1 --gpus-per-node=4 --cpus-per-task=32 --time=08:00:00 \
#       scripts/slurm.sh outputs/dbnet train dbnet icdar2015 oclip
#
# Submit from the repository's root, which all nodes must see under the same path, with the environment active (sbatch
# hands it on). Partition, account, time and sizes are options of sbatch; CPU cores feed the loader (docs/scale.md).
#
# - torchrun starts one process per GPU on every node; the rendezvous is at the first node of the job.
# - Two minutes before the time limit Slurm warns this script, it passes that on, the run saves its state and exits
#   with code 75, and the job is put back into the queue. It continues with --resume if FOLDER has checkpoints.
# - If a process dies, the others end too, and all start again from the newest checkpoint, at most
#   SCENETEXT_RESTARTS times (3) per job. A run that still fails is not put back.
# - SCENETEXT_PROCESSES: processes per node, if not one per GPU. SCENETEXT_PORT: port of the rendezvous.
#
#SBATCH --job-name=scenetext
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log

set -euo pipefail

INTERRUPTED=75 # exit code of a run that has saved its state (training/interruption.py)

say() { printf '%s slurm.sh on %s: %s\n' "$(date +%FT%T)" "$(hostname -s)" "$*" >&2; }

# await PID: its exit code, even if a trapped signal, which sets `signalled`, interrupts the wait.
await() {
    local code
    while :; do
        signalled=""
        code=0
        wait "$1" || code=$?
        [ -n "$signalled" ] || return "$code"
    done
}

# Once per job, on its first node.
run_job() {
    if [ $# -lt 3 ]; then
        say "usage: sbatch [sbatch options] scripts/slurm.sh FOLDER VERB WORD [other arguments of scenetext VERB]"
        exit 2
    fi
    export SCENETEXT_MARK="$1/interrupted-$SLURM_JOB_ID" SCENETEXT_HEAD
    SCENETEXT_HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    rm -f "$SCENETEXT_MARK"
    local step warned="" code=0
    SCENETEXT_ROLE=node srun --ntasks-per-node=1 --kill-on-bad-exit=1 bash "$SCENETEXT_SCRIPT" "$@" &
    step=$!
    trap 'signalled=1; warned=1; say "time is nearly over"; kill -USR1 "$step"' USR1
    await "$step" || code=$?
    if [ -n "$warned" ] && [ -e "$SCENETEXT_MARK" ] && [ "$code" -eq 0 ]; then
        rm -f "$SCENETEXT_MARK"
        say "state is saved; back into the queue"
        scontrol requeue "$SLURM_JOB_ID"
    fi
    exit "$code"
}

# Once per node. The launcher must not die of the warning, so it ignores USR1; its processes get TERM instead.
run_node() {
    local launcher code=0
    (
        trap '' USR1
        SCENETEXT_ROLE=process exec torchrun --nnodes="$SLURM_NNODES" --nproc-per-node="${SCENETEXT_PROCESSES:-gpu}" \
            --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" \
            --rdzv-endpoint="$SCENETEXT_HEAD:${SCENETEXT_PORT:-$((20000 + SLURM_JOB_ID % 20000))}" \
            --max-restarts="${SCENETEXT_RESTARTS:-3}" --no-python bash "$SCENETEXT_SCRIPT" "$@"
    ) &
    launcher=$!
    trap 'signalled=1; pkill -TERM -P "$launcher" || true' USR1
    await "$launcher" || code=$?
    exit "$code"
}

# Once per GPU. An interrupted run must not count as failed: the launcher would start it again.
run_process() {
    local folder=$1 training code=0
    local -a resume=()
    shift
    if compgen -G "$folder/checkpoints/step_*.pt" >/dev/null; then
        resume=(--resume)
    fi
    python -m scenetext "$@" --output "$folder" "${resume[@]}" &
    training=$!
    trap 'signalled=1; kill -TERM "$training"' TERM
    await "$training" || code=$?
    if [ "$code" -eq "$INTERRUPTED" ]; then
        : >"$SCENETEXT_MARK"
        code=0
    fi
    exit "$code"
}

# Slurm runs a copy of this file; the nodes read the one it was submitted as.
export SCENETEXT_SCRIPT=${SCENETEXT_SCRIPT:-$SLURM_SUBMIT_DIR/scripts/slurm.sh}
cd "$SLURM_SUBMIT_DIR"
"run_${SCENETEXT_ROLE:-job}" "$@"
