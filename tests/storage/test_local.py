"""What only a file system does: permissions, full disks, links, kills."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vod_operators.errors import InvalidInputError, ObjectChangedError, ObjectNotFoundError, StorageError
from vod_operators.storage.base import BLOCK_BYTES
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.stores import fetch

LOCAL = LocalStorage()


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_an_object_can_be_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "ä b.mp4"
    path.write_bytes(b"video")
    assert LOCAL.local_path(path.as_uri()) == path
    assert LOCAL.local_path(f"file://localhost{path}") == path
    assert LOCAL.local_path(tmp_path.as_uri()) is None


def test_a_name_that_was_not_encoded_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "take #2?.mp4"
    path.write_bytes(b"video")
    assert LOCAL.local_path(f"file://{path}") == path


@pytest.mark.parametrize(
    "uri", ["file://host/a", "file:///a/../b", "file:///a/./b", "file:///a%00b", "file:///a/"]
)
def test_bad_uris(uri: str) -> None:
    with pytest.raises(InvalidInputError, match=r"file:///absolute/path|one file"):
        LOCAL.stat(uri)


def test_a_folder_is_not_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for call in (LOCAL.stat, lambda uri: list(LOCAL.read(uri)), lambda uri: LOCAL.write(uri, [b"x"])):
        with pytest.raises(InvalidInputError, match=f"{folder}: .*it is a folder: give the URI of one file"):
            call(folder.as_uri())
    assert hidden(tmp_path) == []


def test_a_device_is_not_a_source() -> None:
    with pytest.raises(InvalidInputError, match="regular file"):
        LOCAL.stat("file:///dev/zero")


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="a part of the path is a file"):
        LOCAL.write((tmp_path / "file" / "deeper" / "object").as_uri(), [b"x"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidInputError, match="fix the owner or mode"):
        LOCAL.write((tmp_path / "object").as_uri(), [b"x"])


def test_permission_denied_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", deny)
    uri = (tmp_path / "object").as_uri()
    with pytest.raises(InvalidInputError, match=f"{tmp_path}/object: Permission denied; .*fix the owner"):
        LOCAL.write(uri, [b"x"])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_file_over_1_mib() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("no_file_over_1_mib")
def test_a_write_that_the_disk_refuses_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(b"old")
    with pytest.raises(StorageError, match=f"{path}: File too large"):
        LOCAL.write(path.as_uri(), [b"x" * (1 << 20)] * 2)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fetch_that_the_disk_refuses_leaves_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source, copy = tmp_path / "source", tmp_path / "work" / "copy"
    source.write_bytes(b"x" * (2 << 20))
    request.getfixturevalue("no_file_over_1_mib")
    with pytest.raises(StorageError, match=f"{copy}: File too large, while fetching {source.as_uri()}"):
        fetch(LOCAL, source.as_uri(), copy)
    assert list(copy.parent.iterdir()) == []


def test_store_from_another_file_system_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "work" / "a", tmp_path / "store" / "b"
    source.parent.mkdir()
    source.write_bytes(b"video")
    rename = Path.replace

    def across(self: Path, to: Path) -> Path:
        if self.parent != to.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", across)
    LOCAL.store(source, target.as_uri())
    assert target.read_bytes() == b"video"
    assert not source.exists()
    assert list(target.parent.iterdir()) == [target]


def test_a_copy_takes_no_room(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "store" / "b"
    source.write_bytes(b"video")
    LOCAL.copy(source.as_uri(), target.as_uri())
    assert target.samefile(source)


@pytest.mark.parametrize("reason", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_files_have_one_name_only_a_copy_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", no_link)
    source, target = tmp_path / "a", tmp_path / "store" / "b"
    source.write_bytes(b"video")
    assert LOCAL.copy(source.as_uri(), target.as_uri()) == hashlib.sha256(b"video").hexdigest()
    assert target.read_bytes() == b"video" and not target.samefile(source)
    assert list(target.parent.iterdir()) == [target]


def test_store_of_a_link_stores_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"video")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    LOCAL.store(tmp_path / "link", (tmp_path / "stored").as_uri())
    assert not (tmp_path / "stored").is_symlink()
    assert (tmp_path / "stored").read_bytes() == b"video"
    assert not (tmp_path / "link").is_symlink()


def test_store_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match=str(tmp_path / "gone")):
        LOCAL.store(tmp_path / "gone", (tmp_path / "stored").as_uri())


def test_files_get_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        LOCAL.write((tmp_path / "index.m3u8").as_uri(), [b"#EXTM3U"])
        LOCAL.create((tmp_path / "claim").as_uri(), b"{}")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_a_reader_keeps_the_version_it_opened(tmp_path: Path) -> None:
    uri = (tmp_path / "object").as_uri()
    LOCAL.write(uri, [b"a" * (3 << 20)])
    blocks = LOCAL.read(uri)
    first = next(blocks)
    LOCAL.write(uri, [b"b" * (3 << 20)])
    assert set(first + b"".join(blocks)) == {ord("a")}


def test_list_does_not_follow_links_to_folders(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert [info.uri.rpartition("/")[2] for info in LOCAL.list(tmp_path.as_uri() + "/")] == ["linked", "real"]


# Writes a block, says so, and waits for more from its standard input, which never comes.
_WRITER = """
import sys
from vod_operators.storage.base import BLOCK_BYTES
from vod_operators.storage.local import LocalStorage
def blocks():
    yield b"half of the new one"
    print("written", flush=True)
    yield sys.stdin.buffer.read()
LocalStorage().write(sys.argv[1], blocks())
"""

_LOCKER = """
import sys
from pathlib import Path
from vod_operators.storage.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def killed(script: str, argument: str, says: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", script, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout and process.stdout.readline() == says + "\n"
        process.send_signal(signal.SIGKILL)


def test_kill_in_mid_write(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(b"old")
    killed(_WRITER, path.as_uri(), "written")
    assert len(hidden(tmp_path)) == 1  # the kill was in mid-write
    assert path.read_bytes() == b"old"
    assert [info.uri for info in LOCAL.list(tmp_path.as_uri())] == [path.as_uri()]


def test_a_lock_file_that_its_last_holder_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "object"
    flock, locked = fcntl.flock, []

    def flock_late(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        locked.append(descriptor)
        if len(locked) == 1:
            for name in hidden(tmp_path):
                if name.endswith(".vod-lock"):
                    (tmp_path / name).unlink()

    monkeypatch.setattr(fcntl, "flock", flock_late)
    LOCAL.write(path.as_uri(), [b"x"])
    assert len(locked) == 2
    assert hidden(tmp_path) == []


def test_kill_of_a_lock_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "object"
    version = LOCAL.create(path.as_uri(), b"old")
    assert version is not None
    killed(_LOCKER, str(path), "locked")
    assert len(hidden(tmp_path)) == 1
    assert LOCAL.replace(path.as_uri(), b"new", version) is not None
    assert hidden(tmp_path) == []


def test_a_file_written_into_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    file.write_bytes(bytes(3 * BLOCK_BYTES))
    found = LOCAL.stat(file.as_uri())
    assert found is not None
    blocks = LOCAL.read(file.as_uri(), version=found.version)
    next(blocks)
    with file.open("r+b") as other:
        other.seek(2 * BLOCK_BYTES)
        other.write(b"x" * BLOCK_BYTES)
    with pytest.raises(ObjectChangedError, match=r"film\.mp4 has changed since it was looked at"):
        list(blocks)
