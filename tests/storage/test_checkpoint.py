"""Documents that say what is done: believed only as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vod_operators.errors import CorruptObjectError, LostWorkError, ObjectNotFoundError
from vod_operators.storage import checkpoint
from vod_operators.storage.checkpoint import Marker, Stored
from vod_operators.storage.local import LocalStorage
from vod_operators.storage.stores import get_bytes, storage_for

STORE = LocalStorage()
MARKER = Marker(
    objects={"360p": Stored(uri="file:///a", size_bytes=12, sha256="ab" * 32)}, facts={"frames": 150}
)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    uri = (tmp_path / "chunk-00000.done.json").as_uri()
    checkpoint.save(STORE, uri, MARKER)
    return uri


def test_what_was_sealed_is_read(uri: str) -> None:
    assert checkpoint.read_document(STORE, uri, Marker) == MARKER == checkpoint.load_marker(STORE, uri)


def test_any_flipped_bit_and_any_cut_is_seen(uri: str) -> None:
    path = Path(uri.removeprefix("file://"))
    good = path.read_bytes()
    damaged = [good[:length] for length in range(len(good))]
    for place in range(len(good)):
        for bit in range(8):
            data = bytearray(good)
            data[place] ^= 1 << bit
            damaged.append(bytes(data))
    for data in [*damaged, good + b" "]:
        path.write_bytes(data)
        with pytest.raises(CorruptObjectError, match=r"chunk-00000\.done\.json"):
            checkpoint.read_document(STORE, uri, Marker)
        assert checkpoint.load_marker(STORE, uri) is None


def test_a_step_whose_marker_is_damaged_must_be_done_again(uri: str) -> None:
    STORE.write(uri, [b"{}"])
    assert checkpoint.load(STORE, uri) is None
    with pytest.raises(LostWorkError, match="transcode has not run, or its result was lost"):
        checkpoint.require(STORE, uri, step="transcode")


def test_what_relies_on_a_lost_document_has_it_made_anew(uri: str) -> None:
    STORE.write(uri, [b"{}"])
    for _ in range(2):  # damaged, then gone
        with (
            pytest.raises(LostWorkError, match="clear the run, and only that step is repeated"),
            checkpoint.relying_on(STORE, uri, step="prepare"),
        ):
            checkpoint.read_document(STORE, uri, Marker)
    with pytest.raises(ObjectNotFoundError):
        checkpoint.read_document(STORE, uri, Marker)


@pytest.mark.parametrize(("of", "to"), [("file", "file"), ("file", "s3"), ("s3", "file"), ("s3", "s3")])
def test_what_is_copied_is_what_was_stored(tmp_path: Path, s3_bucket: Any, of: str, to: str) -> None:
    roots = {"file": tmp_path.as_uri(), "s3": s3_bucket.uri}
    temp, results = f"{roots[of]}/tmp", f"{roots[to]}/results"
    source, target = (storage_for(root, s3_bucket.conn_id) for root in (temp, results))
    stored = checkpoint.write_hashed(source, f"{temp}/seg-00001.m4s", [b"a segment"])

    copied = checkpoint.copy(source, stored, target, f"{results}/seg-00001.m4s", content_type="video/mp4")
    assert copied == stored.model_copy(update={"uri": f"{results}/seg-00001.m4s"})
    assert get_bytes(target, copied.uri) == b"a segment"

    source.write(stored.uri, [b"A segment"])
    with pytest.raises(CorruptObjectError, match=r"tmp/seg-00001.m4s: expected SHA-256"):
        checkpoint.copy(source, stored, target, f"{results}/seg-00002.m4s")
