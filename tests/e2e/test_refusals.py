"""What cannot be done fails in the first task, with its reason, and leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from conftest import s3_connection
from tools import CLIP, configure


def refused(run_dag, stores: Path, **conf: object) -> str:
    run = run_dag(**{"video_id": "bad", "source": CLIP.as_uri(), "preset": "h264_small"} | conf)
    assert run.state == "failed"
    assert list(run.errors) == ["prepare"]
    assert not (stores / "results").exists()
    assert not list(stores.glob("tmp/bad/*"))
    return str(run.errors["prepare"])


def test_a_missing_source(run_dag, stores: Path) -> None:
    missing = (stores / "none.mp4").as_uri()
    assert refused(run_dag, stores, source=missing) == f"source: {missing} does not exist"


def test_an_empty_file(run_dag, stores: Path) -> None:
    (stores / "empty.mp4").touch()
    message = refused(run_dag, stores, source=(stores / "empty.mp4").as_uri())
    assert message.startswith("source: ") and message.endswith("empty.mp4 is empty (0 bytes)")


def test_a_text_file_with_the_name_of_a_video(run_dag, stores: Path) -> None:
    (stores / "text.mp4").write_text("Dear diary,\n" * 500)
    message = refused(run_dag, stores, source=(stores / "text.mp4").as_uri())
    assert "text.mp4 is not a video that can be read (Invalid data" in message
    assert "expected a media file such as MP4" in message


def test_a_playlist_with_the_name_of_a_video(run_dag, stores: Path) -> None:
    secret = stores / "secret.ts"
    secret.write_bytes(CLIP.read_bytes())
    (stores / "list.mp4").write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"
    )
    assert "is not a video" in refused(run_dag, stores, source=(stores / "list.mp4").as_uri())


def test_an_s3_server_that_does_not_answer(run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("AIRFLOW_CONN_VOD_CLOSED", s3_connection(endpoint))
    configure(monkeypatch, aws_conn_id="vod_closed")

    message = refused(run_dag, stores, source="s3://bucket/video.mp4")

    assert "bucket" in message and endpoint in message


@pytest.mark.parametrize("video_id", ["../x", "", "x" * 300, "a b", "é", "-x"])
def test_a_bad_video_id(run_dag, stores: Path, video_id: str) -> None:
    with pytest.raises(Exception, match="video_id") as refusal:
        run_dag(video_id=video_id, source=CLIP.as_uri(), preset="h264_small")
    assert "Invalid input for param" in str(refusal.value)
    assert not (stores / "results").exists() and not (stores / "tmp").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "h265_huge"),
        ("source", "/no/scheme.mp4"),
        ("source", "ftp://host/a.mp4"),
        ("chunk_seconds", 0),
        ("chunk_seconds", "6"),
        ("callback_url", "not a url"),
    ],
)
def test_a_bad_param_is_refused_before_the_run(run_dag, stores: Path, field: str, value: object) -> None:
    with pytest.raises(Exception, match=f"Invalid input for param {field}"):
        run_dag(**{"video_id": "bad", "source": CLIP.as_uri(), "preset": "h264_small", field: value})


def test_the_operator_checks_too(stores: Path) -> None:
    """Who uses the operators in a DAG of their own has no param schema in front of them."""
    from vod_operators.errors import InvalidInputError
    from vod_operators.operators.prepare import VodPrepareOperator

    def prepare(**given: str) -> None:
        asked = {"video_id": "ok", "source": CLIP.as_uri(), "preset": "h264_small"} | given
        VodPrepareOperator(task_id="prepare", **asked).execute({})

    with pytest.raises(InvalidInputError, match=r"video_id: '\.\./x' is not usable; use 1 to 128 of A-Z"):
        prepare(video_id="../x")
    with pytest.raises(InvalidInputError, match=r"video_id: 'x{40}\.\.\. \(300 characters\)'"):
        prepare(video_id="x" * 300)
    with pytest.raises(
        InvalidInputError, match="preset: there is no preset 'nope'; those that exist: h264, h264_small"
    ):
        prepare(preset="nope")
    with pytest.raises(InvalidInputError, match="chunk_seconds: '0' is not a whole number from 1 to 3600"):
        prepare(chunk_seconds="0")
    with pytest.raises(InvalidInputError, match="write file:///"):
        prepare(source=str(CLIP))


def test_a_video_that_another_run_has(run_dag, stores: Path) -> None:
    from vod_operators.storage import claim
    from vod_operators.storage.local import LocalStorage

    uri = (stores / "tmp" / "bad" / "claim.json").as_uri()
    claim.hold(LocalStorage(), uri, owner="vod_transcode/the-other", ttl_s=600)

    run = run_dag(video_id="bad", source=CLIP.as_uri(), preset="h264_small")

    assert run.state == "failed" and list(run.errors) == ["prepare"]
    assert "being worked on by run 'vod_transcode/the-other' since" in str(run.errors["prepare"])
    held = claim.read_claim(LocalStorage(), uri)
    assert held is not None and held[0].owner == "vod_transcode/the-other"
    assert not (stores / "results").exists()
