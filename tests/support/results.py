"""Small published videos in either store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from vod_operators.storage.base import Storage
from vod_operators.storage.keys import ResultKeys
from vod_operators.work.result import RenditionResult, SourceFacts, Timings, VideoResult
from vod_operators.work.stable import IMMUTABLE, point_to, read_result, shown_version


def a_result(version: str) -> VideoResult:
    return VideoResult(
        video_id="film",
        version=version,
        preset="h264",
        preset_fingerprint="0123456789ab",
        playlist_urls=(),
        duration_s=1.0,
        frames=25,
        frame_rate=None,
        chunks=1,
        source=SourceFacts(
            name="film.mp4", fingerprint="0123456789ab", container="mp4", size_bytes=1, duration_s=1,
            bitrate_bps=1, video_codec=None, width=None, height=None, frame_rate=None,
            audio_tracks=0, text_tracks=0, skipped=(), normalised=(), damage=(),
        ),
        renditions=(
            RenditionResult(
                name="360p", kind="video", codecs="avc1", width=640, height=360, frame_rate=None,
                captions=(), channels=None, loudness=None, language=None, title=None, default=False,
                forced=False, duration_s=1, frames=25, segments=1,
                size_bytes=2 * len(version), average_bps=1, peak_bps=1,
            ),
        ),
        poster=None,
        storyboard=None,
        timings=Timings(
            started_at=None, published_at=datetime(2026, 1, 1, tzinfo=timezone.utc), wall_s=None, encode_s=0
        ),
        made_by={},
    )  # fmt: skip


def version(number: int) -> str:
    return f"v-{number:012x}-{number:06x}"


@dataclass(frozen=True)
class Place:
    temp: Storage
    temp_uri: str
    results: Storage
    keys: ResultKeys
    conn_id: str

    def publish(
        self, number: int, still_owner: Callable[[], None] = lambda: None, through: Any = None
    ) -> VideoResult:
        """A version with an init segment and a segment, and the stable playlist pointing to it."""
        name = version(number)
        playlist = f"#EXTM3U\n{name}/360p/init.mp4\n{name}/360p/seg-00001.m4s\n".encode()
        result = a_result(name)
        for uri, data in (
            (self.keys.version(name, "360p/init.mp4"), name.encode()),
            (self.keys.version(name, "360p/seg-00001.m4s"), name.encode()),
            (self.keys.version_playlist(name), playlist),
            (self.keys.version_metadata(name), result.model_dump_json().encode()),
        ):
            self.results.write(uri, [data], cache_control=IMMUTABLE)
        manifest = f"<MPD>{name}</MPD>\n".encode()
        self.results.write(self.keys.version_manifest(name), [manifest], cache_control=IMMUTABLE)
        return point_to(
            through or self.results, self.keys, result, playlist, manifest, still_owner=still_owner
        )

    def seen(self) -> tuple[str | None, str]:
        """What the playlist and the metadata point to."""
        found = read_result(self.results, self.keys.metadata)
        assert found is not None
        return shown_version(self.results, self.keys), found.version
