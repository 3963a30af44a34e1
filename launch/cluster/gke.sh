#!/usr/bin/env bash
# Starts gke_jobset.yaml on a GKE cluster with the JobSet controller; runs where kubectl does:
#
#   IMAGE=REGISTRY/ecor_jax BUCKET=my-records CLAIM=my-filestore TOPOLOGY=16x16 launch/cluster/gke.sh \
#     --config=configs/imagenet.py:l14/pod --workdir=/shared/runs/imagenet
#   launch/cluster/gke.sh --dry_run --config=... --workdir=...    # the YAML, and what every process would do
#
# Everything after the script goes to launch.train in every pod. Settings, from the environment:
#   IMAGE                  a container image whose working directory is a clone, installed with its extra `tpu`
#   BUCKET, CLAIM          the bucket with the data, at /data; the volume claim that all pods write to, at /shared
#   ACCELERATOR, TOPOLOGY  of a slice, as GKE names them (default: tpu-v5-lite-podslice, 4x4); SLICES (default: 1)
#   NAME, SERVICE_ACCOUNT  of the JobSet (default: ecor); that may read the bucket (default: default)
# Preempted, the JobSet starts again by itself and goes on: `kubectl get jobset`, `kubectl logs -f job/ecor-slice-0`.
set -euo pipefail

dry_run=
if [ "${1:-}" = --dry_run ]; then
  dry_run=1
  shift
fi
TOPOLOGY=${TOPOLOGY:-4x4} SLICES=${SLICES:-1} NAME=${NAME:-ecor}
if [ -z "$dry_run" ]; then : "${IMAGE:?a container image}" "${BUCKET:?a bucket}" "${CLAIM:?a volume claim}"; fi
HOSTS=$((${TOPOLOGY//x/*} / 4)) # four chips a host

# The command as YAML takes it: a list of quoted texts.
COMMAND=
for word in python -m launch.train "$@" --distributed; do
  word=${word//\\/\\\\}
  COMMAND+="${COMMAND:+, }\"${word//\"/\\\"}\""
done
COMMAND="[$COMMAND]"
IMAGE=${IMAGE:-IMAGE} BUCKET=${BUCKET:-BUCKET} CLAIM=${CLAIM:-CLAIM}
ACCELERATOR=${ACCELERATOR:-tpu-v5-lite-podslice} SERVICE_ACCOUNT=${SERVICE_ACCOUNT:-default}

yaml=$(< "$(dirname "$0")/gke_jobset.yaml")
for name in NAME SLICES HOSTS SERVICE_ACCOUNT ACCELERATOR TOPOLOGY IMAGE BUCKET CLAIM COMMAND; do
  yaml=${yaml//@$name@/"${!name}"}
done

if [ -n "$dry_run" ]; then
  echo "$yaml"
  for ((process = 0; process < SLICES * HOSTS; process++)); do
    pod="$NAME-slice-$((process / HOSTS))-$((process % HOSTS))"
    echo "# process $process of $((SLICES * HOSTS)), pod $pod, its host's 4 of $((HOSTS * 4)) chips: $COMMAND"
  done
  exit
fi
kubectl apply -f - <<< "$yaml"
