"""Subtitles of the source and of the request come out on time, in every segment that shows them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import m3u8
import pytest

from exact.publisher import Publisher
from support.clips import clip, media, run_ffmpeg, x264
from support.published import Published
from support.tools import ffprobe, generate
from vod_operators.errors import InvalidInputError

SAID = "1\n00:00:00,200 --> 00:00:01,500\nOne & <i>two</i>\n\n2\n00:00:02,900 --> 00:00:03,250\nThree\n"
HEARD = [(0.2, 1.5, "One &amp; <i>two</i>"), (2.9, 3.25, "Three")]

SUBTITLES = {
    "eng": "1\n00:00:00,500 --> 00:00:02,000\nGood <i>morning</i>\n\n"
    "2\n00:00:05,250 --> 00:00:07,125\nAcross a segment\n\n3\n00:00:11,000 --> 00:00:12,000\nThe end\n",
    "deu": "1\n00:00:00,500 --> 00:00:02,000\nGuten Morgen, schöne Grüße\n",
}
"""What is said in ``two_languages``."""


def two_languages(path: Path, seconds: int = 13) -> Path:
    """A source with English sound in 5.1, German stereo, and subtitles in both; English is the default.

    :param path: ``.mp4`` has its subtitles as mov_text; ``.mkv`` as SubRip (English) and ASS (German).
    """
    texts = []
    for language, text in SUBTITLES.items():
        texts.append(path.with_name(f"{path.stem}-{language}.srt"))
        texts[-1].write_text(text, "utf-8")
    codecs = ("mov_text", "mov_text") if path.suffix == ".mp4" else ("subrip", "ass")
    left = "|".join(f"0.1*sin({300 + 100 * channel}*2*PI*t)" for channel in range(6))
    return generate(
        path,
        *("-f", "lavfi", "-i", f"testsrc2=s=640x360:r=25:d={seconds}"),
        *("-f", "lavfi", "-i", f"aevalsrc={left}:c=5.1:s=48000:d={seconds}"),
        *("-f", "lavfi", "-i", f"aevalsrc=0.1*sin(880*PI*t)|0.1*sin(660*PI*t):c=stereo:s=48000:d={seconds}"),
        *("-i", str(texts[0]), "-i", str(texts[1])),
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map", "4:s"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-b:a", "128k"),
        *("-c:s:0", codecs[0], "-c:s:1", codecs[1]),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"),
        *("-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=deu"),
        *("-disposition:a:0", "default", "-disposition:a:1", "0", "-disposition:s:0", "default"),
        *("-disposition:s:1", "0"),
    )


def with_text(name: str, source: Path, codec: str, *options: str, before: tuple[str, ...] = ()) -> Path:
    """The clip with a subtitle track that says ``SAID``."""

    def build(path: Path) -> None:
        srt = path.with_name("said.srt")
        srt.write_text(SAID, "utf-8")
        run_ffmpeg(
            *before, "-i", str(source), "-i", str(srt), "-map", "0", "-map", "1", "-c", "copy", "-c:s", codec,
            *options, str(path),
        )  # fmt: skip

    return media(name, build, str(source), codec, options, before, SAID)


def listed(video: Published) -> dict[str, m3u8.Media]:
    return {item.uri.split("/")[-2]: item for item in video.master.media if item.type == "SUBTITLES"}


@pytest.mark.parametrize("file", ["two.mp4", "two.mkv"])
def test_tracks_of_the_source(publish: Publisher, file: str) -> None:
    source = media(file, two_languages, "two languages")

    video = publish(source, chunk_seconds=6, preset={"segment_gops": 6})

    assert video.said("text-0") == [
        (0.5, 2.0, "Good <i>morning</i>"),
        (5.25, 7.125, "Across a segment"),
        (11.0, 12.0, "The end"),
    ]
    assert video.said("text-1") == [(0.5, 2.0, "Guten Morgen, schöne Grüße")]
    english, german = listed(video)["text-0"], listed(video)["text-1"]
    assert (english.language, english.name, english.default) == ("en", "English", "YES")
    assert (english.autoselect, english.forced) == ("YES", "NO")
    assert (german.language, german.name, german.default) == ("de", "Deutsch", "NO")
    assert german.autoselect == "YES"
    assert english.group_id == german.group_id
    assert {item.stream_info.subtitles for item in video.master.playlists} == {english.group_id}
    texts = [track for track in video.video["renditions"] if track["kind"] == "text"]
    assert [(t["name"], t["language"], t["frames"], t["segments"]) for t in texts] == [
        ("text-0", "en", 3, 3),
        ("text-1", "de", 1, 3),
    ]
    # The same target duration and length as the pictures, and a map to their clock.
    pictures, text = m3u8.load(str(video.playlist("half"))), m3u8.load(str(video.playlist("text-0")))
    assert text.target_duration == pictures.target_duration
    assert [s.duration for s in text.segments] == [s.duration for s in pictures.segments]
    assert not any(segment.init_section for segment in text.segments)
    for segment in text.segments:
        lines = video.playlist("text-0").with_name(segment.uri).read_text("utf-8").splitlines()
        assert lines[:2] == ["WEBVTT", "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000"]


def test_the_clock_of_mpeg_ts(publish: Publisher) -> None:
    """It begins at 0.1 s, with the first picture."""
    video = publish(with_text("clip.mkv", clip("clip.mkv"), "subrip"), preset={"container": "ts"})

    first = ffprobe(video.playlist("full").with_name("seg-00001.ts"), "-show_packets", "-select_streams", "v")
    assert min(packet["pts"] for packet in first["packets"]) == 9000
    lines = video.playlist("text-0").with_name("seg-00001.vtt").read_text("utf-8").splitlines()
    assert lines[1] == "X-TIMESTAMP-MAP=MPEGTS:9000,LOCAL:00:00:00.000"
    assert video.said("text-0") == HEARD


@pytest.mark.parametrize("codec", ["subrip", "ass", "webvtt"])
def test_codecs(publish: Publisher, codec: str) -> None:
    video = publish(with_text("clip.mkv", clip("clip.mkv"), codec))

    assert video.said("text-0") == HEARD
    video.check_clip()


def test_times_count_from_the_first_picture(publish: Publisher) -> None:
    """Everything 5 s late, and the pictures 0.6 s more: what was said before them is gone."""
    late = with_text("late.mkv", clip("late.mkv", video_start=0.6), "subrip", "-output_ts_offset", "5")

    video = publish(late)

    assert video.said("text-0") == [(0.0, 0.9, HEARD[0][2]), (2.3, 2.65, "Three")]


def test_a_source_that_is_decoded_first(publish: Publisher) -> None:
    rare = clip("rare.mkv", frames=250, video=x264(gop=1000))

    video = publish(with_text("rare.mkv", rare, "ass", "-output_ts_offset", "2"))

    assert "its key frames are too far apart to decode it in chunks" in video.normalised
    assert video.said("text-0") == HEARD
    video.check_clip(frames=250)


def test_pictures_are_skipped_and_told(publish: Publisher) -> None:
    video = publish(bitmaps())

    assert video.video["source"]["skipped"] == [
        "subtitle stream 2 (eng): PGS subtitles are pictures, not text"
    ]
    assert listed(video) == {}


def bitmaps() -> Path:
    """The clip with a track of Blu-ray subtitles, one of which clears the screen at 1 s."""

    def build(path: Path) -> None:
        times = struct.pack(">II", 90_000, 0)
        screen = struct.pack(">HHBHBBBB", 128, 72, 0x10, 0, 0x80, 0, 0, 0)
        sup = path.with_name("clear.sup")
        sup.write_bytes(
            b"PG" + times + struct.pack(">BH", 0x16, len(screen)) + screen
            + b"PG" + times + struct.pack(">BH", 0x80, 0)
        )  # fmt: skip
        run_ffmpeg(
            "-i", str(clip("clip.mkv")), "-i", str(sup), "-map", "0", "-map", "1", "-c", "copy",
            "-metadata:s:s:0", "language=eng", str(path),
        )  # fmt: skip

    return media("bitmaps.mkv", build)


def test_files_of_the_request(publish: Publisher, tmp_path: Path) -> None:
    """In three formats and encodings, beside what the source has; the request says what is default."""
    (tmp_path / "a.srt").write_bytes(SAID.replace("Three", "Trois été").encode("cp1252"))
    (tmp_path / "b.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000 line:0\n<v Ann>Hi</v>\n", "utf-8")
    (tmp_path / "c.ass").write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8\\c&HFF&}Schild {\\i1}hier{\\i0}\n",
        "utf-16",
    )

    def file(path: str, language: str, **more: Any) -> dict[str, Any]:
        return {"uri": (tmp_path / path).as_uri(), "language": language, **more}

    video = publish(
        with_text("clip.mkv", clip("clip.mkv"), "subrip"),
        subtitles=[
            file("a.srt", "fr", name="Français", default=True),
            file("b.vtt", "en"),
            file("c.ass", "de", forced=True),
        ],
    )

    assert video.said("text-0") == HEARD
    assert video.said("text-1") == [HEARD[0], (2.9, 3.25, "Trois été")]
    assert video.said("text-2") == [(1.0, 2.0, "<v Ann>Hi</v>")]
    assert video.said("text-3") == [(1.0, 2.5, "Schild <i>hier</i>")]
    found = listed(video)
    assert [found[f"text-{n}"].default for n in range(4)] == ["NO", "YES", "NO", "NO"]
    assert [found[f"text-{n}"].name for n in (1, 2, 3)] == ["Français", "English", "Deutsch"]
    assert found["text-3"].forced == "YES"
    placed = video.playlist("text-2").with_name("seg-00002.vtt").read_text("utf-8")
    assert "00:00:01.000 --> 00:00:02.000 line:0\n" in placed


def test_a_bad_file_of_the_request(publish: Publisher, tmp_path: Path) -> None:
    bad = tmp_path / "bad.srt"
    bad.write_text(SAID.replace("00:00:03,250", "later"), "utf-8")

    with pytest.raises(InvalidInputError, match=r"subtitles\[0\] \(file://.*bad\.srt\), line 6") as refused:
        publish(clip("clip.mp4"), subtitles=[{"uri": bad.as_uri(), "language": "en"}])
    assert "later" not in str(refused.value), "content of the file is quoted"
    with pytest.raises(InvalidInputError, match=r"subtitles\[0\] \(file://.*none\.srt\): it does not exist"):
        publish(clip("clip.mp4"), subtitles=[{"uri": (tmp_path / "none.srt").as_uri(), "language": "en"}])
    assert not (publish.folder / "results" / "clip").exists()


def test_changed_subtitles_make_a_new_version(publish: Publisher, tmp_path: Path) -> None:
    """And the same ones redo nothing; lost ones are asked for again."""
    srt = tmp_path / "a.srt"
    asked = [{"uri": srt.as_uri(), "language": "en"}]
    srt.write_text(SAID, "utf-8")
    first = publish(clip("clip.mp4"), subtitles=asked).video["version"]

    again = publish(clip("clip.mp4"), subtitles=asked).video["version"]
    srt.write_text(SAID.replace("Three", "Four"), "utf-8")
    changed = publish(clip("clip.mp4"), subtitles=asked)

    assert again == first != changed.video["version"]
    assert changed.said("text-0")[1] == (2.9, 3.25, "Four")
