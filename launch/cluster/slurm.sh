#!/usr/bin/env bash
# Several nodes of GPUs under SLURM, from the root of a clone that all nodes see:
#
#   sbatch --nodes=4 launch/cluster/slurm.sh --config=configs/imagenet.py:l14/gpu --workdir=/shared/runs/imagenet
#   launch/cluster/slurm.sh --dry_run --config=... --workdir=...    # what every process would do; starts nothing
#
# Everything after the script goes to launch.train; all nodes have to share the disk of --workdir. Settings:
#   PER=gpu    one process a GPU, as JAX expects under SLURM; PER=node: one a node, which decodes for all its GPUs
#   PYTHON     the interpreter of the environment, seen by all nodes (default: python)
#
#SBATCH --job-name=ecor
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# SLURM itself starts a preempted job again; two minutes before its time is up it sends the SIGTERM that saves.
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail
dry_run=
if [ "${1:-}" = --dry_run ]; then
  dry_run=1
  shift
fi

# Outside of a job, what the lines above ask for.
asked() { sed -n "s/^#SBATCH --$1=//p" "$0"; }
nodes=${SLURM_JOB_NUM_NODES:-$(asked nodes)}
gpus=${SLURM_GPUS_ON_NODE:-$(asked gpus-per-node)}
per_node=$gpus
if [ "${PER:-gpu}" = node ]; then
  per_node=1
  # Without it, JAX gives a process the one GPU of its number on the node.
  JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((gpus - 1)))
  export JAX_LOCAL_DEVICE_IDS
fi
command=("${PYTHON:-python}" -m launch.train "$@" --distributed)

if [ -n "$dry_run" ]; then
  for ((process = 0; process < nodes * per_node; process++)); do
    devices=${JAX_LOCAL_DEVICE_IDS:-$((process % per_node))}
    echo "process $process of $((nodes * per_node)), node $((process / per_node)), GPU $devices:$(printf ' %q' "${command[@]}")"
  done
  exit
fi

# JAX itself takes the wrong host out of lists such as rack[1-2]node[1-4].
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
export JAX_COORDINATOR_ADDRESS="$first:$((61440 + SLURM_JOB_ID % 4096))"
status=0
srun --nodes="$nodes" --ntasks-per-node="$per_node" --cpus-per-task=$((SLURM_CPUS_ON_NODE / per_node)) \
  --kill-on-bad-exit=1 "${command[@]}" || status=$?
# 143: SIGTERM was heard and everything is saved; the same command goes on from there.
if [ "$status" = 143 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
