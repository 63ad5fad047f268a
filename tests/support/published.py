"""A published video as a player gets it, and what must be true of it."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import m3u8
import numpy as np
import pytest
from numpy.typing import NDArray

from support.clips import SAMPLE_RATE, SOUND, Heard, Sound, clicks_in, decoded, hear, numbers_in
from support.tools import ffprobe

START_S = Fraction(1, 10)
"""What the clock of MPEG-TS shows at the first picture."""

FIRST_SOUND_S = float(START_S) - 1024 / SAMPLE_RATE
"""What packed audio tells of its first frame, which is the encoder's priming."""

CLICK_TOLERANCE_S = 512 / SAMPLE_RATE
"""How far sound may be off against the picture. One AAC frame (1024 samples) is what is promised; half of it,
so that a forgotten priming, which is just that frame, is seen."""


@dataclass(frozen=True)
class Published:
    """A published video, as a player sees it."""

    folder: Path

    @cached_property
    def video(self) -> dict[str, Any]:
        """``video.json``"""
        found: dict[str, Any] = json.loads((self.folder / "video.json").read_text("utf-8"))
        return found

    @cached_property
    def master(self) -> m3u8.M3U8:
        return m3u8.load(str(self.folder / "index.m3u8"))

    @property
    def rate(self) -> Fraction:
        return Fraction(self.video["frame_rate"])

    @property
    def normalised(self) -> list[str]:
        return list(self.video["source"]["normalised"])

    def tracks(self, kind: str) -> list[dict[str, Any]]:
        return [track for track in self.video["renditions"] if track["kind"] == kind]

    @property
    def renditions(self) -> list[str]:
        return [track["name"] for track in self.tracks("video")]

    def playlist(self, name: str) -> Path:
        return self.folder / self.video["version"] / name / "index.m3u8"

    def stream(self, name: str) -> dict[str, Any]:
        """What ffprobe says of a track."""
        found: dict[str, Any] = ffprobe(
            self.playlist(name), "-allowed_extensions", "ALL", "-show_streams"
        )["streams"][0]  # fmt: skip
        return found

    def pictures(self, name: str) -> NDArray[np.uint8]:
        """Luma of a rendition: pictures x height x width."""
        track = next(track for track in self.tracks("video") if track["name"] == name)
        return decoded(self.playlist(name), track["width"], track["height"])

    def numbers(self, name: str) -> list[int]:
        """The numbers that a rendition shows."""
        return numbers_in(self.pictures(name))

    @property
    def is_transport(self) -> bool:
        """MPEG-TS, whose clock starts at 0.1 s and has ticks that are no whole part of every frame."""
        return not list(self.folder.glob(f"{self.video['version']}/*/init.mp4"))

    def times(self, name: str) -> list[Fraction]:
        """When a rendition's pictures are shown, in seconds; of MPEG-TS, the nearest time on the grid."""
        found = ffprobe(
            self.playlist(name), "-allowed_extensions", "ALL", "-show_entries", "packet=pts:stream=time_base"
        )
        base = Fraction(found["streams"][0]["time_base"])
        shown = sorted(packet["pts"] * base for packet in found["packets"])
        if not self.is_transport:
            return shown
        on_grid = [round((time - START_S) * self.rate) / self.rate for time in shown]
        assert all(abs(a - START_S - b) <= base for a, b in zip(shown, on_grid, strict=True))
        return on_grid

    def sound(self, name: str) -> Heard:
        """A track as a player hears it: without the priming that the edit list hides.

        Checks that no sample is missing or doubled between two frames.
        """
        # With the times that are in the segments: a track that begins late is not moved to 0.
        playlist = self.playlist(name)
        heard, _ = hear(*((self._unpacked(playlist),) if self.is_transport else (playlist, "-copyts")))
        for (first, count), (following, _) in pairwise(heard.frames):
            assert following == first + count, f"{name}: {following - first - count} samples too late"
        return heard

    def _unpacked(self, playlist: Path) -> Path:
        """The frames of packed audio in one file. ffmpeg gives them wrong times if segments are so short that
        it reads several to know what they are; so the times are checked here."""
        frames, at = b"", None
        for segment in m3u8.load(str(playlist)).segments:
            data = (playlist.parent / segment.uri).read_bytes()
            size = 10 + (data[8] << 7 | data[9])
            time = int.from_bytes(data[size - 8 : size], "big") / 90_000
            assert time == pytest.approx(at or FIRST_SOUND_S, abs=1.1 / 90_000)
            at, frames = time + segment.duration, frames + data[size:]
        (playlist.parent / "all.aac").write_bytes(frames)
        return playlist.parent / "all.aac"

    def clicks(self, name: str = "audio-0", channel: int = 0) -> list[float]:
        """When a track clicks, in seconds."""
        heard = self.sound(name)
        start = float(START_S) - FIRST_SOUND_S if self.is_transport else 0
        return [place - start for place in clicks_in(heard.on_the_clock(channel), heard.sample_rate)]

    def said(self, name: str) -> list[tuple[float, float, str]]:
        """When a subtitle track says what, by ffmpeg; a cue that stands in several segments once.

        Checks that they stand in exactly the segments that show them.
        """
        found: dict[tuple[float, float, str], list[int]] = {}
        ends: list[float] = []
        for number, segment in enumerate(m3u8.load(str(self.playlist(name))).segments):
            ends.append((ends[-1] if ends else 0) + segment.duration)
            for cue in cues_in(self.playlist(name).with_name(segment.uri)):
                found.setdefault(cue, []).append(number)
        for (begin, end, text), numbers in found.items():
            first = bisect_right(ends, begin + 1e-5)
            last = min(bisect_right(ends, end - 1e-5), len(ends) - 1)
            assert numbers == [*range(first, last + 1)], f"{name}: {text!r} at {begin} is in {numbers}"
        return sorted(found)

    # --- the measure ------------------------------------------------------------------------

    def check_pictures(self, numbers: Sequence[int], rate: Fraction | str) -> None:
        """Every rendition shows exactly these numbers, each at its own time on the grid of ``rate``."""
        assert self.rate == Fraction(rate), f"{self.rate} pictures a second, not {rate}"
        assert self.renditions, "no picture was published"
        for name in self.renditions:
            shown = self.numbers(name)
            assert shown == list(numbers), f"{name}: {difference(shown, numbers)}"
            assert self.times(name) == [n / self.rate for n in range(len(numbers))], f"{name}: off the grid"
        assert self.video["frames"] == len(numbers), "video.json counts other frames"

    def check_clicks(
        self,
        places: Sequence[float],
        name: str = "audio-0",
        channel: int = 0,
        tolerance_s: float = CLICK_TOLERANCE_S,
    ) -> None:
        """A track clicks exactly there."""
        heard = self.clicks(name, channel)
        wanted = [pytest.approx(place, abs=tolerance_s) for place in places]
        found, planned = ([round(place, 4) for place in some] for some in (heard, places))
        assert heard == wanted, f"{name}: clicks at {found}, not {planned}"

    def check_clip(
        self,
        *,
        frames: int = 110,
        first: int = 0,
        rate: Fraction | str = "25",
        sound: Sound | None = SOUND,
    ) -> None:
        """Shows the pictures ``[first, frames)`` of ``clips.clip``, and clicks in step with them."""
        self.check_pictures(range(first, frames), rate)
        if sound is None:
            assert self.tracks("audio") == []
        else:
            seconds = Fraction(frames) / Fraction(rate)
            cut = float(first / Fraction(rate)) - sound.start
            places = [place - cut for place in sound.schedule(float(seconds))]
            self.check_clicks([place for place in places if place >= 0])


def cues_in(file: Path) -> list[tuple[float, float, str]]:
    """Begin, end and text of what a subtitle file says, by ffmpeg."""
    found = ffprobe(file, "-show_data", "-show_entries", "packet=pts_time,duration_time,data")["packets"]
    cues = []
    for packet in found:
        lines = [line for line in packet["data"].splitlines() if line]
        data = bytes.fromhex("".join(line[10:50].replace(" ", "") for line in lines))
        begin = float(packet["pts_time"])
        cues.append((begin, round(begin + float(packet["duration_time"]), 3), data.decode()))
    return cues


def difference(shown: Sequence[int], wanted: Sequence[int]) -> str:
    """Where two runs of numbers part."""
    length = f"{len(shown)} pictures, not {len(wanted)}; " if len(shown) != len(wanted) else ""
    both = list(zip(shown, wanted, strict=False))
    at = next((n for n, (a, b) in enumerate(both) if a != b), len(both))
    return f"{length}from picture {at} on {list(shown[at : at + 12])}, not {list(wanted[at : at + 12])}"


def named_files(folder: Path) -> set[str]:
    """All that the stable playlist leads to, and the metadata; relative paths.

    Fails if a playlist names what is not there.
    """
    stable = {"index.m3u8", "manifest.mpd", "video.json"}
    video = json.loads((folder / "video.json").read_text("utf-8"))
    version = video["version"]
    names = stable | {f"{version}/{name}" for name in ("master.m3u8", "manifest.mpd", "video.json")}
    if video["poster"]:
        board = video["storyboard"]["uri"]
        names |= {video["poster"], board}
        sheets = re.findall(r"^(\S+)#xywh", (folder / board).read_text("utf-8"), re.MULTILINE)
        names |= {f"{board.rpartition('/')[0]}/{sheet}" for sheet in sheets}
    master = m3u8.load(str(folder / "index.m3u8"))
    listed = [*master.playlists, *master.iframe_playlists, *(item for item in master.media if item.uri)]
    for item in listed:
        names.add(item.uri)
        media = m3u8.load(str(folder / item.uri))
        below = item.uri.rpartition("/")[0]
        names |= {f"{below}/{segment.uri}" for segment in media.segments}
        names |= {f"{below}/{part.uri}" for part in media.segment_map if part}
    manifest = (folder / "manifest.mpd").read_text("utf-8")
    names |= set(re.findall(r"<BaseURL>([^<]+)</BaseURL>", manifest))
    missing = sorted(name for name in names if not (folder / name).is_file())
    assert not missing, f"named, but not there: {missing}"
    assert {name.partition("/")[0] for name in names} == stable | {version}
    return names


def check_no_strays(folder: Path) -> None:
    """Results hold what the stable playlist leads to, and nothing else."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    # Copies of the stable objects in their version, for a rollback, are nobody's to name; nor are checksums.
    kept = ("/stable.m3u8", "/stable.mpd", "/SHA256SUMS")
    strays = sorted(name for name in found - named_files(folder) if not name.endswith(kept))
    assert not strays, f"stray files in results: {strays}"


def check_published(folder: Path, *, frames: int) -> None:
    """Whole, in order, with nothing beside it."""
    Published(folder).check_pictures(range(frames), "25")
    check_no_strays(folder)
