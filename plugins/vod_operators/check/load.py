"""Reads a presentation once: playlists, init segments, and the facts of every segment.

Memory holds one segment at a time; a few hundred bytes of facts are kept of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vod_operators.check.attributes import Attributes
from vod_operators.check.crypto import WHOLE, Keys
from vod_operators.check.playlist import ByteRange, Entry, Playlist, parse
from vod_operators.check.presentation import (
    Answer,
    Fault,
    ImageTrack,
    Presentation,
    Reader,
    SessionData,
    Track,
)
from vod_operators.check.tags import IMAGES
from vod_operators.errors import InvalidInputError, ObjectNotFoundError, VerificationError
from vod_operators.formats import mp4
from vod_operators.formats.facts import Init, SegmentFacts
from vod_operators.formats.images import read_image
from vod_operators.formats.samples import decrypted_samples
from vod_operators.formats.segment import measure_segment, unreadable
from vod_operators.formats.ts import continued

_InitRead = tuple[bytes, Init, dict[int, mp4.InitTrack]]
"""Clear bytes of an init segment, and what they say."""

_NO_INIT: _InitRead = (b"", Init(size_bytes=0, brands=(), has_samples=False, has_mvex=False, formats=()), {})


class Loader:
    """Reads a presentation.

    :param key: AES-128 key of all segments, used in place of the playlists' key URIs.
    """

    def __init__(self, reader: Reader, key: bytes | None = None) -> None:
        self._reader = reader
        self._keys = Keys(reader.read, key)
        self._inits: dict[tuple[str, ByteRange | None], _InitRead] = {}
        self._facts: dict[tuple[str, ByteRange | None], SegmentFacts] = {}

    def load(self, location: str) -> Presentation:
        """The whole presentation.

        :param location: URI of a master playlist, or of one media playlist.
        :raises InvalidInputError: there is no playlist.
        """
        playlist = self._playlist(location)
        if playlist.unreadable or not playlist.text.removeprefix("\ufeff").startswith("#EXTM3U"):
            raise InvalidInputError(
                playlist.unreadable or f"{location} is not an HLS playlist: it does not begin with #EXTM3U"
            )
        presentation = Presentation()
        presentation.answers += self._answers("playlist", location)
        if not playlist.is_master:
            track = self._track(playlist)
            (presentation.i_frames if playlist.is_i_frames_only else presentation.tracks)[location] = track
            self._sample_answers(presentation, track)
            return presentation
        presentation.master = playlist
        for item in playlist.lists.get("EXT-X-SESSION-DATA", []):
            if "URI" in item:
                presentation.session_data[item["URI"]] = self._session_data(item)
        uris = [uri for uri, _ in playlist.variants] + [m["URI"] for m in playlist.media if "URI" in m]
        for uri in dict.fromkeys(uris):
            presentation.tracks[uri] = self._track(self._playlist(uri, playlist.variables))
            presentation.answers += self._answers("playlist", uri)
            self._sample_answers(presentation, presentation.tracks[uri])
        for uri in dict.fromkeys(uri for uri, _ in playlist.i_frames):
            presentation.i_frames[uri] = self._i_frame_track(self._playlist(uri, playlist.variables))
            presentation.answers += self._answers("playlist", uri)
        for uri in dict.fromkeys(item["URI"] for item in playlist.lists.get(IMAGES, []) if "URI" in item):
            presentation.images[uri] = self._image_track(self._playlist(uri, playlist.variables))
            presentation.answers += self._answers("playlist", uri)
        return presentation

    def _playlist(self, uri: str, imported: Mapping[str, str] | None = None) -> Playlist:
        try:
            data = self._reader.read(uri)
        except ObjectNotFoundError as error:
            return Playlist(uri=uri, text="", unreadable=str(error))
        try:
            return parse(uri, data.decode(), imported)
        except UnicodeDecodeError as error:
            playlist = parse(uri, data.decode("utf-8", "replace"), imported)
            playlist.errors.append(f"byte {error.start} is not UTF-8")
            return playlist

    def _session_data(self, item: Attributes) -> SessionData:
        content, why = None, ""
        try:
            content = self._reader.read(item["URI"])
        except ObjectNotFoundError as error:
            why = str(error)
        is_json = item.get("FORMAT", "JSON") == "JSON"
        return SessionData(data_id=item.get("DATA-ID", ""), is_json=is_json, content=content, unreadable=why)

    def _answers(self, kind: str, uri: str) -> list[tuple[str, Answer]]:
        response = self._reader.answer(uri)
        return [] if response is None else [(kind, response)]

    def _sample_answers(self, presentation: Presentation, track: Track) -> None:
        """Ask the server for one init segment and one segment of a track; they stand for the others."""
        if first := next(((entry, facts) for entry, facts in track.pairs() if not entry.gap), None):
            entry, facts = first
            if entry.map_uri:
                presentation.answers += self._answers("init", entry.map_uri)
            presentation.answers += self._answers(facts.container, entry.uri)

    # --- tracks -----------------------------------------------------------------------------

    def _track(self, playlist: Playlist) -> Track:
        if playlist.is_i_frames_only:
            return self._i_frame_track(playlist)
        track = Track(playlist=playlist, unreadable=[playlist.unreadable] if playlist.unreadable else [])
        before: SegmentFacts | None = None
        unread: dict[str, str] = {}
        for entry in playlist.entries:
            self._take_init(track, entry)
            facts = continued(self._segment(track, entry), None if entry.discontinuity else before)
            before = facts if facts.streams else before
            track.segments.append(facts)
            if facts.unreadable and not facts.needs_key and not entry.gap:
                track.unreadable.append(f"{entry.uri}: {facts.unreadable}")
            unread |= {name: entry.uri for name in facts.unread if name not in unread}
        track.unreadable += (f"{uri}: {name} in MPEG-TS, which HLS has not" for name, uri in unread.items())
        return track

    def _take_init(self, track: Track, entry: Entry) -> None:
        if entry.map_uri is None:
            return
        place = (entry.map_uri, entry.map_range)
        if place not in self._inits:
            try:
                data = self._keys.decrypted(
                    self._bytes(*place), replace(entry, encryption=entry.map_encryption)
                )
                self._inits[place] = (data, *mp4.read_init(data)) if data is not None else _NO_INIT
            except (VerificationError, ObjectNotFoundError) as error:
                track.unreadable.append(f"{entry.map_uri}: {error}")
                self._inits[place] = _NO_INIT
        init = self._inits[place][1]
        if init not in track.inits:
            track.inits.append(init)

    def _bytes(self, uri: str, part: ByteRange | None) -> bytes:
        if part is None:
            return self._reader.read(uri)
        data = self._reader.read(uri, part.start, part.length)
        if len(data) < part.length:
            raise VerificationError(f"byte range {part.length}@{part.start} goes beyond the end of the file")
        return data

    def _segment(self, track: Track, entry: Entry) -> SegmentFacts:
        if entry.gap:
            return unreadable("EXT-X-GAP")
        place = (entry.uri, entry.byte_range)
        if place not in self._facts:
            facts = self._reader.known(entry.uri) if entry.byte_range is None else None
            self._facts[place] = facts or self._measure(entry)
        return self._facts[place]

    def _measure(self, entry: Entry) -> SegmentFacts:
        try:
            data = self._bytes(entry.uri, entry.byte_range)
            clear = self._keys.decrypted(data, entry)
            if clear is None:
                return unreadable("no key to decrypt it", size_bytes=len(data), needs_key=True)
            return measure_segment(clear, self._init_tracks(entry), len(data))
        except (VerificationError, ObjectNotFoundError) as error:
            return unreadable(str(error))

    def _init_tracks(self, entry: Entry) -> dict[int, mp4.InitTrack]:
        return self._init(entry)[2]

    def _init(self, entry: Entry) -> _InitRead:
        """The init segment of an entry, as ``_take_init`` read it."""
        return self._inits.get((entry.map_uri or "", entry.map_range), _NO_INIT)

    def clear_blocks(self, entry: Entry) -> tuple[bytes, bytes] | None:
        """An entry's init segment (empty without one) and its decrypted segment; None if there is no key."""
        init, _, tracks = self._init(entry)
        data = self._keys.decrypted(self._bytes(entry.uri, entry.byte_range), entry)
        is_clear = entry.encryption is None or entry.encryption.method in WHOLE
        if is_clear and not any(track.format.encrypted for track in tracks.values()):
            return None if data is None else (init, data)
        key = self._keys.sample_key(entry)
        clear = decrypted_samples(init, data, key) if data and init and key else None
        return None if clear is None else (init, clear)

    def _image_track(self, playlist: Playlist) -> ImageTrack:
        track = ImageTrack(playlist=playlist)
        for entry in playlist.entries:
            try:
                data = b"" if entry.gap else self._bytes(entry.uri, entry.byte_range)
                track.images.append("EXT-X-GAP" if entry.gap else read_image(data))
            except (VerificationError, ObjectNotFoundError) as error:
                track.images.append(str(error))
        return track

    # --- I-frame playlists ------------------------------------------------------------------

    def _i_frame_track(self, playlist: Playlist) -> Track:
        track = Track(playlist=playlist, unreadable=[playlist.unreadable] if playlist.unreadable else [])
        for entry in playlist.entries:
            self._take_init(track, entry)
            if not entry.gap and (fault := self._picture(track, entry)):
                track.faults.append(fault)
            length = entry.byte_range.length if entry.byte_range else 0
            track.segments.append(SegmentFacts(size_bytes=length, container="unknown"))
        return track

    def _picture(self, track: Track, entry: Entry) -> Fault | None:
        """The fault of an I-frame playlist's entry; None if its bytes are one I-frame."""
        part, segment = entry.byte_range, self._facts.get((entry.uri, None))
        stream = segment.stream("video") if segment else None
        if segment is None or stream is None or part is None:
            return self._lone_picture(track, entry)
        end = part.start + part.length
        if segment.container == "ts":  # tables may precede it, and packets of sound may lie between its own
            key = next((key for key in stream.keys if part.start <= key.begin < end), None)
        else:
            key = next((key for key in stream.keys if key.begin == part.start), None)
        words = f"bytes {part.start} to {end}"
        if key is None:
            unit = "a moof" if segment.container == "fmp4" else "an IDR picture"
            return Fault(entry=entry, found=f"{words} do not begin with {unit}", at_begin=True)
        if not key.is_idr:
            return Fault(entry=entry, found=f"{words} are not an IDR picture")
        too_much = segment.container == "fmp4" and end > key.end
        if end < key.end or too_much or sum(part.start <= k.begin and k.end <= end for k in stream.keys) > 1:
            return Fault(entry=entry, found=f"{words}, but the picture ends at {key.end}")
        return None

    def _lone_picture(self, track: Track, entry: Entry) -> Fault | None:
        """As ``_picture``, for a file that is no segment of a variant, or that could not be read as one."""
        try:
            data = self._bytes(entry.uri, entry.byte_range)
            method = entry.encryption.method if entry.encryption else ""
            if method == "AES-256-GCM" and entry.byte_range:
                return None  # only the whole segment can be decrypted
            is_clear_ts = method not in WHOLE and data[:1] == b"\x47"
            if is_clear_ts and entry.byte_range and (entry.uri, None) not in self._facts:
                # Packets of a picture tell nothing without the tables at the beginning of their file.
                self._facts[(entry.uri, None)] = self._measure(replace(entry, byte_range=None))
                return self._picture(track, entry)
            clear = self._keys.decrypted(data, entry)
            if clear is None:
                return None
            tracks = self._init_tracks(entry)
            if tracks and clear[4:8] not in (b"moof", b"styp", b"emsg", b"prft", b"sidx"):
                return Fault(entry=entry, found="its bytes do not begin with a moof", at_begin=True)
            stream = measure_segment(clear, tracks, len(clear), cut_off=True).stream("video")
        except (VerificationError, ObjectNotFoundError) as error:
            track.unreadable.append(f"{entry.uri}: {error}")
            return None if isinstance(error, ObjectNotFoundError) else Fault(entry=entry, found=str(error))
        if stream is None or not stream.starts_with_idr:
            return Fault(entry=entry, found="its bytes hold no IDR picture at their beginning")
        if entry.byte_range is None and stream.samples > 1:
            return Fault(entry=entry, found=f"a file of {stream.samples} pictures")
        return None
