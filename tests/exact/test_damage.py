"""Damage in the middle: the whole length is there, what was concealed is told, and it can be forbidden."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from exact.publisher import Publisher
from support.clips import SOUND, Sound, clip, one_pass, patched, x264
from support.published import Published
from support.tools import FFMPEG, ffprobe
from vod_operators.errors import InvalidInputError, ToolError

FRAMES = 110
GOP = 20


def overwritten(source: Path) -> bytes:
    """Junk where some pictures of the middle are."""
    return junk(source, range(50, 54))


def junk(source: Path, pictures: range, filler: int = 37) -> bytes:
    """An MP4 whose pictures of these numbers, in decoding order, are junk, or all zeros."""
    data = bytearray(source.read_bytes())
    packets = ffprobe(source, "-select_streams", "v", "-show_entries", "packet=pos,size")["packets"]
    for packet in (packets[number] for number in pictures):
        at, size = int(packet["pos"]), int(packet["size"])
        data[at + 4 : at + size] = bytes(n * filler % 251 for n in range(size - 4))  # not its length
    return bytes(data)


def packets_lost(source: Path) -> bytes:
    """A transport stream without a run of the packets of its video, in the middle."""
    data = source.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    video = [n for n, p in enumerate(packets) if int.from_bytes(p[1:3], "big") & 0x1FFF == 0x100]
    lost = set(video[len(video) // 2 : len(video) // 2 + 6])
    return b"".join(packet for n, packet in enumerate(packets) if n not in lost)


def flipped(source: Path) -> bytes:
    """A transport stream with one byte changed in many packets of its video, in the middle."""
    data = source.read_bytes()
    changed = bytearray(data)
    for at in range(len(data) * 45 // 100 // 188 * 188, len(data) * 55 // 100 // 188 * 188, 188):
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0x100:
            changed[at + 100] ^= 0xFF
    return bytes(changed)


def damaged(kind: str) -> Path:
    encoder = x264(gop=GOP, open_gop=False)
    if kind == "mp4":
        return patched("clip.mp4", clip("whole.mp4", video=encoder), overwritten)
    whole = clip("whole.ts", video=encoder)
    return patched("clip.ts", whole, packets_lost if kind == "ts-packets-lost" else flipped)


KINDS = pytest.mark.parametrize("kind", ["mp4", "ts-packets-lost", "ts-bytes-changed"])


def check_length(video: Published) -> None:
    """Every place of the grid is filled; away from the damage with its own picture."""
    assert video.video["frames"] == FRAMES
    for name in video.renditions:
        shown = video.numbers(name)
        assert len(shown) == FRAMES
        assert video.times(name) == [n / video.rate for n in range(FRAMES)]
        assert shown[: 2 * GOP] == list(range(2 * GOP)), "before the damage"
        assert shown[-2 * GOP + 10 :] == list(range(FRAMES)[-2 * GOP + 10 :]), "after the damage"


@KINDS
def test_damage_is_concealed_and_told(
    publish: Publisher, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = damaged(kind)

    video = publish(source)

    check_length(video)
    told = video.video["source"]["damage"]
    assert told and all(isinstance(line, str) and line for line in told)
    assert told[0] in caplog.text, "Airflow's log does not tell"
    start = [place for place in SOUND.schedule(FRAMES / 25) if place < 1.5]
    assert video.clicks()[: len(start)] == pytest.approx(start, abs=0.01)
    assert video.clicks()[-1] == pytest.approx(SOUND.schedule(FRAMES / 25)[-1], abs=0.01)


@KINDS
def test_damage_can_be_forbidden(publish: Publisher, kind: str) -> None:
    with pytest.raises(InvalidInputError, match="VOD_ON_DAMAGE"):
        publish(damaged(kind), on_damage="fail")


def test_a_sound_clip_is_not_called_damaged(publish: Publisher) -> None:
    """Nothing of what the other clips do is taken for damage."""
    video = publish(clip("whole.mp4", video=x264(gop=GOP, open_gop=False)), on_damage="fail")

    video.check_clip()
    assert video.video["source"]["damage"] == []


@KINDS
def test_the_damage_is_real(kind: str) -> None:
    """One ffmpeg shows something else than the numbers too."""
    assert one_pass(damaged(kind), Fraction(25)) != list(range(FRAMES))


def test_a_beginning_that_cannot_be_decoded_shows_the_first_picture_that_can(publish: Publisher) -> None:
    """The first GOP, whose key frame not even ffmpeg's demuxer takes for one."""
    encoder = x264(gop=GOP, open_gop=False)
    source = patched("clip.mp4", clip("whole.mp4", video=encoder), lambda whole: junk(whole, range(GOP)))

    with pytest.raises(InvalidInputError, match="VOD_ON_DAMAGE"):
        publish(source, on_damage="fail")
    video = publish(source, on_damage="conceal")

    video.check_pictures([GOP] * GOP + list(range(GOP, FRAMES)), "25")
    video.check_clicks(SOUND.schedule(FRAMES / 25))
    assert video.video["source"]["damage"]


@pytest.mark.parametrize("sound", [SOUND, None], ids=["sound", "silent"])
def test_a_beginning_that_a_repair_cannot_decode_is_left_out_and_told(
    publish: Publisher, sound: Sound | None
) -> None:
    """More than the second that is tried as a cut is of zeros: the source is decoded before it is cut."""
    lost = 30
    whole = clip("whole.mp4", video=x264(gop=lost, open_gop=False), sound=sound)
    source = patched("clip.mp4", whole, lambda whole: junk(whole, range(30), filler=0))

    video = publish(source)

    video.check_pictures(list(range(lost, FRAMES)), "25")
    if sound:
        heard = [place - lost / 25 for place in sound.schedule(FRAMES / 25) if place >= lost / 25]
        video.check_clicks(heard)
    (late,) = [words for words in video.video["source"]["normalised"] if words.startswith("begun ")]
    assert float(late.split()[1]) == pytest.approx(lost / 25, abs=0.03)


def test_damage_of_a_source_that_is_decoded_before_it_is_cut_is_told(publish: Publisher) -> None:
    """One with a single key frame: it is written anew, and then nothing of it is damaged any more."""
    whole = clip("whole.mp4", video=x264(gop=1000), frames=200)
    source = patched("clip.mp4", whole, overwritten)

    with pytest.raises(InvalidInputError, match="VOD_ON_DAMAGE"):
        publish(source, on_damage="fail")
    video = publish(source, on_damage="conceal")

    assert any("key frames" in words for words in video.video["source"]["normalised"])
    assert len(video.video["source"]["damage"]) == 1


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param('echo "Could not open encoder before EOF" >&2; exit 244', id="nothing-decoded"),
        pytest.param(
            '"$FFMPEG" "$@"; echo "[h264 @ 0x1] Cannot allocate memory" >&2', id="something-left-out"
        ),
    ],
)
def test_a_host_without_memory_is_no_damage(publish: Publisher, tmp_path: Path, ending: str) -> None:
    """It is tried again elsewhere, not shown black."""
    poor = tmp_path / "ffmpeg"
    poor.write_text(
        f"#!/bin/sh\nFFMPEG={FFMPEG}\n"
        f'case "$*" in *filter_complex*libx264*) {ending}; exit;; esac\nexec "$FFMPEG" "$@"\n'
    )
    poor.chmod(0o755)

    with pytest.raises(ToolError) as failure:
        publish(clip("whole.mp4", video=x264(gop=GOP, open_gop=False)), ffmpeg=str(poor))

    assert failure.value.lacks_means
