"""Whatever ffmpeg can decode and an encoder here can make, in its usual containers: cut and decoded, it gives
what decoding the file gives; or the first task says that it cannot be cut as it is, or refuses it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.presets import PRESET
from support.tools import FFMPEG, FFPROBE
from vod_operators.errors import InvalidInputError
from vod_operators.media import packets, trial
from vod_operators.media.ffmpeg import repair
from vod_operators.media.models import Plan, Timeline
from vod_operators.media.packets import PacketTimes
from vod_operators.media.plan import make_plan, plan_timeline
from vod_operators.media.presets.model import Preset
from vod_operators.pipeline import MAX_MAP_LENGTH
from vod_operators.runners.local import LocalRunner
from vod_operators.runners.tools import Tools
from vod_operators.settings import get_settings
from vod_operators.work.cutting import SOURCE, Cutter
from vod_operators.work.inspection import inspect
from vod_operators.work.source import Excerpt

CONTAINERS = {
    "video": ("mp4", "mov", "mkv", "webm", "avi", "ts", "mxf", "flv", "ogg", "asf", "mpg", "gxf", "ivf"),
    "audio": ("mp4", "m4a", "mov", "mka", "avi", "ts", "mxf", "flv", "ogg", "asf", "mpg", "wav", "w64", "caf",
              "aiff", "rm", "mp3", "flac", "3gp"),
}  # fmt: skip

HARDWARE = re.compile(r"_(?:nvenc|qsv|vaapi|amf|v4l2m2m|vulkan|mf|omx|videotoolbox|d3d12va|cuvid)$")

SIZES = ("64x48", "352x288", "720x576", "1920x1080")
"""Some encoders know a few sizes only."""

SOUNDS = (("48000", "2"), ("44100", "2"), ("8000", "1"), ("16000", "1"), ("22050", "1"))


def encoders() -> Iterator[tuple[str, str, str]]:
    """Kind, name and codec of each encoder of the wheel whose codec it decodes too."""
    known = {}
    for listing in ("-encoders", "-codecs"):
        done = subprocess.run([FFMPEG, "-hide_banner", listing], capture_output=True, text=True, check=True)
        known[listing] = done.stdout
    for flags, name, words in re.findall(r"^ ([VA])[.A-Z]{5} (\S+) +(.*)$", known["-encoders"], re.M):
        codec = re.search(r"\(codec (\S+)\)", words)
        is_decoded = re.search(
            rf"^ D\S{{5}} {re.escape(codec[1] if codec else name)} ", known["-codecs"], re.M
        )
        if is_decoded and not HARDWARE.search(name):
            yield ("video" if flags == "V" else "audio"), name, codec[1] if codec else name


ENCODERS = sorted(encoders())
CODECS = {name: codec for _, name, codec in ENCODERS}


def asked_of(file: Path, fact: str, kind: str) -> str:
    done = subprocess.run(
        [FFPROBE, "-v", "error", "-select_streams", kind[0], "-show_entries", f"stream={fact}",
         "-of", "default=nw=1:nk=1", str(file)],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.split("\n")[0]


def made(kind: str, encoder: str, container: str, folder: Path) -> Path | None:
    """A second of it in that container, if it can be, and is known for what it is."""
    file = folder / f"made.{container}"
    if kind == "video":
        tries = [["-s", size, "-c:v", encoder, "-map", "0"] for size in SIZES]
        tries += [["-s", "1920x1080", "-c:v", encoder, "-b:v", "120M", "-pix_fmt", "yuv422p", "-map", "0"]]
    else:
        tries = [["-ar", rate, "-ac", channels, "-c:a", encoder, "-map", "1"] for rate, channels in SOUNDS]
    for options in tries:
        file.unlink(missing_ok=True)
        command = [
            FFMPEG, "-v", "error", "-nostdin", "-y",
            "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "anoisesrc=d=1:a=0.5:s=1",
            *options, "-strict", "-2", str(file),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=20)
        except subprocess.TimeoutExpired:
            return None  # some encoders of the wheel hang
        if done.returncode == 0 and file.stat().st_size > 300:
            return file if asked_of(file, "codec_name", kind) == CODECS[encoder] else None
    return None


def times_of(plan: Plan, folder: Path) -> PacketTimes:
    times = PacketTimes(packets.layout_of(plan))
    argv = packets.read_packets(FFPROBE, SOURCE, times.layout)
    LocalRunner().run(argv, folder=folder, on_line=times.read_line)
    return times


def timeline_of(plan: Plan, times: PacketTimes) -> Timeline:
    return plan_timeline(
        plan=plan,
        time_base=times.video_time_base,
        pts=times.pts,
        key_pts=times.key_pts,
        last_duration=times.last_duration,
        sounds=times.sounds,
        most_chunks=MAX_MAP_LENGTH,
        first_pts=plan.source.video.first_pts if plan.source.video else None,
    ).model_copy(update={"carrier": times.layout.video_carrier})


def decoded(file: Path, kind: str, *options: str, pixel_format: str | None = None) -> bytes:
    out = ["-f", "framemd5"] if kind == "video" else ["-f", "f32le", "-c:a", "pcm_f32le"]
    if pixel_format:
        out += ["-pix_fmt", pixel_format]
    done = subprocess.run(
        [FFMPEG, "-v", "error", "-nostdin", "-noautorotate", *options, "-i", str(file),
         "-map", f"0:{kind[0]}:0", *(["-fps_mode", "passthrough"] if kind == "video" else []), *out, "-"],
        capture_output=True,
    )  # fmt: skip
    return done.stdout


def check_cut(kind: str, file: Path, folder: Path) -> str:
    """Cut as the operators do, and compare; returns what it was cut into."""
    (folder / SOURCE).symlink_to(file)
    tools = Tools()
    try:
        source = inspect(
            LocalRunner(), tools, Excerpt(folder / SOURCE, file.stat().st_size), limits=get_settings().limits
        )
    except InvalidInputError:
        return "refused"
    if kind == "video" and source.video is None:
        return "no picture"  # the container has no name for it
    plan = make_plan(
        video_id="v",
        source=source,
        preset=Preset(name="exact", **PRESET),
        chunk_seconds=None,
        chunk_seconds_is_asked=False,
    )
    times = times_of(plan, folder)
    layout = packets.layout_of(plan)
    if packets.why_decode(plan, times):
        argv = repair(FFMPEG, SOURCE, "cut", layout=layout, video=source.video, decode=True)
        LocalRunner().run(argv, folder=folder)
        written = asked_of(folder / "cut", "pix_fmt", kind) if kind == "video" else None
        # FFV1 has no palettes, and a fourth byte in which anything may be.
        written = "gbrp" if written == "bgr0" else written
        check_same(kind, file, folder, "nut", pixel_format=written)
        return "decoded"
    try:
        timeline = timeline_of(plan, times)
    except InvalidInputError:
        return "refused"
    cutter = Cutter(LocalRunner(), tools, timeline, folder)
    layout = packets.layout_of(plan, timeline)
    if kind == "video":
        assert source.video
        cutter.chunk(SOURCE, "cut", layout=layout, chunk=timeline.chunks[0])
        carrier = source.video.carrier
    else:
        cutter.sound(SOURCE, "cut", layout=layout, track="audio-0")
        carrier = source.audio[0].carrier
    check_same(kind, file, folder, carrier)
    return carrier


def check_same(kind: str, file: Path, folder: Path, carrier: str, pixel_format: str | None = None) -> None:
    """Decoding the cut gives what decoding the file gives."""
    container = carrier if kind == "video" else "nut"
    direct = decoded(file, kind, pixel_format=pixel_format)
    cut = decoded(folder / "cut", kind, "-f", container, pixel_format=pixel_format)
    if kind == "video":
        pictures = trial.read_hashes(direct)
        assert pictures and trial.same_pictures(pictures, trial.read_hashes(cut)), f"{file.name}: {carrier}"
    else:
        assert direct and trial.same_sound(direct, cut), f"{file.name}: {carrier}"


@pytest.mark.parametrize(("kind", "encoder"), [pytest.param(*e[:2], id="-".join(e[:2])) for e in ENCODERS])
def test_no_codec_differs_unnoticed(kind: str, encoder: str, tmp_path: Path) -> None:
    outcomes = {}
    for container in CONTAINERS[kind]:
        folder = tmp_path / container
        folder.mkdir()
        if file := made(kind, encoder, container, folder):
            outcomes[container] = check_cut(kind, file, folder)
    print(outcomes)
    if not outcomes:
        pytest.skip("no container here holds what it makes")


def test_the_sweep_is_wide() -> None:
    """A wheel that had lost its encoders would try nothing."""
    assert len([name for kind, name, _ in ENCODERS if kind == "video"]) >= 50
    assert len([name for kind, name, _ in ENCODERS if kind == "audio"]) >= 60


def test_what_is_made_can_differ(tmp_path: Path) -> None:
    """The comparison sees what NUT loses: a palette of QuickTime Animation."""
    file = made("video", "qtrle", "mov", tmp_path)
    assert file is not None
    (tmp_path / "f").mkdir()
    assert check_cut("video", file, tmp_path / "f") == "mov"
