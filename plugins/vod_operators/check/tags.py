"""What the draft RFC 8216bis says of each tag: how often it may appear, its attributes, and their form."""

from __future__ import annotations

MEDIA_TAGS = {
    "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL",
    "EXT-X-IMAGES-ONLY",
}  # fmt: skip
"""Tags of a media playlist as a whole (4.4.3; the last is of image playlists). None of them may appear in a
multivariant playlist."""

MULTIVARIANT_TAGS = {
    "EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY",
    "EXT-X-CONTENT-STEERING",
}  # fmt: skip
"""Tags that make a playlist a multivariant playlist (4.4.6)."""

SEGMENT_TAGS = {
    "EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME",
    "EXT-X-GAP", "EXT-X-BITRATE", "EXT-X-PART",
}  # fmt: skip
"""Tags of segments (4.4.4). None of them may appear in a multivariant playlist."""

ONCE = MEDIA_TAGS | {
    "EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START", "EXT-X-SKIP",
    "EXT-X-CONTENT-STEERING",
}  # fmt: skip
"""Tags that must not appear twice (4.4.1.2, 4.4.2, 4.4.3, 4.4.5, 4.4.6.6). All others, known or not, may."""

BEFORE_SEGMENTS = {"EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"}
"""Tags that must come before the first segment (4.4.3.2, 4.4.3.3)."""

IMAGES, TILES = "EXT-X-IMAGE-STREAM-INF", "EXT-X-TILES"
"""Tags of storyboards, which are not the RFC's ("Image Media Playlist for HLS" 0.4)."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "EXT-X-STREAM-INF": ("BANDWIDTH",),
    "EXT-X-I-FRAME-STREAM-INF": ("BANDWIDTH", "URI"),
    "EXT-X-MEDIA": ("TYPE", "GROUP-ID", "NAME"),
    "EXT-X-MAP": ("URI",),
    "EXT-X-KEY": ("METHOD",),
    "EXT-X-SESSION-KEY": ("METHOD",),
    "EXT-X-SESSION-DATA": ("DATA-ID",),
    "EXT-X-CONTENT-STEERING": ("SERVER-URI",),
    "EXT-X-DATERANGE": ("ID",),
    "EXT-X-DEFINE": (),
    "EXT-X-START": ("TIME-OFFSET",),
    "EXT-X-PART": ("URI", "DURATION"),
    "EXT-X-PART-INF": ("PART-TARGET",),
    "EXT-X-SERVER-CONTROL": (),
    "EXT-X-SKIP": ("SKIPPED-SEGMENTS",),
    "EXT-X-PRELOAD-HINT": ("TYPE", "URI"),
    "EXT-X-RENDITION-REPORT": ("URI",),
    IMAGES: (),
    TILES: (),
}
"""Tags whose value is an attribute list, with the attributes that the RFC says they must have."""

KNOWN = (ONCE | SEGMENT_TAGS | REQUIRED.keys()) - {"EXTINF"}
"""All tags but EXTINF, which may have a title."""

QUOTED = {
    "ALLOWED-CPC", "ASSOC-LANGUAGE", "AUDIO", "BYTERANGE", "CHANNELS", "CHARACTERISTICS", "CLASS", "CODECS",
    "CUE", "DATA-ID", "END-DATE", "GROUP-ID", "ID", "IMPORT", "INSTREAM-ID", "KEYFORMAT",
    "KEYFORMATVERSIONS", "LANGUAGE", "NAME", "PATHWAY-ID", "QUERYPARAM", "RECENTLY-REMOVED-DATERANGES",
    "REQ-VIDEO-LAYOUT", "SERVER-URI", "STABLE-RENDITION-ID", "STABLE-VARIANT-ID", "START-DATE", "SUBTITLES",
    "SUPPLEMENTAL-CODECS", "URI", "VALUE", "VIDEO",
}  # fmt: skip
"""Attributes whose value must be quoted. CLOSED-CAPTIONS may be either."""

UNQUOTED = {
    "AUTOSELECT", "AVERAGE-BANDWIDTH", "BANDWIDTH", "BIT-DEPTH", "BYTERANGE-LENGTH", "BYTERANGE-START",
    "CAN-BLOCK-RELOAD", "CAN-SKIP-DATERANGES", "CAN-SKIP-UNTIL", "DEFAULT", "DURATION", "END-ON-NEXT",
    "FORCED", "FORMAT", "FRAME-RATE", "GAP", "HDCP-LEVEL", "HOLD-BACK", "INDEPENDENT", "IV", "LAST-MSN",
    "LAST-PART", "METHOD", "PART-HOLD-BACK", "PART-TARGET", "PLANNED-DURATION", "PRECISE", "RESOLUTION",
    "SAMPLE-RATE", "SCORE", "SCTE35-CMD", "SCTE35-IN", "SCTE35-OUT", "SKIPPED-SEGMENTS", "TIME-OFFSET",
    "TYPE", "VIDEO-RANGE",
}  # fmt: skip
"""Attributes whose value must not be quoted. Of an unknown attribute the form is not known either."""

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d(?::?\d\d)?)?"
"""A date and time of ISO 8601; groups: fraction of a second, time zone."""

INTEGER, DECIMAL = r"\d{1,20}", r"(\d+\.?\d*|\.\d+)"
"""``decimal-integer`` and ``decimal-floating-point`` (4.2)."""

VALUES = {
    "EXT-X-VERSION": INTEGER,
    "EXT-X-MEDIA-SEQUENCE": INTEGER,
    "EXT-X-DISCONTINUITY-SEQUENCE": INTEGER,
    "EXT-X-PLAYLIST-TYPE": "EVENT|VOD",
    "EXT-X-BITRATE": INTEGER,
    "EXT-X-PROGRAM-DATE-TIME": DATE,
}
"""Form of the values that are no attribute lists. EXT-X-TARGETDURATION has its own message."""

YES_NO = {
    "AUTOSELECT", "CAN-BLOCK-RELOAD", "CAN-SKIP-DATERANGES", "DEFAULT", "FORCED", "GAP", "INDEPENDENT",
    "PRECISE",
}  # fmt: skip
"""Attributes that are YES or NO."""

NUMBERS = {
    "AVERAGE-BANDWIDTH", "BANDWIDTH", "BIT-DEPTH", "BYTERANGE-LENGTH", "BYTERANGE-START", "LAST-MSN",
    "LAST-PART", "SAMPLE-RATE", "SKIPPED-SEGMENTS",
}  # fmt: skip
"""Attributes that are whole numbers."""

TIMES = {
    "CAN-SKIP-UNTIL", "DURATION", "HOLD-BACK", "PART-HOLD-BACK", "PART-TARGET", "PLANNED-DURATION",
}  # fmt: skip
"""Attributes that are seconds, of which none is negative."""

FORMS = {
    **dict.fromkeys(YES_NO, "YES|NO"),
    **dict.fromkeys(NUMBERS, INTEGER),
    **dict.fromkeys(TIMES, DECIMAL),
    **dict.fromkeys(("SCTE35-CMD", "SCTE35-IN", "SCTE35-OUT"), r"0[xX][0-9A-Fa-f]+"),
    **dict.fromkeys(("STABLE-RENDITION-ID", "STABLE-VARIANT-ID"), r"[A-Za-z0-9+/=._-]+"),
    **dict.fromkeys(("START-DATE", "END-DATE"), DATE),
    "BYTERANGE": f"{INTEGER}(@{INTEGER})?",
    "END-ON-NEXT": "YES",
    "FORMAT": "JSON|RAW",
    "KEYFORMATVERSIONS": r"[1-9]\d*(/[1-9]\d*)*",
    "PATHWAY-ID": r"[A-Za-z0-9._-]+",
    "SCORE": DECIMAL,
    "TIME-OFFSET": rf"-?{DECIMAL}",
    "RESOLUTION": f"{INTEGER}x{INTEGER}",
    "FRAME-RATE": r"\d+(\.\d+)?",
    "VIDEO-RANGE": "SDR|HLG|PQ",
    "HDCP-LEVEL": "TYPE-0|TYPE-1|NONE",
}
"""Form of the values of attributes."""

MAY_BE_EMPTY = {"VALUE", "RECENTLY-REMOVED-DATERANGES"}
"""Quoted attributes that may be empty."""

SESSION_KEY = ("METHOD", "URI", "IV", "KEYFORMAT", "KEYFORMATVERSIONS")
"""Attributes by which two EXT-X-SESSION-KEY differ (4.4.6.5)."""

METHODS = {"NONE", "AES-128", "AES-256-GCM", "SAMPLE-AES", "SAMPLE-AES-CTR"}
"""Encryption methods (4.4.4.4). AES-256 and AES-256-CTR, which some players know, are not in the draft."""

WITHOUT_IV = {"AES-256-GCM", "SAMPLE-AES-CTR"}
"""Methods whose EXT-X-KEY must not have an IV."""
