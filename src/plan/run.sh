#!/bin/sh
# Runs the steps of several policies as one hook, since Velero runs one a phase.
#   sh -c THIS quiescent PHASE OVERALL STEP...
# STEP is NAME LIMIT ON_ERROR ATTEMPTS DELAY UNDO_LIMIT ARGC UNDOC ARG... UNDO_ARG...
# A failing step stops a pre hook, and what earlier steps did is undone: Velero runs no post hook then.
# In every other phase the steps after it still run.
phase=$1 overall=$2
shift 2
within() {
  limit=$1
  shift
  [ "$limit" -ge 1 ] || limit=1
  if timeout 1 true 2>/dev/null; then timeout "$limit" "$@"; else "$@"; fi
}
steps() (
  [ $# -gt 0 ] || exit 0
  name=$1 limit=$2 on_error=$3 attempts=$4 delay=$5 undo_limit=$6 argc=$7 undoc=$8
  shift 8
  run='' undo='' i=0
  while [ "$i" -lt $((argc + undoc)) ]; do
    i=$((i + 1))
    if [ "$i" -le "$argc" ]; then run="$run \"\${$i}\""; else undo="$undo \"\${$i}\""; fi
  done
  end=$(($(date +%s) + limit)) attempt=1 status=0
  until eval "within $((end - $(date +%s))) $run </dev/null"; do
    status=$?
    if [ "$attempt" -ge "$attempts" ] || [ $(($(date +%s) + delay)) -ge "$end" ]; then break; fi
    echo "quiescent: $name: attempt $attempt of $attempts ended with $status, the next one in $delay s" >&2
    sleep "$delay"
    attempt=$((attempt + 1)) status=0
  done
  counts=$status
  if [ "$status" -ne 0 ]; then
    echo "quiescent: step $name failed with exit code $status" >&2
    [ "$on_error" = Fail ] || [ "$overall" = Continue ] || counts=0
    if [ "$phase" = pre ] && [ "$on_error" = Fail ]; then exit "$status"; fi
  fi
  (shift $((argc + undoc)) && steps "$@")
  rest=$?
  if [ "$phase" = pre ] && [ "$overall" = Fail ] && [ "$rest" -ne 0 ] && [ -n "$undo" ]; then
    echo "quiescent: undoing step $name" >&2
    eval "within $undo_limit $undo </dev/null" || echo "quiescent: undoing step $name failed with exit code $?" >&2
  fi
  [ "$counts" -ne 0 ] || counts=$rest
  exit "$counts"
)
steps "$@"
