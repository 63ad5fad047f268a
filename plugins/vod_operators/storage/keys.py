"""All keys of the temp and results stores.

::

    {temp}/{video_id}/claim.json                          who works on the video; never deleted
    {temp}/{video_id}/source-{fp}/                        shared by presets with the same chunks
        timeline.json
        chunk-00000.nut, audio-0.nut, text-0.vtt
    {temp}/{video_id}/work-{fp}/                          one plan, one ffmpeg, one key
        plan.json, choice.json, estimate.json
        chunk-00000/{rendition}/seg-00001.m4s, piece.json
        chunk-00000/partial.json, partial/{try}-00000144  what an encode that was killed has left
        chunk-00000/{try}/{rendition}/...                 segments of a try that went on behind it
        chunk-00000.again/{rendition}/...                 encoded again, nearer to the target quality
        chunk-00000/thumbnails.mjpeg, posters.mjpeg
        audio/{rendition}/seg-00001.m4s, piece.json       the same of sound
        text/{rendition}.vtt                              subtitle files of the request
    {temp}/_index/00.json                                 what lists show of published videos, in shards
    {results}/steering.json                               which edge players shall use, for all videos
    {results}/_history/{fp}.json                          what the latest videos of a preset cost
    {results}/{video_id}/index.m3u8                       the stable playlist, whose URL players are given
    {results}/{video_id}/manifest.mpd                     the same for DASH players
    {results}/{video_id}/video.json                       metadata for the CMS
    {results}/{video_id}/{version}/                       immutable
        master.m3u8, manifest.mpd
        SHA256SUMS                                        of all files but video.json
        video.json, stable.m3u8, stable.mpd               contents of the three files above for this version
        {track}/init.mp4, seg-00001.m4s (.ts, .aac), index.m3u8, iframes.m3u8
        text-0/seg-00001.vtt, index.m3u8, whole.vtt
        pictures/poster.jpg, storyboard.vtt, sheet-00001.jpg
        downloads/{video_id}-720p.mp4
        chapters.json, chapters.vtt

A marker, ``{step}.done.json``, is written after a step's files: their sizes, checksums and measured facts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar

from vod_operators.errors import InvalidInputError
from vod_operators.storage import checksums

VIDEO_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
"""Matches a whole id that is safe as a folder, in a URL and in an Airflow run id."""

MARKER = ".done.json"
"""Ends the names of markers."""


def is_video_id(name: str) -> bool:
    """Whether a name has the form of a video id."""
    return re.fullmatch(VIDEO_ID_PATTERN, name) is not None


def check_video_id(video_id: str) -> str:
    """Check a video id; returns it.

    :raises InvalidInputError: it is not 1 to 128 of ``A-Z a-z 0-9 _ -``, starting with a letter or digit.
    """
    if not is_video_id(video_id):
        raise InvalidInputError(
            f"video_id: {shown_id(video_id)} is not usable; use 1 to 128 of A-Z a-z 0-9 _ -, "
            "starting with a letter or a digit"
        )
    return video_id


def shown_id(video_id: str) -> str:
    """The id for messages; an invalid one is quoted and shortened."""
    if is_video_id(video_id):
        return video_id
    return repr(video_id if len(video_id) <= 40 else f"{video_id[:40]}... ({len(video_id)} characters)")


@dataclass(frozen=True, kw_only=True)
class _Workspace:
    """A folder of a video in the temp store, named by a fingerprint."""

    KIND: ClassVar[str]
    temp_uri: str
    video_id: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """The workspace, without a final slash."""
        return f"{self.temp_uri}/{self.video_id}/{self.KIND}-{self.fingerprint}"

    def marker(self, step: str) -> str:
        """The marker that says that a step's outputs are complete."""
        return f"{self.folder}/{step}{MARKER}"


class SourceKeys(_Workspace):
    """Keys of one source's chunks in the temp store."""

    KIND = "source"

    @property
    def timeline(self) -> str:
        """The source's timeline and chunks."""
        return f"{self.folder}/timeline.json"

    def packets(self, part: str) -> str:
        """The packets of a chunk or of a whole sound track."""
        return f"{self.folder}/{part}.nut"

    def text(self, track: str) -> str:
        """A whole subtitle track, as WebVTT."""
        return f"{self.folder}/{track}.vtt"


class WorkKeys(_Workspace):
    """Keys of one plan's work in the temp store."""

    KIND = "work"
    PLAN: ClassVar[str] = "plan.json"
    SEGMENTED: ClassVar[str] = "hls-"
    """Prefix of the names of markers whose objects are in the results store."""

    @property
    def plan(self) -> str:
        """The plan of the first task; a workspace without it is not used."""
        return f"{self.folder}/{self.PLAN}"

    @property
    def choice(self) -> str:
        """What was chosen for this video, where the plan leaves it open."""
        return f"{self.folder}/choice.json"

    @property
    def estimate(self) -> str:
        """What the first task estimated."""
        return f"{self.folder}/estimate.json"

    def piece(self, chunk: str, rendition: str) -> str:
        """Facts of the segments of one rendition of one chunk."""
        return self.segment(chunk, rendition, "piece.json")

    def segment(self, chunk: str, rendition: str, name: str) -> str:
        """One segment of one rendition of one chunk."""
        return f"{self.folder}/{chunk}/{rendition}/{name}"

    def still(self, chunk: str, file: str) -> str:
        """Still pictures of one chunk."""
        return f"{self.folder}/{chunk}/{file}"

    def partial(self, chunk: str) -> str:
        """What an unfinished encode of a chunk has stored."""
        return f"{self.folder}/{chunk}/partial.json"

    def span(self, chunk: str, name: str) -> str:
        """Some frames of an unfinished encode."""
        return f"{self.folder}/{chunk}/partial/{name}"

    def text(self, rendition: str) -> str:
        """A subtitle file of the request, as WebVTT."""
        return f"{self.folder}/text/{rendition}.vtt"

    def segmented(self, track: str, version_uri: str) -> str:
        """The marker that says that a track's segments are complete in a version's folder.

        Its name has a digest of the folder, because segments in another folder are of no use: that of another
        results store, or of the version of a lost plan.
        """
        return self.marker(f"{self.SEGMENTED}{track}-{hashlib.sha256(version_uri.encode()).hexdigest()[:8]}")


@dataclass(frozen=True, kw_only=True)
class ResultKeys:
    """Keys of a published video."""

    results_uri: str
    video_id: str

    @property
    def playlist(self) -> str:
        """The stable playlist."""
        return f"{self.folder}/index.m3u8"

    @property
    def manifest(self) -> str:
        """The stable DASH manifest: missing if no version had one, empty if only the current one has none."""
        return f"{self.folder}/manifest.mpd"

    @property
    def metadata(self) -> str:
        """The metadata of the version that the stable playlist points to."""
        return f"{self.folder}/video.json"

    @property
    def folder(self) -> str:
        """The video's folder, without a final slash."""
        return f"{self.results_uri}/{self.video_id}"

    def version(self, version: str, name: str) -> str:
        """A file of an immutable version."""
        return f"{self.folder}/{version}/{name}"

    def version_metadata(self, version: str) -> str:
        """The version's own metadata, written after all its media: a version that has it is complete."""
        return self.version(version, "video.json")

    def version_checksums(self, version: str) -> str:
        """The checksums of the version's files."""
        return self.version(version, checksums.FILE)

    def version_manifest(self, version: str) -> str:
        """The stable manifest's content while it points to this version."""
        return self.version(version, "stable.mpd")

    def version_playlist(self, version: str) -> str:
        """The stable playlist's content while it points to this version."""
        return self.version(version, "stable.m3u8")


def is_workspace(folder: str) -> bool:
    """Whether a folder of a video in the temp store is a workspace, whose work can be repeated."""
    return re.fullmatch(r"(source|work)-[0-9a-f]{12}", folder) is not None


def probe_key(root_uri: str, name: str) -> str:
    """A test object for learning whether a store honours conditions; outside of all videos' folders."""
    return f"{root_uri}/_probe-{name}"


def index_folder(temp_uri: str) -> str:
    """The folder of the index of published videos; no video's folder has such a name."""
    return f"{temp_uri}/_index/"


def history_key(results_uri: str, preset_fingerprint: str) -> str:
    """What the latest videos of a preset cost; no video's folder has such a name."""
    return f"{results_uri}/_history/{preset_fingerprint}.json"


def steering_key(results_uri: str) -> str:
    """The steering manifest of all videos; no video's folder has such a name."""
    return f"{results_uri}/steering.json"


def claim_key(temp_uri: str, video_id: str) -> str:
    """The claim on a video, for all presets."""
    return f"{temp_uri}/{video_id}/claim.json"
