"""``--decode``, and the order of pictures: what is broken in pictures and sound themselves is found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.breaks import Break, aes_128, broken, data, in_box, judged, text
from support.tools import FFMPEG
from vod_operators.check.decode import Decoded, Media
from vod_operators.check.rule import Verdict
from vod_operators.check.rules import check
from vod_operators.formats.isobmff import children
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.scratch import scratch_folder
from vod_operators.runners.tools import Tools
from vod_operators.storage.local import LocalStorage
from vod_operators.work.decoding import FfmpegDecoder
from vod_operators.work.reader import StoreReader


def without_composition(content: bytearray) -> None:
    """All composition offsets of a segment become zero."""

    def walk(begin: int, end: int) -> None:
        for kind, first, last in list(children(bytes(content), begin, end)):
            if kind in (b"moof", b"traf"):
                walk(first, last)
            elif kind == b"trun":
                flags = int.from_bytes(content[first + 1 : first + 4], "big")
                assert flags & 0x800, "no composition offsets"
                row = 4 * (flags & 0xF00).bit_count()
                at = first + 8 + 4 * (flags & 1) + 4 * bool(flags & 4)
                for each in range(at + row, last + 1, row):
                    content[each - 4 : each] = bytes(4)

    walk(0, len(content))


def without_decode_times(content: bytearray) -> None:
    """PES packets show each picture when it is decoded."""
    for at in range(0, len(content), 188):
        start = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
        is_start = content[at + 1] & 0x40 and content[start : start + 4] == b"\x00\x00\x01\xe0"
        if is_start and content[start + 7] >> 6 == 3:
            content[start + 9 : start + 14] = content[start + 14 : start + 19]
            content[start + 9] |= 0x20


def everywhere(files: str, change: Callable[[bytearray], None]) -> Break:
    def breaks(folder: Path) -> None:
        paths = list(folder.glob(files))
        assert paths
        for path in paths:
            data(str(path.relative_to(folder)), change)(folder)

    return breaks


@pytest.mark.parametrize(
    ("base", "breaks"),
    [
        ("hevc", everywhere("0/*.m4s", without_composition)),
        ("reordered", everywhere("*.m4s", without_composition)),
        ("reordered-ts", everywhere("*.ts", without_decode_times)),
    ],
)
def test_reordered_pictures_need_composition_times(
    bases: Callable[[str], Path], tmp_path: Path, base: str, breaks: Break
) -> None:
    assert judged(bases(base))["10.composition"].status == "pass"
    folder = shutil.copytree(bases(base).parent, tmp_path / "copy")
    breaks(folder)
    (finding, *_) = judged(folder / "master.m3u8")["10.composition"].findings
    assert "decoding order" in finding.found


def test_pictures_in_decoding_order_need_none(bases: Callable[[str], Path]) -> None:
    assert judged(bases("good"))["10.composition"].status == "pass"
    assert judged(bases("ts"))["10.composition"].status == "pass"


# --- --decode -------------------------------------------------------------------------------


def decoded(master: Path, tmp_path: Path, key: bytes | None = None) -> Verdict:
    decoder = FfmpegDecoder(
        runner=LocalRunner(),
        tool=FFMPEG,
        scratch=lambda needed: scratch_folder(tmp_path / "work", round(needed)),
        limit_s=lambda seconds: 60 + seconds,
    )
    reader = StoreReader(master.as_uri(), lambda uri: LocalStorage())
    verdicts = check(reader, master.as_uri(), key=key, decoder=decoder)
    assert list((tmp_path / "work").iterdir()) == []
    return next(verdict for verdict in verdicts if verdict.rule.id == "18.decodes")


def flip(content: bytearray) -> None:
    content[len(content) // 2] ^= 0xFF


def flip_length(content: bytearray) -> None:
    """The length of the first NAL unit: ffmpeg's HEVC decoder is silent about damage inside of slices."""
    content[content.index(b"mdat") + 4] ^= 0xFF


@pytest.mark.parametrize("base", ["good", "ts", "hevc", "reordered"])
def test_what_is_right_decodes(bases: Callable[[str], Path], tmp_path: Path, base: str) -> None:
    verdict = decoded(bases(base), tmp_path)
    assert (verdict.status, verdict.findings) == ("pass", ())


def test_without_a_decoder_nothing_is_said(bases: Callable[[str], Path]) -> None:
    assert judged(bases("good"))["18.decodes"].status == "not applicable"


@pytest.mark.parametrize(
    ("base", "file", "change"),
    [
        ("good", "large/seg-00002.m4s", flip),
        ("good", "en/seg-00002.m4s", flip),
        ("ts", "01.ts", flip),
        ("hevc", "0/2.m4s", flip_length),
    ],
)
def test_a_flipped_byte_is_found(
    bases: Callable[[str], Path],
    tmp_path: Path,
    base: str,
    file: str,
    change: Callable[[bytearray], None],
) -> None:
    folder = shutil.copytree(bases(base).parent, tmp_path / "copy")
    data(file, change)(folder)
    assert "18.decodes" not in broken(folder / "master.m3u8")
    verdict = decoded(folder / "master.m3u8", tmp_path)
    assert verdict.status == "fail"
    assert {finding.where.split(": ")[1] for finding in verdict.findings} == {Path(file).name}


@pytest.fixture
def locked(bases: Callable[[str], Path], tmp_path: Path) -> Path:
    """Pictures and sound of the good one, which the packager encrypts with ``cbcs``."""
    return encrypted(bases("good").parent, tmp_path, "--clear_lead=0")


def encrypted(good: Path, tmp_path: Path, lead: str) -> Path:
    folder, argv = tmp_path / "locked", [Tools().packager, "--quiet"]
    folder.mkdir()
    for name, kind in (("large", "video"), ("en", "audio")):
        place = good / name
        parts = [place / "init.mp4", *sorted(place.glob("seg-*.m4s"))]
        (tmp_path / f"{name}.mp4").write_bytes(b"".join(part.read_bytes() for part in parts))
        argv.append(
            f"in={tmp_path / name}.mp4,stream={kind},init_segment={kind}/init.mp4,"
            f"segment_template={kind}/$Number$.m4s,playlist_name={kind}/index.m3u8"
        )
    raw = ["--enable_raw_key_encryption", "--protection_scheme=cbcs", lead, "--hls_key_uri=key",
           f"--keys=label=:key_id={bytes(16).hex()}:key={KEY.hex()}", f"--iv={bytes(16).hex()}"]  # fmt: skip
    subprocess.run([*argv, *raw, "--hls_master_playlist_output", "master.m3u8"], cwd=folder, check=True)
    return folder / "master.m3u8"


KEY = bytes(range(16))


def test_encrypted_samples_are_decoded_with_the_key(locked: Path, tmp_path: Path) -> None:
    assert decoded(locked, tmp_path, KEY).findings == ()
    assert decoded(locked, tmp_path, KEY).status == "pass"
    assert decoded(locked, tmp_path).status == "not applicable"
    assert decoded(locked, tmp_path, bytes(16)).status == "fail"
    data("video/2.m4s", flip)(locked.parent)
    (finding,) = decoded(locked, tmp_path, KEY).findings
    assert finding.where == "video/index.m3u8: 2.m4s"


@pytest.mark.parametrize(("lead", "place"), [(0, "1.m4s"), (6, "2.m4s")])
def test_encrypted_samples_need_a_key_tag(
    lead: int, place: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """But those of a clear lead do not."""
    master = encrypted(bases("good").parent, tmp_path, f"--clear_lead={lead}")
    assert judged(master)["12.key"].status == "pass"
    text("audio/index.m3u8", "^#EXT-X-KEY.*\n", "")(master.parent)
    (finding,) = judged(master)["12.key"].findings
    assert finding.where == f"audio/index.m3u8: {place}"


@pytest.mark.parametrize(("place", "value"), [(5, b"\x11"), (5, b"\0"), (0, b"\0")])
def test_pictures_are_encrypted_by_a_pattern_of_one_in_ten(locked: Path, place: int, value: bytes) -> None:
    """1:1, all blocks, and a box that knows no pattern; of sound nothing is asked."""
    assert judged(locked)["12.pattern"].status == "pass"
    data("video/init.mp4", in_box(b"tenc", place, value))(locked.parent)
    assert judged(locked)["12.pattern"].status == "fail"


def test_an_encrypted_init_segment_is_decrypted_and_read_once(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(bases("good").parent, tmp_path / "copy")
    vector = bytes(range(100, 116))
    for path in (folder / "en").glob("*.m[4p][s4]"):
        path.write_bytes(aes_128(KEY, vector, path.read_bytes()))
    line = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{vector.hex()}'
    text("en/index.m3u8", "^#EXT-X-MAP", f"{line}\n#EXT-X-MAP")(folder)
    (folder / "en" / "key").write_bytes(KEY)
    assert decoded(folder / "master.m3u8", tmp_path).findings == ()

    class Counting(StoreReader):
        inits = 0

        def read(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
            self.inits += uri.endswith("en/init.mp4")
            return super().read(uri, start, length)

    location = (folder / "master.m3u8").as_uri()
    reader = Counting(location, lambda uri: LocalStorage())
    check(reader, location, decoder=OneFrame())
    assert reader.inits == 1


class OneFrame:
    """A decoder that gives one frame of whatever it gets."""

    def decode(self, media: Media, blocks: Iterator[bytes]) -> Decoded:
        assert sum(map(len, blocks)) >= media.size_bytes
        return Decoded(frames=dict.fromkeys(media.codecs, 1), complaint=None)


@pytest.mark.parametrize(("base", "expected"), [("good", "150, as the container has"), ("fields", None)])
def test_frames_are_counted(bases: Callable[[str], Path], base: str, expected: str | None) -> None:
    """But not of fields, two of which may be a frame."""
    location = bases(base).as_uri()
    verdicts = check(StoreReader(location, lambda uri: LocalStorage()), location, decoder=OneFrame())
    verdict = next(verdict for verdict in verdicts if verdict.rule.id == "18.decodes")
    found = {finding.expected for finding in verdict.findings if finding.found == "1 decoded frames of video"}
    assert (expected in found) if expected else not found
