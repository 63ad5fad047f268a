"""Players that are programs: what they play, written to a file in place of a screen and a loudspeaker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.clips import clicks_in, decoded, hear, numbers_in
from support.tools import ffprobe

SMALL = (64, 36)
"""Of recorded pictures: a number is in large blocks."""


@dataclass(frozen=True)
class Played:
    """What a program played, by its own clock."""

    pictures: list[tuple[float, int]]
    """When each was shown, and its number."""
    clicks: list[float]


@dataclass(frozen=True)
class Text:
    """A subtitle that a program showed, by its own clock."""

    begin: float
    end: float
    lines: str


def played(record: Path) -> Played:
    """What is in a file that a program wrote."""
    # Not moved to 0: what begins late was played late.
    numbers = numbers_in(decoded(record, *SMALL, f"scale={SMALL[0]}:{SMALL[1]}", before=("-copyts",)))
    packets = ffprobe(record, "-select_streams", "v", "-show_entries", "packet=pts_time")["packets"]
    heard, _ = hear(record, "-copyts")
    return Played(
        pictures=[(float(packet["pts_time"]), n) for packet, n in zip(packets, numbers, strict=True)],
        clicks=clicks_in(heard.on_the_clock(), heard.sample_rate),
    )


def mpv(url: str, folder: Path) -> Played:
    record = folder / "mpv.mkv"
    _run(
        "mpv", "--no-config", "--really-quiet", "--sid=no", f"--vf=scale={SMALL[0]}:{SMALL[1]}",
        "--audio-channels=mono", f"--o={record}", "--of=matroska", "--ovc=rawvideo", "--oac=pcm_s16le", url,
    )  # fmt: skip
    return played(record)


def vlc(url: str, folder: Path) -> Played:
    record = folder / "vlc.mkv"
    encode = "vcodec=h264,venc=x264{bframes=0,preset=ultrafast,qp=10},acodec=s16l,channels=1,samplerate=48000"
    command = [
        # One level: its encoder does not survive another size of picture.
        "cvlc", "--play-and-exit", "--adaptive-logic=highest", "--no-sout-all", "--no-sub-autodetect-file",
        f"--sout=#transcode{{{encode}}}:std{{access=file,mux=mkv,dst=-}}", url,
    ]  # fmt: skip
    with record.open("wb") as out:
        # It does not run as root.
        _run(*command, stdout=out, **({"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}))
    return played(record)


QUEUE = "queue max-size-time=0 max-size-bytes=0 max-size-buffers=0"
"""Without limits: a stream may wait for the others."""


def gstreamer(url: str, folder: Path, *, texts: bool = True) -> Played:
    """What it plays.

    :param texts: whether there are subtitles; it plays nothing while it waits for some in vain.
    """
    record = folder / "gstreamer.mkv"
    picture = f"video/x-raw,format=I420,width={SMALL[0]},height={SMALL[1]},pixel-aspect-ratio=1/1"
    sound = "audio/x-raw,format=S16LE,rate=48000,channels=1"
    _launch(
        f"uridecodebin3 uri={url} name=d matroskamux name=m ! filesink location={record}",
        f"d.video_0 ! {QUEUE} ! videoconvert ! videoscale ! {picture} ! {QUEUE} ! m.",
        f"d.audio_0 ! {QUEUE} ! audioconvert ! audioresample ! {sound} ! {QUEUE} ! m.",
        f"d.text_0 ! {QUEUE} ! fakesink" if texts else "",
    )
    return played(record)


def texts_of_gstreamer(url: str, folder: Path) -> list[Text]:
    told = _launch(
        f"uridecodebin3 uri={url} name=d d.video_0 ! {QUEUE} ! fakesink d.audio_0 ! {QUEUE} ! fakesink",
        f"d.text_0 ! {QUEUE} ! multifilesink location={folder}/%03d.txt post-messages=true sync=false",
    )
    found = []
    for line in told.splitlines():
        if "GstMultiFileSink" in line:
            facts = dict(part.split("=", 1) for part in line.rstrip(";").split(", ") if "=" in part)
            begin, length = (
                int(facts[name].partition(")")[2]) / 1e9 for name in ("running-time", "duration")
            )
            lines = Path(facts["filename"].partition(")")[2]).read_text("utf-8")
            found.append(Text(begin, begin + length, lines))
    return found


def texts_of_mpv(url: str, folder: Path) -> list[Text]:
    script = folder / "texts.lua"
    script.write_text(
        'mp.observe_property("sub-text", "string", function(_, text)\n'
        '  if text and text ~= "" then\n'
        '    print(mp.get_property("sub-start"), mp.get_property("sub-end"), text)\n'
        "  end\n"
        "end)\n",
        "utf-8",
    )
    told = _run(
        "mpv", "--no-config", "--msg-level=all=no,texts=info", "--no-audio", "--vo=null", "--sid=1",
        "--rebase-start-time=no", f"--script={script}", url,
    )  # fmt: skip
    rows = re.findall(r"^\[texts\] (\S+) (\S+) (.*?) ?$", told, re.MULTILINE)
    return [Text(float(begin), float(end), lines) for begin, end, lines in rows]


LONGEST_S = 120
"""Much longer than a program takes for a film of 14 s, which it plays as fast as it can."""


def _launch(*pipeline: str) -> str:
    return _run("gst-launch-1.0", "-m", *" ".join(pipeline).split())


def _run(program: str, *options: str, **how: Any) -> str:
    """What a program says."""
    if not shutil.which(program):
        pytest.skip(f"no {program} on PATH")
    try:
        done = subprocess.run(
            [program, *options],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=LONGEST_S,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            **({"stdout": subprocess.PIPE} | how),
        )
    except subprocess.TimeoutExpired:
        # So GStreamer may end a stream that it cannot read: whether it says so, too, is a matter of timing.
        raise AssertionError(f"{program}: still busy after {LONGEST_S} s") from None
    told = (done.stdout or b"").decode() + done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{program}: {told[-2000:]}"
    return told
