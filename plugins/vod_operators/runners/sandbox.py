"""The walls around a media tool on this host: a hostile video that takes over a decoder stays inside them.

- Landlock (Linux 5.13; complete from 6.12): the tool reads its own program, the system's libraries and its
  task's files, and writes in the task's folder only. No root is needed.
- seccomp: no sockets, and no system calls that look into other processes or bypass the paths of files.
- ``no_new_privs``: setuid programs give it nothing.

A wall that the kernel or a container's own rules do not grant is left out; ``walls`` says which ones stand.
Resource limits are in ``runners/base.py``, the clean environment in ``runners/local.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal

from vod_operators.errors import InvalidInputError

Mode = Literal["auto", "require", "off"]

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# --- Landlock (linux/landlock.h) ------------------------------------------------------------

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every architecture."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_HANDLED_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""The rights on files that Landlock knows, by the first ABI that knows them."""

_TCP_FROM, _SCOPES_FROM = 4, 6
_TCP, _SCOPES = 0b11, 0b11
"""TCP: bind and connect. Scopes: abstract Unix sockets and signals to processes outside the walls."""

_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The only rights that a rule for a single file may grant."""

_READ = _READ_FILE | _READ_DIR
_RUN = _READ | _EXECUTE
_WORK = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
"""Rights in the task's folder. The tool may make no links, sockets or pipes there: they could mislead or
block the worker, which reads the folder afterwards. Nor may it execute what it wrote."""
_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV

SYSTEM = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32"),
    *("/usr/lib64", "/usr/libexec", "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64"),
    *("/usr/local/cuda", "/usr/local/nvidia", "/nix/store", "/gnu/store"),
)
"""Programs and libraries. Not all of ``/usr``: some images have Airflow's home in ``/usr/local``."""

SYSTEM_FACTS = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/proc/driver/nvidia", "/proc/modules"),
    *("/sys/devices", "/sys/module/nvidia", "/sys/bus/pci"),
)
"""Where libraries are, and what the hardware is: cores, memory, GPUs."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/dri", "/dev/nvidia-caps")
"""Besides those of NVIDIA's GPUs, whose names have numbers."""

# --- seccomp (linux/seccomp.h, linux/filter.h) ----------------------------------------------

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _EACCES, _EFAULT = 1, 13, 14
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000

_DENIED = {
    # socket, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, bpf, userfaultfd, perf_event_open,
    # keyctl, add_key, request_key, open_by_handle_at, mount, unshare, setns, pidfd_getfd
    "x86_64": (0xC000003E, (41, 101, 310, 311, 425, 321, 323, 298, 250, 248, 249, 304, 165, 272, 308, 438)),
    "aarch64": (0xC00000B7, (198, 117, 270, 271, 425, 280, 282, 241, 219, 217, 218, 265, 40, 97, 268, 438)),
}
"""Architecture -> its number in seccomp, and the numbers of the system calls that fail."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter() -> ctypes.Array[ctypes.c_char] | None:
    """The seccomp filter as the kernel reads it; None for an architecture that ``_DENIED`` lacks."""
    if platform.machine() not in _DENIED:
        return None
    arch, calls = _DENIED[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4),
        # 32-bit and x32 programs number their calls differently, so all their calls fail.
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, len(calls) + 1, 0, _X32),
        *((_EQUAL, len(calls) - n, 0, call) for n, call in enumerate(calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EACCES),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    return ctypes.create_string_buffer(code, len(code))


# --- what this host can do --------------------------------------------------------------------


@lru_cache(maxsize=1)
def landlock_abi() -> int:
    """The Landlock ABI that the kernel grants this process; 0 for none."""
    if _LIBC is None:
        return 0
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


@lru_cache(maxsize=1)
def has_seccomp() -> bool:
    """Whether there is a seccomp filter for this architecture, and the kernel accepts filters."""
    if _LIBC is None or _filter() is None:
        return False
    # No filter is passed: a kernel that knows the request answers EFAULT (bad address).
    _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == _EFAULT


def walls(mode: Mode) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The walls that stand around media tools on this host, in words, and the names of missing ones.

    :raises InvalidInputError: the mode is ``require``, and a wall is missing.
    """
    if mode == "off":
        return (), ("files", "network")
    abi = landlock_abi()
    standing = {
        "files": f"files (Landlock ABI {abi})" if abi else None,
        "network": "network (seccomp)" if has_seccomp() else "TCP (Landlock)" if abi >= _TCP_FROM else None,
    }
    missing = tuple(name for name, wall in standing.items() if wall is None)
    if mode == "require" and missing:
        raise InvalidInputError(
            f"VOD_SANDBOX=require: this host cannot keep media tools from {' and '.join(missing)}: it needs "
            "Linux 5.13 with Landlock and seccomp, and a container that allows both"
        )
    return tuple(wall for wall in standing.values() if wall), missing


# --- one tool's walls -------------------------------------------------------------------------


class Sandbox:
    """Walls for the tools of one host.

    :param mode: ``off`` builds none.
    :param paths: further files and folders that tools may read and execute.
    """

    def __init__(self, mode: Mode = "auto", paths: Iterable[Path] = ()) -> None:
        self._mode: Mode = mode
        self._paths = tuple(paths)

    @contextmanager
    def around(self, tool: str, folder: Path) -> Iterator[Enclosure]:
        """The walls for one start of a tool in a folder. Stay in the context until the tool runs.

        :param folder: the tool may write there, and read what links in it point to. ``/``: it gets no folder.
        :raises InvalidInputError: the mode is ``require``, and a wall is missing.
        """
        walls(self._mode)
        abi = landlock_abi() if self._mode != "off" else 0
        if not abi:
            yield Enclosure(None, self._mode != "off" and has_seccomp())
            return
        ruleset = _ruleset(abi)
        try:
            for path, rights in _rights(tool, folder, self._paths):
                _allow(ruleset, path, rights, abi)
            yield Enclosure(ruleset, has_seccomp())
        finally:
            os.close(ruleset)


class Enclosure:
    """Walls that a process can put around itself and all that it starts. They cannot be taken down again."""

    def __init__(self, ruleset: int | None, no_sockets: bool) -> None:
        self._ruleset = ruleset
        self._filter = _filter() if no_sockets else None
        self._program = self._filter and _Program(
            len(self._filter) // 8, ctypes.cast(self._filter, ctypes.c_void_p).value
        )

    def enter(self) -> None:
        """Put up the walls. Runs between fork and exec: system calls only, no import, no lock.

        :raises OSError: the kernel refuses.
        """
        if _LIBC is None or (self._ruleset is None and self._program is None):
            return
        _called(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        if self._ruleset is not None:
            _called(_LIBC.syscall(_RESTRICT_SELF, self._ruleset, ctypes.c_uint32(0)))
        if self._program is not None:
            _called(_LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(self._program), 0, 0))


def _called(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _rights_on_files(abi: int) -> int:
    return _HANDLED_FILES[max(version for version in _HANDLED_FILES if version <= abi)]


def _ruleset(abi: int) -> int:
    fields = [_rights_on_files(abi)]
    if abi >= _TCP_FROM:
        fields.append(_TCP)
    if abi >= _SCOPES_FROM:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    assert _LIBC is not None
    return _called(
        _LIBC.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    )


def _allow(ruleset: int, path: Path | str, rights: int, abi: int) -> None:
    """Grant rights on a file, or on a folder and all below it. A path that does not exist is ignored."""
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= _rights_on_files(abi)
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            rights &= _ON_FILES
        assert _LIBC is not None
        _called(_LIBC.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, file), ctypes.c_uint32(0)))
    finally:
        os.close(file)


def _rights(tool: str, folder: Path, paths: Iterable[Path]) -> Iterator[tuple[Path | str, int]]:
    for path in SYSTEM:
        yield path, _RUN
    for path in SYSTEM_FACTS:
        yield path, _READ
    for device in (*map(Path, DEVICES), *Path("/dev").glob("nvidia*")):
        yield device, _DEVICE | _READ_DIR
    for program in (*_programs(tool), *paths):
        yield program, _RUN
    if folder != Path("/"):
        yield folder, _WORK
        with contextlib.suppress(OSError):
            for entry in folder.iterdir():
                # A link into /proc points to a file in memory, which needs no right: it is in no folder.
                if entry.is_symlink() and not os.readlink(entry).startswith("/proc/"):
                    yield os.path.realpath(entry), _READ


def _programs(tool: str) -> Iterator[Path]:
    """A tool's own files: the program, a script's interpreter, the libraries beside each one's ``bin``."""
    executable = shutil.which(tool)
    if executable is None:
        return
    programs = [Path(executable)]
    with contextlib.suppress(OSError), open(executable, "rb") as file:
        line = file.readline(256)
        if line.startswith(b"#!") and line[2:].split():
            programs.append(Path(os.fsdecode(line[2:].split()[0])))
    for program in programs:
        for path in {program, Path(os.path.realpath(program))}:
            yield path
            if path.parent.name == "bin":
                prefix = path.parent.parent
                yield from (prefix / "bin", prefix / "lib", prefix / "lib64", prefix / "pyvenv.cfg")
