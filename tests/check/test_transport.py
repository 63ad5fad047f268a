"""The validator: MPEG-TS and packed audio, whose sound is cut anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from support.breaks import WebReader, broken, judged, text
from support.presentations import X264, by_ffmpeg, picture, tone
from support.tools import generate
from support.transport import WRAP, Transport, cut, encoded, id3, listed, packed
from vod_operators.errors import VerificationError
from vod_operators.formats.audio_frames import Header, adts, dolby, mpeg_audio
from vod_operators.formats.segment import measure_segment

SMALL = {"8.target"}
"""What short segments break."""

AAC_S = Fraction(1024, 48_000)

CODINGS = [
    ("aac", 0x0F, adts, 1024, "mp4a.40.2"),
    ("mp3", 0x03, mpeg_audio, 1152, "mp4a.40.34"),
    ("mp2", 0x04, mpeg_audio, 1152, "mp4a.40.33"),
    ("ac3", 0x81, dolby, 1536, "ac-3"),
    ("eac3", 0x87, dolby, 1536, "ec-3"),
]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """A tone by suffix."""
    root, made = tmp_path_factory.mktemp("sound"), dict[str, bytes]()

    def of(suffix: str) -> bytes:
        if suffix not in made:
            made[suffix] = encoded(root / f"tone.{suffix}")
        return made[suffix]

    return of


Coding = tuple[str, int, Header, int, str]


@pytest.mark.parametrize("pes_bytes", [100, 1000])
@pytest.mark.parametrize("coding", CODINGS, ids=[row[0] for row in CODINGS])
def test_frames_may_span_pes_packets_and_segments(
    coding: Coding, pes_bytes: int, sound: Callable[[str], bytes], tmp_path: Path
) -> None:
    suffix, kind, header, samples, codecs = coding
    frames, frame_s = cut(sound(suffix), header), Fraction(samples, 48_000)
    segments = Transport(kind=kind).segments(frames, frame_s, pes_bytes=pes_bytes)
    found = [measure_segment(data, {}, 0) for data, _ in segments]
    streams = [facts.streams[0] for facts in found]
    assert any(stream.starts_inside for stream in streams)
    assert [stream.duration for stream in streams] == [lasts for _, lasts in segments]
    assert sum(stream.samples for stream in streams) == len(frames)
    assert {facts.formats[0].codecs for facts in found} == {codecs}
    assert {facts.formats[0].channels for facts in found} == {2}
    end = Fraction(10)
    for stream in streams:
        assert abs(stream.begin - end) < Fraction(1, 90_000)
        end += stream.duration
    assert broken(listed(tmp_path, segments, ".ts")) == SMALL


@pytest.mark.parametrize("coding", [row for row in CODINGS if row[0] != "mp2"], ids=lambda row: row[0])
def test_packed_audio_of_each_coding(coding: Coding, sound: Callable[[str], bytes], tmp_path: Path) -> None:
    suffix, _, header, samples, codecs = coding
    frames, frame_s = cut(sound(suffix), header), Fraction(samples, 48_000)
    segments = packed(frames, frame_s)
    (format,) = measure_segment(segments[0][0], {}, 0).formats
    assert (format.codecs, format.channels, format.sample_rate) == (codecs, 2, 48_000)
    playlist = listed(tmp_path, segments, f".{suffix}")
    assert broken(playlist) == SMALL
    text("index.m3u8", r"EXTINF:\d\.\d", "EXTINF:1.8")(tmp_path)  # three frames of AC-3 and more
    assert broken(playlist) == SMALL | {"9.extinf"}


def test_a_private_stream_is_known_by_its_descriptor(sound: Callable[[str], bytes]) -> None:
    frames = cut(sound("ac3"), dolby)
    transport = Transport(kind=0x06, descriptor=b"\x0a\x04eng\0\x6a\x01\0")
    (segment, _), *_ = transport.segments(frames, Fraction(32, 1000), pes_bytes=1000)
    assert measure_segment(segment, {}, 0).formats[0].codecs == "ac-3"


@pytest.mark.parametrize(
    ("name", "codecs"), [(b"AC-3", "ac-3"), (b"Opus", None), (b"DTS1", None), (b"ID3 ", None)]
)
def test_a_private_stream_is_known_by_its_registration(
    name: bytes, codecs: str | None, sound: Callable[[str], bytes]
) -> None:
    transport = Transport(kind=0x06, descriptor=b"\x05\x04" + name)
    (segment, _), *_ = transport.segments(cut(sound("ac3"), dolby), Fraction(32, 1000), pes_bytes=1000)
    if codecs:
        assert measure_segment(segment, {}, 0).formats[0].codecs == codecs
    else:
        told = name[:3].decode() if name != b"ID3 " else "no picture and no sound"
        with pytest.raises(VerificationError, match=told):
            measure_segment(segment, {}, 0)


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("mono", 1), ("3.0", 3), ("stereo", 2)])
@pytest.mark.parametrize("suffix", ["ac3", "eac3"])
def test_channels_of_dolby(suffix: str, layout: str, channels: int, tmp_path: Path) -> None:
    data = encoded(tmp_path / f"a.{suffix}", "-af", f"aformat=channel_layouts={layout}", "-ac", f"{channels}")
    frame = dolby(data, 0)
    assert frame is not None and (frame.channels, frame.sample_rate) == (channels, 48_000)


@pytest.mark.parametrize(
    ("suffix", "rate"),
    [
        *((suffix, rate) for suffix in ("mp3", "mp2", "ac3", "eac3") for rate in (32_000, 44_100)),
        *((suffix, rate) for suffix in ("mp3", "mp2") for rate in (22_050, 24_000)),
    ],
)
def test_every_frame_is_found_at_other_rates(suffix: str, rate: int, tmp_path: Path) -> None:
    header = dolby if suffix.endswith("ac3") else mpeg_audio
    data = encoded(tmp_path / f"a.{suffix}", "-ar", f"{rate}", seconds=1)
    frames = cut(data, header)
    assert b"".join(frames) == data
    frame = header(data, 0)
    assert frame is not None and frame.sample_rate == rate
    assert 0 <= len(frames) * frame.samples - rate <= 3 * frame.samples


# --- odd and right --------------------------------------------------------------------------


def test_mp3_is_not_held_to_the_bitrate_of_aac(tmp_path: Path) -> None:
    frames = cut(encoded(tmp_path / "tone.mp3", "-b:a", "320k"), mpeg_audio)
    playlist = listed(tmp_path, packed(frames, Fraction(1152, 48_000)), ".mp3")
    assert broken(playlist) == SMALL
    reader = WebReader(playlist.as_uri(), **{"content-type": "audio/mpeg"})
    wrong = judged(playlist, reader)["17.types"].findings
    assert [finding.where.rpartition("/")[2] for finding in wrong] == ["index.m3u8"]


@pytest.mark.parametrize(("kind", "suffix"), [(0xCF, "aac"), (0xC1, "ac3"), (0xC2, "eac3")])
def test_frames_under_sample_aes(kind: int, suffix: str, sound: Callable[[str], bytes]) -> None:
    frames = cut(sound(suffix), adts if suffix == "aac" else dolby)
    (data, _), *_ = Transport(kind=kind).segments(frames, AAC_S, pes_bytes=1000)
    (format,) = measure_segment(data, {}, 0).formats
    assert format.encrypted and format.sample_rate == 48_000


def test_tables_may_come_later(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    (data, lasts), *_ = apple(sound)
    late = data[376:3760] + data[:376] + data[3760:]
    assert measure_segment(late, {}, 0).streams == measure_segment(data, {}, 0).streams
    assert broken(listed(tmp_path, [(late, lasts)], ".ts")) == SMALL | {"10.tables"}


def test_a_segment_may_end_within_a_pes_packet(sound: Callable[[str], bytes]) -> None:
    """Frames that begin before the first time of a segment are before it by their number."""
    ((data, lasts),) = Transport().segments(cut(sound("aac"), adts)[:90], AAC_S, pes_bytes=8000)
    cut_at = 376 + 20 * 188
    streams = [
        measure_segment(part, {}, 0).streams[0] for part in (data[:cut_at], data[:376] + data[cut_at:])
    ]
    assert sum(stream.duration for stream in streams) == lasts
    assert abs(streams[1].begin - 10 - streams[0].duration) < Fraction(1, 90_000)


def test_a_jump_of_a_counter_may_be_declared(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    data, lasts = apple(sound)[0]
    changed = bytearray(data)
    stuffed = [at for at in range(376, len(data), 188) if data[at + 3] & 0x20 and data[at + 4]]
    for at in range(stuffed[3], len(data), 188):
        changed[at + 3] = data[at + 3] & 0xF0 | data[at + 3] + 5 & 15
    playlist = listed(tmp_path, [(bytes(changed), lasts)], ".ts")
    assert broken(playlist) == SMALL | {"10.counters"}
    changed[stuffed[3] + 5] |= 0x80
    listed(tmp_path, [(bytes(changed), lasts)], ".ts")
    assert broken(playlist) == SMALL


@pytest.mark.parametrize("stuffing", [0, 170, 246])
def test_a_picture_may_span_pes_packets(stuffing: int, tmp_path: Path) -> None:
    """The second one has no time; a header may span transport packets."""
    clip = generate(tmp_path / "clip.h264", *picture("128x72"), *X264, "-t", "2", "-g", "25", "-aud", "1")
    start = b"\0\0\0\1\x09"
    pictures = [start + part for part in clip.read_bytes().split(start)[1:]]
    transport = Transport(kind=0x1B)
    data, ends = transport.tables(), []
    for number, content in enumerate(pictures):
        data += transport.pes(content[:100], 900_000 + 3600 * number, stuffing)
        data += transport.pes(content[100:], None, stuffing)
        ends.append(len(data))
    (stream,) = measure_segment(data, {}, 0).streams
    assert (stream.samples, stream.duration, stream.size_bytes) == (50, 2, clip.stat().st_size)
    assert [(key.begin, key.end) for key in stream.keys] == [(376, ends[0]), (ends[24], ends[25])]


def test_sound_may_end_before_the_pictures(tmp_path: Path) -> None:
    both = (*picture("128x72"), *tone(440), "-map", "0:v", "-map", "1:a:0", "-af", "atrim=end=6")
    playlist = by_ffmpeg(tmp_path / "short", *both, *X264, "-g", "50", "-c:a", "aac").parent / "0.m3u8"
    assert len(measure_segment((playlist.parent / "02.ts").read_bytes(), {}, 0).streams) == 1
    assert broken(playlist) == {"10.tables"}


# --- broken ---------------------------------------------------------------------------------


def apple(sound: Callable[[str], bytes], **transport: int) -> list[tuple[bytes, Fraction]]:
    frames = cut(sound("aac"), adts)
    return Transport(**transport).segments(frames, AAC_S, pes_bytes=700)


def test_the_other_part_of_a_cut_frame_is_missing(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    (first, lasts), second, *_ = apple(sound)
    frames, count = cut(sound("aac"), adts), round(lasts / AAC_S)
    ((whole_first, _),) = Transport().segments(frames[: count - 1], AAC_S, pes_bytes=700)
    whole_second = Transport().segments(frames[count:], AAC_S, pes_bytes=700, begin_s=10 + lasts)[0]
    playlist = listed(tmp_path, [(first, lasts), whole_second], ".ts")
    (finding,) = judged(playlist)["10.frames"].findings
    assert finding.where.endswith("1.ts")
    assert finding.found == "the segment before ends within a frame of sound"
    listed(tmp_path, [(whole_first, lasts - AAC_S), second], ".ts")
    (finding,) = judged(playlist)["10.frames"].findings
    assert finding.found == "it starts within a frame of sound"
    text("index.m3u8", r"^(#EXTINF.*\n1\.ts)", r"#EXT-X-DISCONTINUITY\n\1")(tmp_path)
    assert judged(playlist)["10.frames"].status == "pass"
    text("index.m3u8", r"#EXTINF.*\n0\.ts\n#EXT-X-DISC.*\n", "")(tmp_path)
    assert broken(playlist) == SMALL


def test_sound_of_another_rate_is_a_discontinuity(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    (first, lasts), *_ = apple(sound)
    other = cut(encoded(tmp_path / "other.aac", "-ar", "44100"), adts)
    second, *_ = Transport().segments(other, Fraction(1024, 44_100), pes_bytes=700, begin_s=10 + lasts)
    playlist = listed(tmp_path, [(first, lasts), second], ".ts")
    (finding,) = judged(playlist)["11.undeclared"].findings
    assert finding.found == "other parameters"


def test_bytes_between_frames_are_damage(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    frames = cut(sound("aac"), adts)
    frames[60] = frames[60][:-1]
    playlist = listed(tmp_path, Transport().segments(frames, AAC_S, pes_bytes=700), ".ts")
    (finding,) = judged(playlist)["0.files"].findings
    assert "a frame does not begin with a header" in finding.found


def test_counters_start_again_in_a_segment(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    (first, lasts), second, *_ = apple(sound)
    data = bytearray(second[0])
    for at in range(0, len(data), 188):
        data[at + 3] = data[at + 3] & 0xF0 | data[at + 3] + 1 & 15
    playlist = listed(tmp_path, [(first, lasts), (bytes(data), second[1])], ".ts")
    assert broken(playlist) == SMALL | {"10.counters"}
    text("index.m3u8", r"^(#EXTINF.*\n1\.ts)", r"#EXT-X-DISCONTINUITY\n\1")(tmp_path)
    assert broken(playlist) == SMALL


def test_several_programmes_in_one_stream(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    assert broken(listed(tmp_path, apple(sound, programmes=2), ".ts")) == SMALL | {"10.programme"}


def test_packed_audio_without_its_time(sound: Callable[[str], bytes], tmp_path: Path) -> None:
    (first, lasts), (second, same), *_ = packed(cut(sound("aac"), adts), AAC_S)
    other = id3(0, owner=b"com.example.other")
    for tag in (b"", other):
        untimed = tag + second[len(id3(0)) :]
        assert broken(listed(tmp_path, [(first, lasts), (untimed, same)], ".aac")) == SMALL | {"10.timestamp"}
    # Other tags may stand around it, and between frames.
    frames = cut(second[len(id3(0)) :], adts)
    tagged = other + second[: len(id3(0))] + other + frames[0] + other + b"".join(frames[1:]) + other
    assert broken(listed(tmp_path, [(first, lasts), (tagged, same)], ".aac")) == SMALL


# --- the clock begins again -----------------------------------------------------------------


def _wrapping(folder: Path) -> Path:
    """What ffmpeg makes of pictures and sound that begin 8 s before the end of the clock."""
    generate(
        folder / "index.m3u8", *picture("128x72"), *tone(440), "-map", "0:v", "-map", "1:a",
        *X264, "-bf", "2", "-g", "50", "-keyint_min", "50", "-c:a", "aac", "-ac", "2",
        "-output_ts_offset", f"{WRAP / 90_000 - 9.4}",
        "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod",
    )  # fmt: skip
    return folder / "index.m3u8"


def test_the_clock_of_pictures_may_wrap(tmp_path: Path) -> None:
    playlist = _wrapping(tmp_path)
    assert broken(playlist) == SMALL | {"10.tables"}
    text("index.m3u8", r"#EXTINF.*\nindex1\.ts\n", "")(tmp_path)
    assert "11.undeclared" in broken(playlist)


@pytest.mark.parametrize("left_s", [1, 2, 2.05])
def test_the_clock_of_sound_may_wrap(left_s: float, sound: Callable[[str], bytes], tmp_path: Path) -> None:
    frames, begin_s = cut(sound("aac"), adts), WRAP / 90_000 - left_s
    segments = Transport().segments(frames, AAC_S, pes_bytes=700, begin_s=begin_s)
    assert broken(listed(tmp_path, segments, ".ts")) == SMALL
    assert broken(listed(tmp_path, packed(frames, AAC_S, begin_s), ".aac")) == SMALL


def test_the_first_pictures_of_an_open_gop_do_not_overlap(bases: Callable[[str], Path]) -> None:
    """They are shown between the last ones of the segment before, and times of decoding continue."""
    found = broken(bases("open-gop-ts"))
    assert "2.idr" in found
    assert found.isdisjoint({"8.extinf", "9.extinf", "11.undeclared"})


def test_a_segment_without_parameter_sets_is_judged_all_the_same(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(bases("open-gop-ts").parent, tmp_path / "copy")
    for path in sorted(folder.glob("*.ts"))[1:]:
        path.write_bytes(path.read_bytes().replace(b"\x00\x00\x01\x67", b"\x00\x00\x01\x6c"))
    assert "2.idr" in broken(folder / "master.m3u8")
