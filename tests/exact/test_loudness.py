"""Sound at the loudness that the preset asks for, in step with the picture as ever."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from exact.publisher import Publisher
from support.clips import clip, media, run_ffmpeg, x264
from support.presets import PRESET
from support.published import Published
from support.tools import FFMPEG


def tone(name: str, sound: str, *options: str) -> Path:
    """Six seconds of that sound under a picture."""

    def build(path: Path) -> None:
        run_ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=6", "-f", "lavfi", "-i", f"{sound}:s=48000:d=6",
            *x264(gop=25), *options, str(path),
        )  # fmt: skip

    return media(name, build, sound, options)


def measured(video: Published, name: str) -> tuple[float, float]:
    """LUFS and dBTP of a published track, by ffmpeg."""
    done = subprocess.run(
        [FFMPEG, "-hide_banner", "-nostdin", "-i", str(video.playlist(name)), "-af", "ebur128=peak=true",
         "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lufs = re.findall(r"I:\s+(-?[\d.]+) LUFS", done.stderr)[-1]
    peak = re.findall(r"Peak:\s+(-?[\d.]+|-inf) dBFS", done.stderr)[-1]
    return float(lufs), float(peak)


def asked(target: int, **audio: object) -> dict[str, object]:
    return {"audio": PRESET["audio"] | {"loudness": target} | audio}


def test_quiet_sound_is_brought_to_the_target(publish: Publisher) -> None:
    source = tone("quiet.mkv", "aevalsrc=0.02*sin(2000*PI*t)|0.02*sin(2000*PI*t)", "-c:a", "pcm_s16le")

    video = publish(source, preset=asked(-23))

    (track,) = video.tracks("audio")
    assert measured(video, "audio-0")[0] == pytest.approx(-23, abs=0.5)
    # A stereo sine of amplitude 0.02 has -34 LUFS, within the filter's weighting at 1 kHz.
    assert track["loudness"]["source_lufs"] == pytest.approx(-34, abs=0.3)
    assert track["loudness"]["gain_db"] == pytest.approx(11, abs=0.3)
    assert (track["loudness"]["target_lufs"], track["loudness"]["peak_limited"]) == (-23, False)


def test_loud_sound_is_turned_down_and_stays_in_step(publish: Publisher) -> None:
    video = publish(clip("clip.mp4"), preset=asked(-23))

    assert measured(video, "audio-0")[0] == pytest.approx(-23, abs=0.5)
    assert video.tracks("audio")[0]["loudness"]["gain_db"] < -6
    video.check_clip()


def test_peaks_limit_the_gain(publish: Publisher) -> None:
    """-34 LUFS with a crack of 0.5: 5 dB of room where 18 are wanted."""
    crack = "0.02*sin(2000*PI*t)+0.48*between(t\\,3\\,3.002)*sin(2000*PI*t)"
    source = tone("crack.mkv", f"aevalsrc={crack}|{crack}", "-c:a", "pcm_s16le")

    video = publish(source, preset=asked(-16))

    done = video.tracks("audio")[0]["loudness"]
    lufs, peak = measured(video, "audio-0")
    assert done["peak_limited"] and done["gain_db"] == pytest.approx(5, abs=0.7)
    assert peak <= -0.9 and done["true_peak_db"] == pytest.approx(peak, abs=0.2)
    assert lufs == pytest.approx(done["source_lufs"] + done["gain_db"], abs=0.5)


def test_surround_and_its_stereo_mix_each_have_a_gain(publish: Publisher) -> None:
    loud = "|".join(["0.5*sin(2000*PI*t)"] * 6)
    source = tone("surround.mkv", f"aevalsrc={loud}:c=5.1", "-c:a", "ac3", "-b:a", "448k")

    video = publish(source, preset=asked(-23, surround_bitrate_bps=384_000))

    stereo, surround = video.tracks("audio")
    assert measured(video, stereo["name"])[0] == pytest.approx(-23, abs=0.5)
    assert measured(video, surround["name"])[0] == pytest.approx(-23, abs=0.5)
    assert stereo["loudness"]["gain_db"] != surround["loudness"]["gain_db"]


def test_silence_stays_silence(publish: Publisher) -> None:
    video = publish(tone("silence.mkv", "aevalsrc=0|0", "-c:a", "pcm_s16le"), preset=asked(-23))

    assert video.tracks("audio")[0]["loudness"]["gain_db"] == 0
    assert measured(video, "audio-0")[0] <= -69


def test_nothing_is_done_unless_asked(publish: Publisher) -> None:
    video = publish(clip("clip.mp4"))

    assert video.tracks("audio")[0]["loudness"] is None
