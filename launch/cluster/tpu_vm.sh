#!/usr/bin/env bash
# One slice of Cloud TPU VMs, by a queued resource. Runs where gcloud does, for as long as the training (in tmux):
#
#   NAME=ecor ZONE=us-west4-a TYPE=v5litepod-256 launch/cluster/tpu_vm.sh \
#     --config=configs/imagenet.py:l14/pod --workdir=/shared/runs/imagenet
#   TYPE=v5litepod-256 launch/cluster/tpu_vm.sh --dry_run --config=...    # what every process would do; starts nothing
#
# Everything after the script goes to launch.train, on every host of the slice. Settings, from the environment:
#   NAME, ZONE, TYPE   of the queued resource and its one node; TYPE as `gcloud compute tpus accelerator-types` has it
#   RUNTIME            the machines' software (default: v2-alpha-tpuv5-lite)
#   CAPACITY           --spot (default), --reserved, or empty for on demand
#   SETUP              what each host does first, on a bare machine too; ends in the root of a clone, environment active
# --workdir must be on a disk that all hosts share, and that outlives them.
set -euo pipefail

dry_run=
if [ "${1:-}" = --dry_run ]; then
  dry_run=1
  shift
fi
TYPE=${TYPE:-v5litepod-256} SETUP=${SETUP:-cd ecor_jax && . .venv/bin/activate}
command=$(printf '%q ' python -m launch.train "$@" --distributed)

if [ -n "$dry_run" ]; then
  # v5e and v6e are named by chips, the others by cores; slices of several hosts have four chips a host.
  case $TYPE in v5lite* | v6e*) chips=${TYPE##*-} ;; *) chips=$((${TYPE##*-} / 2)) ;; esac
  hosts=$(((chips + 3) / 4))
  for ((process = 0; process < hosts; process++)); do
    echo "process $process of $hosts, its host's share of $chips chips: $SETUP && $command"
  done
  exit
fi

: "${NAME:?the name of the queued resource}" "${ZONE:?the zone}"
read -ra capacity <<< "${CAPACITY---spot}"
tpus() { gcloud compute tpus "$@" --zone="$ZONE"; }
failures=0 status=1
until [ "$failures" = 3 ]; do
  state=$(tpus queued-resources describe "$NAME" --format='value(state.state)' 2> /dev/null || true)
  case $state in
    ACTIVE)
      status=0
      tpus tpu-vm ssh "$NAME" --worker=all --command="$SETUP && $command" || status=$?
      if [ "$status" = 0 ]; then exit; fi
      # 143: SIGTERM was heard and everything is saved; 255: ssh's own, the host is gone. The same command goes on.
      case $status in 143 | 255) ;; *) failures=$((failures + 1)) ;; esac
      ;;
    '')
      tpus queued-resources create "$NAME" --node-id="$NAME" --accelerator-type="$TYPE" \
        --runtime-version="${RUNTIME:-v2-alpha-tpuv5-lite}" "${capacity[@]}" || failures=$((failures + 1))
      ;;
    SUSPENDED | FAILED) # preempted: such a resource never comes back, another one is queued in its place
      tpus queued-resources delete "$NAME" --force --quiet
      failures=0
      ;;
  esac
  sleep "${POLL:-30}"
done
exit "$status"
