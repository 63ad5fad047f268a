#!/usr/bin/env bash
# Builds the page "Videos" of Airflow's UI into plugins/vod_operators/page/static, by npm.
#
#   build_page.sh            before every make target: does nothing if the page is up to date, and never fails:
#                            without npm, or without a network, Airflow works but has no such page
#   build_page.sh --check    checks format and types too, and fails if anything does
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../plugins/vod_operators/page/ui"

mode=${1:-}
say() { printf 'page: %s\n' "$*" >&2; }
give_up() {
    say "$*"
    [ "$mode" = --check ] && exit 1
    exit 0
}

built=node_modules/.built installed=node_modules/.installed
wanted=$(find . -name 'node_modules*' -prune -o -type f -print | LC_ALL=C sort | xargs -d '\n' cksum | cksum)
up_to_date() { [ -f ../static/videos.js ] && [ "$(cat $built 2>/dev/null)" = "$wanted" ]; }
[ "$mode" = --check ] || ! up_to_date || exit 0

command -v npm >/dev/null ||
    give_up "npm is not installed, so the page Videos of Airflow's UI is not built; all else works without it"

# `make demo` and `make test` may start at the same moment. One builds; the other waits and finds it done.
mkdir -p node_modules
if command -v flock >/dev/null; then
    exec 9>node_modules.lock
    flock 9
    [ "$mode" = --check ] || ! up_to_date || exit 0
fi

# What the checks need (the types of React and Chakra, 140 MB) is left out where nothing is checked.
lock=$(cksum <package-lock.json)
kind=--omit=dev
[ "$mode" != --check ] || kind=--include=dev
case "$(cat $installed 2>/dev/null)" in
    "$lock --include=dev" | "$lock $kind") ;;
    *)
        say "installing its build tools"
        log=$(npm ci $kind --ignore-scripts --no-audit --no-fund 2>&1) || {
            printf '%s\n' "$log" | tail -n 5 >&2
            give_up "npm could not install its build tools, so the page Videos of Airflow's UI is not built"
        }
        printf '%s\n' "$lock $kind" >$installed
        ;;
esac
[ "$mode" != --check ] || npm run --silent check
npm run --silent build || give_up "it could not be built; Airflow works without it"
printf '%s\n' "$wanted" >$built
