#!/bin/sh
# Waits until the platform says that it will take this machine away; then lets the tasks of its Celery worker go on
# elsewhere. Usage: evict.sh aws|gcp|azure PID, with the number of the worker's main process.
set -u
metadata=${METADATA:-http://169.254.169.254}

get() { curl -sf -m 5 "$@"; }

is_taken() {
  case $1 in
  aws)
    token=$(get -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") &&
      get -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/spot/instance-action" >/dev/null
    ;;
  gcp)
    [ "$(get -H 'Metadata-Flavor: Google' "$metadata/computeMetadata/v1/instance/preempted")" = TRUE ]
    ;;
  azure)
    get -H Metadata:true "$metadata/metadata/scheduledevents?api-version=2020-07-01" |
      grep -q '"EventType": *"Preempt"'
    ;;
  *)
    echo "evict.sh: $1: not one of aws, gcp, azure" >&2
    exit 2
    ;;
  esac
}

[ $# = 2 ] || { echo "usage: evict.sh aws|gcp|azure PID" >&2; exit 2; }
until is_taken "$1"; do
  [ -d "/proc/$2" ] || exit 0
  sleep "${EVERY_S:-5}"
done
# The worker takes no more tasks; each of its processes passes the signal on to its task.
processes=$(cat "/proc/$2/task/$2/children")
# shellcheck disable=SC2086
kill -TERM "$2" $processes
