#!/usr/bin/env bash
# Creates .venv with the versions of requirements.lock, verified by hash, and this package (editable).
#
# Runs before every make target, and does nothing if .venv is up to date. PYTHON names the
# interpreter to use; without it, the first Python 3.10 - 3.13 on PATH is used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'venv: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
version() { "$1" -c 'import platform; print(platform.python_version())'; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.10 - 3.13"
        printf '%s\n' "$PYTHON"
        return
    fi
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if suitable "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    die "no Python 3.10 - 3.13 on PATH; install one, or name it: make PYTHON=/path/to/python3.12"
}

# `make demo` and `make test` may start at the same moment. One builds; the other waits and finds it done.
if command -v flock >/dev/null; then
    exec 9>.venv.lock
    flock -n 9 || { say "another make is preparing .venv; waiting for it"; flock 9; }
fi

# Records the packages and the folder that .venv was completed for (a virtual environment cannot be moved).
stamp=.venv/.complete
wanted="$(cat requirements.lock pyproject.toml | cksum)"

usable() {
    [ -f "$stamp" ] && suitable .venv/bin/python && [ "$(tail -n 1 "$stamp")" = "$PWD" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version .venv/bin/python)" ]
}

create() {
    local python
    python=$(find_python)
    say "creating .venv with Python $(version "$python")"
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 && return
    # Debian's python3 has no ensurepip unless python3-venv is installed; use the interpreter's own pip then.
    rm -rf .venv
    "$python" -m venv --without-pip .venv &&
        "$python" -m pip --python .venv/bin/python install -q pip 2>/dev/null && return
    rm -rf .venv
    die "$python has neither ensurepip nor pip; on Debian/Ubuntu: apt install python3-venv"
}

started=$SECONDS
if usable; then
    [ "$(head -n 1 "$stamp")" != "$wanted" ] || exit 0
    say "requirements.lock or pyproject.toml changed; updating .venv"
else
    create
fi
rm -f "$stamp"

log=.venv/install.log
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# The installation takes a while. On a terminal, a clock shows that it is alive.
quietly() {
    local what=$1 pid
    shift
    "$@" >>"$log" 2>&1 &
    pid=$!
    if [ -t 2 ]; then
        while kill -0 "$pid" 2>/dev/null; do
            printf '\rvenv: %s ... %d s ' "$what" "$((SECONDS - started))" >&2
            sleep 1
        done
        printf '\r\033[K' >&2
    fi
    wait "$pid"
}

# pip takes two minutes for this lock, uv a few seconds. uv is in the lock too, so pip installs it, verified
# by hash. uv reads no pip.conf, so it is given pip's index; if uv fails, pip installs everything.
with_uv() {
    local index only_uv=.venv/uv.lock
    awk '/^[a-zA-Z0-9]/ { mine = /^uv==/ } mine' requirements.lock >"$only_uv"
    pip install -q --require-hashes -r "$only_uv" || return 1
    index=${PIP_INDEX_URL:-$(pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    # Use the system's certificates, as pip does, because only they include a company's proxy.
    export UV_SYSTEM_CERTS=1
    # Compile byte code now, on all cores, instead of in four Airflow processes at their first start.
    VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip sync --require-hashes --compile-bytecode requirements.lock
}
with_pip() { pip install --require-hashes -r requirements.lock; }

say "installing the locked packages (about 1 GB on disk)"
: >"$log"
if ! quietly "installing" with_uv; then
    say "uv did not get through; installing with pip, which takes a few minutes"
    quietly "installing with pip" with_pip || { tail -n 15 "$log" >&2; die "installation failed; all of it: $log"; }
fi
quietly "installing vod-operators" pip install --no-deps --no-build-isolation -e . ||
    { tail -n 15 "$log" >&2; die "vod-operators could not be installed; all of it: $log"; }

printf '%s\n' "$wanted" "$PWD" >"$stamp"
say "ready in $((SECONDS - started)) s"
