"""Rules of keys: right as Shaka Packager writes them for all DRM systems, and each broken once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.breaks import Break, data, in_box, judged, text
from vod_operators.check.playlist import parse
from vod_operators.formats.pssh import read_pssh
from vod_operators.runners.tools import Tools

KEY, KEY_ID = bytes(range(16)).hex(), "0123456789abcdef0123456789abcdef"
RULES = ("12.session-used", "12.boxes", "12.scheme", "12.pssh", "12.key-id", "12.key-of-segment")


@pytest.fixture(scope="module", params=["cbcs", "cenc"])
def locked(
    request: pytest.FixtureRequest, bases: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Pictures of the good one, encrypted and listed by the packager."""
    folder = tmp_path_factory.mktemp(request.param)
    place = bases("good").parent / "large"
    parts = [place / "init.mp4", *sorted(place.glob("seg-*.m4s"))]
    (folder / "clear.mp4").write_bytes(b"".join(part.read_bytes() for part in parts))
    argv = [
        Tools().packager, "--quiet", "in=clear.mp4,stream=video,init_segment=v/init.mp4,"
        "segment_template=v/$Number$.m4s,playlist_name=v/index.m3u8", "--enable_raw_key_encryption",
        f"--protection_scheme={request.param}", f"--keys=label=:key_id={KEY_ID}:key={KEY}", "--clear_lead=0",
        "--protection_systems=Widevine,PlayReady", "--create_session_keys",
        "--hls_master_playlist_output=master.m3u8",
    ]  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True)
    return folder


def test_what_the_packager_writes_is_right(locked: Path) -> None:
    verdicts = judged(locked / "master.m3u8")
    assert {rule: verdicts[rule].status for rule in RULES} == dict.fromkeys(RULES, "pass")


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [
        ("12.session-used", text("master.m3u8", 'URI="data:text/plain;base64,', 'URI="data:,')),
        ("12.boxes", data("v/init.mp4", in_box(b"schm", -4, b"free"))),
        ("12.scheme", data("v/init.mp4", in_box(b"schm", 4, b"cbc1"))),
        ("12.pssh", data("v/init.mp4", in_box(b"pssh", 0, b"\5"))),
        ("12.pssh", text("v/index.m3u8", 'plain;base64,[^"]*"', 'plain;base64,AAAA"')),
        ("12.key-id", data("v/init.mp4", in_box(b"tenc", 8, b"\xff"))),
        ("12.key-of-segment", data("v/init.mp4", in_box(b"tenc", 8, b"\xff"))),
    ],
)
def test_each_is_broken(locked: Path, tmp_path: Path, rule: str, breaks: Break) -> None:
    folder = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(locked), str(folder)], check=True)
    breaks(folder)
    verdict = judged(folder / "master.m3u8")[rule]
    assert verdict.status == ("fail" if verdict.rule.must else "warn"), verdict


LISTED = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="https://k/1",KEYFORMAT="identity"
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://1",KEYFORMAT="com.apple.streamingkeydelivery"
#EXTINF:6,
1.m4s
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://2",KEYFORMAT="com.apple.streamingkeydelivery"
#EXTINF:6,
2.m4s
#EXT-X-KEY:METHOD=NONE
#EXTINF:6,
3.m4s
#EXT-X-ENDLIST
"""


def test_a_key_holds_until_the_next_of_its_format() -> None:
    first, second, third = parse("https://x/index.m3u8", LISTED).entries
    assert [key.uri for key in first.keys] == ["https://k/1", "skd://1"]
    assert [key.uri for key in second.keys] == ["https://k/1", "skd://2"]
    assert third.keys == () and third.encryption is None
    # The one that can be fetched is that which decrypts, wherever it stands.
    assert first.encryption == second.encryption == first.keys[0]


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        (b"", "0 bytes that are no pssh box"),
        (b"\0\0\0\x20pssh\2" + bytes(23), "a pssh box of version 2"),
        (b"\0\0\0\x20pssh\1" + bytes(19) + b"\0\0\0\1", "a pssh box that ends within its key ids"),
        (b"\0\0\0\x20pssh\0" + bytes(19) + b"\0\0\0\1", "a pssh box whose data have another size"),
    ],
)
def test_a_damaged_box_is_told(box: bytes, fault: str) -> None:
    assert read_pssh(box).fault == fault
