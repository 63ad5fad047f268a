"""What may be added to a master playlist: scores, stable ids, and pathways of several edges."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from vod_operators.media.sound_codecs import SUFFIXES, SURROUND_SUFFIX
from vod_operators.media.track import Track

WORTH = {"hvc1": 2.0, "av01": 2.0}
"""Bits of H.264 that give the quality of one bit of a codec, roughly; 1 of all others."""

HDR_WORTH = 1.25
"""By how much more a bit of HDR counts, so that it is preferred to SDR of about the same bitrate."""

VARIANT, I_FRAMES, MEDIA = "#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-MEDIA"

_URI = re.compile(r'(?<![A-Z-])URI="([^"]*)"')
_GROUP = re.compile(r'(?<![A-Z-])(GROUP-ID|AUDIO|SUBTITLES)="([^"]*)"')


@dataclass(frozen=True)
class Line:
    """A line of a master playlist, with the URI line that belongs to it."""

    text: str
    uri_line: str = ""
    """Empty but for a variant."""

    @property
    def tag(self) -> str:
        """``#EXT-X-MEDIA``; the whole line if it has no value."""
        return self.text.partition(":")[0]

    @property
    def uri(self) -> str:
        """The URI that it names; empty if it names none."""
        found = _URI.search(self.text)
        return self.uri_line or (found[1] if found else "")

    def at(self, uri: str) -> Line:
        """The same, naming another URI."""
        if self.uri_line:
            return replace(self, uri_line=uri)
        return replace(self, text=_URI.sub(lambda _: f'URI="{uri}"', self.text))

    def adding(self, attributes: str) -> Line:
        """The same with further attributes."""
        return replace(self, text=f"{self.text},{attributes}")


def lines_of(master: str) -> Iterator[Line]:
    """The lines of a master playlist that ``media.hls`` made."""
    lines = iter(master.splitlines())
    for text in lines:
        yield Line(text, next(lines) if text.startswith(f"{VARIANT}:") else "")


def _text(lines: Iterable[Line]) -> str:
    return "".join(f"{line.text}\n{line.uri_line}\n" if line.uri_line else f"{line.text}\n" for line in lines)


# --- scores and ids -------------------------------------------------------------------------


def hinted(master: str, tracks: Sequence[Track], *, score: bool, stable_ids: bool) -> str:
    """The master playlist with SCORE of each variant, and with stable ids of variants and renditions.

    All tags that name one playlist have one id (RFC 8216bis 4.4.6.1, 4.4.6.2).

    :param tracks: those that the playlist names.
    """
    named = {track.name: track for track in tracks}
    ids = stable_ids_of(tracks) if stable_ids else {}
    lines = []
    for line in lines_of(master):
        track = named.get(line.uri.split("/")[-2]) if "/" in line.uri else None
        if track is not None:
            if stable_ids and line.tag == MEDIA:
                line = line.adding(f'STABLE-RENDITION-ID="{ids[track.name]}"')
            elif stable_ids and line.tag in (VARIANT, I_FRAMES):
                suffix = ".i-frames" * (line.tag == I_FRAMES)
                line = line.adding(f'STABLE-VARIANT-ID="{ids[track.name]}{suffix}"')
            if score and line.tag in (VARIANT, I_FRAMES):
                line = line.adding(f"SCORE={score_of(track):.3f}")
        lines.append(line)
    return _text(lines)


def score_of(track: Track) -> float:
    """How good a track's pictures are (RFC 8216bis 4.4.6.2): the average Mb/s that H.264 would need for them.

    So a higher bitrate of one codec is better, and of two codecs at one bitrate the newer one is.
    """
    worth = WORTH.get(track.family, 1.0) * (1.0 if track.video_range == "SDR" else HDR_WORTH)
    return track.average_bps * worth / 1_000_000


def stable_ids_of(tracks: Sequence[Track]) -> dict[str, str]:
    """An id of each track that is the same in all versions from one ladder, by the track's name.

    Of a variant it is the rung's name; of sound and text, which the source numbers, language and purpose.
    """
    ids: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for track in tracks:
        found = track.name if track.kind == "video" else ".".join(_purpose(track))
        seen[found] += 1
        ids[track.name] = found if seen[found] == 1 else f"{found}.{seen[found]}"
    return ids


def _purpose(track: Track) -> Iterator[str]:
    yield track.kind
    yield track.language or "und"
    purposes = {
        "description": track.describes_video,
        "hearing-impaired": track.hearing_impaired,
        "commentary": track.commentary,
        "forced": track.forced,
        "surround": track.name.endswith(SURROUND_SUFFIX),
        **{str(codec): track.name.endswith(end) for codec, end in SUFFIXES.items()},
        "imsc": track.kind == "text" and bool(track.init_bytes),
    }
    yield from (name for name, is_so in purposes.items() if is_so)


# --- content steering -----------------------------------------------------------------------


def steered(master: str, pathways: Mapping[str, str], server_uri: str) -> str:
    """The master playlist with every variant and rendition on each pathway (RFC 8216bis 4.4.6.6, 7).

    All of the first pathway come first, for players that do not know of pathways. Captions are in the
    pictures, so they have no pathway. The storyboard's playlist has none either: there is no rule for it.

    :param pathways: id of each -> URL of the folder that the playlist's URIs are relative to; best first.
    :param server_uri: URI of the steering manifest.
    """
    lines = list(lines_of(master))
    tags = {MEDIA: _rendition_of, VARIANT: _variant_of, I_FRAMES: _variant_of}
    doubled = [line for line in lines if line.tag in tags and line.uri]
    begin = next(number for number, line in enumerate(lines) if line in doubled)
    steering = f'#EXT-X-CONTENT-STEERING:SERVER-URI="{server_uri}",PATHWAY-ID="{next(iter(pathways))}"'
    made = [*lines[:begin], Line(steering)]
    for tag, change in tags.items():
        ours = [line for line in doubled if line.tag == tag]
        made += (change(line, name, base) for name, base in pathways.items() for line in ours)
        made += (line for line in lines[begin:] if line.tag == tag and not line.uri)
    return _text([*made, *(line for line in lines[begin:] if line.tag not in tags)])


def _rendition_of(line: Line, pathway: str, base: str) -> Line:
    return _grouped(line.at(urljoin(base, line.uri)), pathway)


def _variant_of(line: Line, pathway: str, base: str) -> Line:
    return _grouped(line.at(urljoin(base, line.uri)), pathway).adding(f'PATHWAY-ID="{pathway}"')


def _grouped(line: Line, pathway: str) -> Line:
    """The line with the groups of that pathway."""
    text = _GROUP.sub(lambda group: f'{group[1]}="{group[2]}.{pathway}"', line.text)
    return replace(line, text=text)
