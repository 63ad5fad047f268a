"""Chapters, tags and attachments of a source: kept as data at most, never part of an encode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from exact.field import check_undamaged
from exact.publisher import Publisher
from support.clips import SOUND, clip, media, remuxed, run_ffmpeg
from support.published import Published

Chapter = tuple[float, float, str]

TWO: list[Chapter] = [(0, 2.2, "Kapitel 0"), (2.2, 4.4, "Kapitel 1")]
HUNDREDS: list[Chapter] = [(n * 0.016, n * 0.016 + 0.016, f"Kapitel {n}") for n in range(275)]


def metadata(chapters: Sequence[Chapter]) -> str:
    """An ffmetadata file."""
    lines = [";FFMETADATA1"]
    for start, end, title in chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start * 1000:.0f}", f"END={end * 1000:.0f}"]
        lines += [f"title={title}"] if title else []
    return "\n".join(lines) + "\n"


def with_chapters(file: str, source: Path, chapters: Sequence[Chapter], *options: str) -> Path:
    def build(path: Path) -> None:
        text = path.with_name("chapters.txt")
        text.write_text(metadata(chapters), "utf-8")
        run_ffmpeg(
            "-i", str(source), "-i", str(text), "-map", "0", "-map_metadata", "1", "-c", "copy",
            *options, str(path),
        )  # fmt: skip

    return media(file, build, str(source), chapters, options, metadata(chapters))


def check_chapters(video: Published, chapters: Sequence[Chapter]) -> None:
    """``video.json`` has these, counted from the first picture."""
    listed = [(c["start_s"], c["end_s"], c["title"]) for c in video.video["chapters"]]
    assert listed == [
        (pytest.approx(start, abs=0.002), pytest.approx(end, abs=0.002), title)
        for start, end, title in chapters
    ]


@pytest.mark.parametrize(
    ("file", "options", "chapters"),
    [
        pytest.param("clip.mp4", (), TWO, id="mp4"),
        pytest.param("clip.mp4", ("-movflags", "+faststart"), TWO, id="mp4-moov-first"),
        pytest.param("clip.mov", (), TWO, id="mov"),
        pytest.param("clip.mkv", (), TWO, id="matroska"),
        pytest.param("clip.mp4", (), HUNDREDS, id="mp4-hundreds"),
        pytest.param("clip.mov", (), HUNDREDS, id="mov-hundreds"),
        pytest.param("clip.mkv", (), HUNDREDS, id="matroska-hundreds"),
    ],
)
def test_chapters_are_data(
    publish: Publisher, file: str, options: tuple[str, ...], chapters: list[Chapter]
) -> None:
    video = publish(with_chapters(file, clip("whole.mp4"), chapters, *options))

    video.check_clip()
    check_chapters(video, chapters)
    check_undamaged(video)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        pytest.param("clip.mp4", ("-movflags", "+frag_keyframe"), id="mp4-fragmented"),
        pytest.param("clip.nut", (), id="nut"),
    ],
)
def test_chapters_of_files_whose_muxer_moves_the_pictures_only(
    publish: Publisher, file: str, options: tuple[str, ...]
) -> None:
    """By the reordering of two frames, without an edit list to take it off."""
    video = publish(with_chapters(file, clip("whole.mp4"), TWO, *options))

    video.check_clip()
    check_chapters(video, [(0, 2.12, "Kapitel 0"), (2.12, 4.32, "Kapitel 1")])


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv"])
def test_titles_of_chapters(publish: Publisher, file: str) -> None:
    """Any letters; Matroska has chapters without a title too."""
    titles = ["A", "B" if file == "clip.mp4" else "", "Überschrift; = # \\ 日本", "D" * 300]
    chapters: list[Chapter] = [(n, n + 1, title) for n, title in enumerate(titles)]
    escape = {ord(letter): f"\\{letter}" for letter in "\\;=#"}

    video = publish(
        with_chapters(file, clip("whole.mp4"), [(s, e, title.translate(escape)) for s, e, title in chapters])
    )

    video.check_clip()
    listed = video.video["chapters"]
    # QuickTime tells of a chapter only where it begins and what it is called, in at most 255 bytes.
    assert [(chapter["title"] or "")[:250] for chapter in listed] == [title[:250] for title in titles]
    assert [chapter["start_s"] for chapter in listed] == [0, 1, 2, 3]


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv"])
def test_chapters_count_from_the_first_picture(publish: Publisher, file: str) -> None:
    """Which comes 0.48 s after the first sound."""
    source = with_chapters(
        file, clip("whole.mp4", video_start=0.48), [(0, 1, "A"), (1, 2.5, "B"), (2.5, 4.88, "C")]
    )

    video = publish(source)

    video.check_pictures(range(110), "25")
    video.check_clicks([place - 0.48 for place in SOUND.schedule(110 / 25) if place >= 0.48])
    check_chapters(video, [(0, 0.52, "A"), (0.52, 2.02, "B"), (2.02, 4.4, "C")])


@pytest.mark.parametrize("chapters", [TWO, HUNDREDS], ids=["two", "hundreds"])
@pytest.mark.parametrize("file", ["clip.m4b", "clip.mka", "clip.mp3"])
def test_chapters_of_an_audio_book(publish: Publisher, file: str, chapters: list[Chapter]) -> None:
    options = {"clip.mp3": ("-c:a", "libmp3lame", "-b:a", "128k")}.get(file, ())
    sound = remuxed("sound.mp4", clip("whole.mp4"), "-map", "-0:v")

    video = publish(with_chapters(file, sound, chapters, *options))

    assert video.renditions == []
    video.check_clicks(SOUND.schedule(110 / 25))
    if file == "clip.mp3":  # its muxer moves the sound by the encoder's delay, and not the chapters
        late = 1105 / 48_000
        chapters = [(max(0, start - late), end - late, title) for start, end, title in chapters if end > late]
    check_chapters(video, chapters)
    check_undamaged(video)


def test_no_chapters(publish: Publisher) -> None:
    video = publish(clip("clip.mp4"))

    assert video.video["chapters"] == []


# --- other words ----------------------------------------------------------------------------

SECRET = "Strictly-Between-Us"


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mov", "clip.mkv"])
def test_no_word_of_the_source_is_in_what_viewers_fetch(publish: Publisher, file: str) -> None:
    """A phone's tags hold the place where it was; an editor's, the names of its projects."""
    tags = [f"{kind}={SECRET}" for kind in ("title", "comment", "location", "com.apple.quicktime.make")]
    # A track's title is what viewers choose it by.
    options = [part for tag in tags for part in ("-metadata", tag, "-metadata:s:v", tag)]
    options += [part for tag in tags[1:] for part in ("-metadata:s:a", tag)]
    options += ["-movflags", "+use_metadata_tags"] if file != "clip.mkv" else []

    def attached(path: Path) -> None:
        font = path.with_name("font.ttf")
        font.write_bytes(SECRET.encode() * 9000)
        run_ffmpeg(
            "-i", str(clip("whole.mp4")), "-map", "0", "-c", "copy",
            *(["-attach", str(font), "-metadata:s:t", "mimetype=font/ttf"] if file == "clip.mkv" else []),
            *options, str(path),
        )  # fmt: skip

    source = with_chapters(
        file, media(f"whole{Path(file).suffix}", attached, options, file), [(0, 2, SECRET), (2, 4.4, SECRET)],
        "-map_metadata", "0", "-map_chapters", "1", *options,
    )  # fmt: skip
    assert source.read_bytes().count(SECRET.encode()) >= 5

    video = publish(source)

    video.check_clip()
    told = [
        path
        for path in (video.folder / video.video["version"]).rglob("*")
        if path.is_file() and path.suffix != ".json" and SECRET.encode() in path.read_bytes()
    ]
    assert told == []
