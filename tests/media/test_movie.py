"""A progressive MP4 of fragments: what its tables say, for files of any size."""

from __future__ import annotations

import struct
from array import array
from contextlib import suppress
from fractions import Fraction

import pytest

from vod_operators.errors import VerificationError
from vod_operators.formats.isobmff import Defaults, Fragment, Sample, children, find, u32
from vod_operators.media.movie import Mark, Part, box, movie
from vod_operators.media.samples import Samples, find_places, in_order


def an_init(handler: bytes, timescale: int, begins: int, entry: bytes) -> bytes:
    """An init segment with what is read of it."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000)
    tkhd = box(b"tkhd", bytes(4), struct.pack(">5I", 0, 0, 1, 0, 0), bytes(16), matrix, bytes(8))
    mdhd = box(b"mdhd", bytes(4), struct.pack(">4I", 0, 0, timescale, 0), struct.pack(">HH", 0x55C4, 0))
    hdlr = box(b"hdlr", bytes(8), handler, bytes(13))
    edit = box(b"edts", box(b"elst", bytes(4), struct.pack(">IIiI", 1, 0, begins, 0x10000)))
    stsd = box(b"stsd", bytes(4), struct.pack(">I", 1), box(entry, bytes(28)))
    stbl = box(b"stbl", stsd, box(b"stsz", bytes(12)))
    media = box(b"mdia", mdhd, hdlr, box(b"minf", box(b"smhd", bytes(8)), stbl))
    mvhd = box(b"mvhd", bytes(4), struct.pack(">4I", 0, 0, 1000, 0), bytes(80))
    return box(b"moov", mvhd, box(b"trak", tkhd, edit, media))


def samples(
    timescale: int, duration: int, sizes: list[int], compositions: list[int] | None = None
) -> Samples:
    found = Samples(timescale=timescale)
    position, rows = 0, []
    for number, size in enumerate(sizes):
        composition = compositions[number] if compositions else 0
        flags = 0 if not compositions or number % 5 == 0 else 0x10000
        rows.append(Sample(number * duration, duration, composition, position, size, flags))
        position += size
    found.add(Fragment(offset=0, track=1, decode_time=0, samples=tuple(rows), extent=(0, position)))
    return found


def tables(head: bytes, trak: int) -> dict[bytes, bytes]:
    """The boxes of a track's ``stbl``, and its ``elst``, ``tkhd`` and ``mdhd``."""
    moov = find(head, 0, len(head), b"moov")
    traks = [(begin, end) for kind, begin, end in children(head, *moov) if kind == b"trak"]
    found = {
        kind: head[begin:end]
        for kind, begin, end in children(head, *find(head, *traks[trak], b"mdia", b"minf", b"stbl"))
    }
    for path in ((b"edts", b"elst"), (b"tkhd",), (b"mdia", b"mdhd")):
        with suppress(VerificationError):  # a track without an edit list
            found[path[-1]] = head[slice(*find(head, *traks[trak], *path))]
    return found


def numbers(table: bytes, form: str = "I", at: int = 8) -> list[int]:
    return list(struct.unpack(f">{(len(table) - at) // struct.calcsize('>' + form)}{form}", table[at:]))


VIDEO = an_init(b"vide", 25, 2, b"avc1")
SOUND = an_init(b"soun", 50, 7, b"mp4a")


def test_tables_by_hand() -> None:
    pictures = samples(25, 1, [10] * 30, [2, 4, 1, 1, 2] * 6)  # 30 pictures, an IDR each 5
    sound = samples(50, 10, [3, 4, 5, 6, 7, 8])  # 6 frames of 0.2 s
    parts = [
        Part(init=VIDEO, samples=pictures, shown=Fraction(30, 25)),
        Part(init=SOUND, samples=sound, shown=Fraction(53, 50), is_default=False),
    ]
    made = movie(parts)
    # A second of pictures, the sound beside it, and the rest.
    assert [(stretch.track, stretch.samples, stretch.size_bytes) for stretch in made.order] == [
        (0, 25, 250), (1, 5, 25), (0, 5, 50), (1, 1, 8),
    ]  # fmt: skip
    first = len(made.head)
    video, audio = tables(made.head, 0), tables(made.head, 1)
    assert numbers(video[b"stco"]) == [first, first + 250 + 25]
    assert numbers(audio[b"stco"]) == [first + 250, first + 250 + 25 + 50]
    assert numbers(video[b"stsc"]) == [1, 25, 1, 2, 5, 1]
    assert numbers(video[b"stts"]) == [30, 1] and numbers(audio[b"stts"]) == [6, 10]
    assert numbers(video[b"ctts"])[:8] == [1, 2, 1, 4, 2, 1, 2, 2]  # the fifth and the sixth are alike
    assert numbers(video[b"stss"]) == [1, 6, 11, 16, 21, 26] and b"stss" not in audio
    assert numbers(audio[b"stsz"], at=12) == [3, 4, 5, 6, 7, 8]
    # 50 ticks a second are the least that hold both lengths: 60 and 53 of them.
    assert numbers(video[b"elst"]) == [60, 2, 0x10000] and numbers(audio[b"elst"]) == [53, 7, 0x10000]
    assert u32(video[b"tkhd"], 0) & 1 and not u32(audio[b"tkhd"], 0) & 1
    assert made.size_bytes == len(made.head) + 333
    assert made.head[-8:] == struct.pack(">I4s", 8 + 333, b"mdat")


def test_a_file_of_more_than_4_gb() -> None:
    """Places and times that need eight bytes."""
    pictures = Samples(timescale=30_000)
    pictures.sizes = array("I", [3_000_000] * 1500)
    pictures.durations, pictures.syncs, pictures.ticks = (
        array("I", [1500, 3_003_000]),
        array("I"),
        4_504_500_000,
    )
    pictures.compositions = array("i", [1500, 0])
    made = movie([Part(init=an_init(b"vide", 30_000, 0, b"hvc1"), samples=pictures, shown=Fraction(150_150))])
    video = tables(made.head, 0)
    places = numbers(video[b"co64"], "Q")
    assert places[0] == len(made.head) and places[-1] == len(made.head) + 1499 * 3_000_000
    assert video[b"elst"][0] == 1 and struct.unpack_from(">Qq", video[b"elst"], 8) == (4_504_500_000, 0)
    assert struct.unpack_from(">Q", video[b"mdhd"], 24) == (4_504_500_000,)
    assert made.head[-16:] == struct.pack(">I4sQ", 1, b"mdat", 16 + 4_500_000_000)


def test_chapters_are_a_list_and_a_text_track() -> None:
    pictures = samples(25, 1, [10] * 50)
    chapters = [Mark(begins_ms=n * 7, title="ü" * 200) for n in range(1, 281)]
    made = movie([Part(init=VIDEO, samples=pictures, shown=Fraction(2))], chapters)
    head = made.head
    begin, _ = find(head, 0, len(head), b"moov", b"udta", b"chpl")
    assert head[begin + 8] == 255  # as many as its count can say
    assert struct.unpack_from(">QB", head, begin + 9) == (70_000, 254)  # no half of a letter
    text = tables(head, 1)
    assert u32(text[b"stsz"], 8) == 280 and numbers(text[b"stts"])[:2] == [1, 7]
    assert numbers(text[b"stco"]) == [len(head) - 280 * (2 + 400 + 12)]
    assert head.endswith(struct.pack(">I4sI", 12, b"encd", 0x100))


@pytest.mark.parametrize(
    ("begins_ms", "edits"), [(0, None), (39, None), (200, [5, 2**32 - 1, 0x10000, 45, 0, 0x10000])]
)
def test_the_text_track_begins_with_its_first_chapter(begins_ms: int, edits: list[int] | None) -> None:
    """In ticks of a movie that has 25 a second."""
    pictures = samples(25, 1, [10] * 50)
    chapters = [Mark(begins_ms=begins_ms, title="one"), Mark(begins_ms=1000, title="two")]
    text = tables(movie([Part(init=VIDEO, samples=pictures, shown=Fraction(2))], chapters).head, 1)
    assert (numbers(text[b"elst"]) if b"elst" in text else None) == edits


def test_a_gap_between_segments_is_refused() -> None:
    pictures = samples(25, 1, [10] * 5)
    late = Fragment(offset=0, track=1, decode_time=6, samples=(Sample(6, 1, 0, 0, 1, 0),), extent=(0, 1))
    with pytest.raises(VerificationError, match="sample 6 decodes at tick 6, not at 5"):
        pictures.add(late)


def test_bytes_that_are_no_samples_are_refused() -> None:
    def segment(size: int) -> bytes:
        trun = box(b"trun", struct.pack(">IIiI", 0x201, 1, 72 + 8, size))
        tfdt = box(b"tfdt", bytes(8))
        tfhd = box(b"tfhd", struct.pack(">II", 0x20000, 1))
        moof = box(b"moof", box(b"traf", tfhd, tfdt, trun))
        assert len(moof) == 72
        return moof + box(b"mdat", bytes(10))

    good = segment(10)
    places = find_places(lambda at, length: good[at : at + length], len(good), {1: Defaults()})
    assert places.spans == [(80, 90)]
    bad = segment(9)
    with pytest.raises(VerificationError, match="do not fill"):
        find_places(lambda at, length: bad[at : at + length], len(bad), {1: Defaults()})


def test_the_order_of_many_tracks() -> None:
    tracks = [samples(25, 1, [1] * 60), samples(50, 10, [1] * 12), samples(50, 10, [1] * 12)]
    begins = [(stretch.begins_s, stretch.track) for stretch in in_order(tracks)]
    assert begins == [(Fraction(second), track) for second in range(3) for track in range(3)]
