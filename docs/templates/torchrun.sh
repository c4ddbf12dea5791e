#!/usr/bin/env bash
# One run on several machines, or on one, with PyTorch's torchrun. Start it on every node, with the same words:
#   NODES=2 HEAD=node-a bash docs/templates/torchrun.sh experiment=sample_weather run.name=large
# Every node needs the same code and data, and paths.runs on a file system they share; paths.stores may be local, filled alike (docs/scaling.md).
# When a process or a node dies, torchrun starts all of them again: the run goes on from its last checkpoint.
# A node that was lost comes back by starting this again on it. Leave run.restart=true out.
set -euo pipefail

NODES="${NODES:-1}"           # how many machines; 2:4 goes on with what is left of 4, at least 2
PER_NODE="${PER_NODE:-gpu}"   # processes on each: gpu (one a GPU), or a number
HEAD="${HEAD:-127.0.0.1}"     # the host name of the machine where all meet; it has to stay
PORT="${PORT:-29400}"
NAME="${NAME:-skyreel}"       # the same on all nodes; another one for another run at the same time
RESTARTS="${RESTARTS:-10}"

# Else a node that comes back waits for an address that nobody tells it (pytorch/pytorch#135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

exec torchrun \
  --nnodes="$NODES" --nproc-per-node="$PER_NODE" --max-restarts="$RESTARTS" \
  --rdzv-backend=c10d --rdzv-endpoint="$HEAD:$PORT" --rdzv-id="$NAME" \
  -m pipelines train trainer=multinode "$@"
