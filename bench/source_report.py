"""How true the source report is: defects seeded into clips, and clips without any; and what it costs.

Each clip goes through the real operators, in two chunks, at one small rendition. A defect lasts 0.52, 1 or 3
seconds, and lies at the beginning, within a chunk, over the join, or at the end.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from bench import report_unseen
from bench.media import CLIP, RATE, ffmpeg
from tqdm import tqdm

SECONDS, JOIN_S = 18, 6
LENGTHS = (0.52, 1.0, 3.0)
KINDS = ("black", "frozen", "flashes", "silent", "clipped", "bars")
FRAME_S = 1 / RATE

PICTURE = "s=640x360:r=25:d=18"
STEREO = "aformat=channel_layouts=stereo"
NOISE = "noise=alls=6:allf=t"

CLEAN = {
    "cartoon (bbb)": (f"movie={CLIP}:loop=0,setpts=N/25/TB,trim=duration=18,scale=640:360[v]", "music"),
    "pan with grain": (
        f"testsrc2=s=1280x720:r=25:d=18,crop=640:360:'300+280*sin(t)':'180+150*cos(t*1.3)',{NOISE}[v]",
        "pink",
    ),
    "game of life": (
        "life=s=160x90:r=12:mold=10:ratio=0.4:seed=4,scale=640:360:flags=neighbor,fps=25,"
        "trim=duration=18[v]",
        "pink",
    ),
    "test pattern": (f"testsrc2={PICTURE}[v]", "tone"),
    "slides": (
        "color=navy:s=640x360:r=25:d=3,drawbox=60:60:300:20:white:fill,drawbox=60:120:200:14:yellow:fill[a];"
        "color=white:s=640x360:r=25:d=4,drawbox=60:60:200:20:black:fill,drawbox=80:150:400:100:teal:fill[b];"
        "color=gray:s=640x360:r=25:d=11,drawbox=20:60:500:200:orange:fill[c];[a][b][c]concat=n=3[v]",
        "speech",
    ),
    "screen recording": (
        "color=0xf0f0f0:s=640x360:r=25:d=18,drawbox=0:0:640:24:0x404040:fill[d];color=black:s=6x10:r=25:d=18[p];"
        "[d][p]overlay=x='100+if(between(t,2,5),(t-2)*60,180*gte(t,5))':y='100+if(between(t,7,8),(t-7)*90,90*gte(t,8))',"
        "drawbox=40:60:'max(1,min(500,t*60))':8:0x202020:fill[v]",
        "speech",
    ),
    "speaker": (
        "gradients=s=640x360:r=25:d=18:c0=0x304050:c1=0x506070:n=2:speed=0.00001:seed=3[b];"
        "color=0xc09070:s=150x200:r=25:d=18,drawbox=40:70:20:10:black:fill,drawbox=90:70:20:10:black:fill,"
        "drawbox=45:140:60:'10+8*sin(t*17)':0x602020:fill[f];"
        "[b][f]overlay=x='245+14*sin(t*1.3)+5*sin(t*3.1)':y='90+6*sin(t*1.7)',noise=alls=3:allf=t[v]",
        "speech",
    ),
    "credits": (
        "color=black:s=640x360:r=25:d=18[b];color=black:s=300x900:r=25:d=18,"
        "drawgrid=w=0:h=40:t=9:c=white@0.9[c];[b][c]overlay=x=170:y='360-t*60'[v]",
        "music",
    ),
    "fades": (
        f"movie={CLIP}:loop=0,setpts=N/25/TB,trim=duration=18,scale=640:360,fade=in:0:25,"
        "fade=out:st=5:d=1:enable='lt(t,6.6)',fade=in:st=6.6:d=1:enable='gte(t,6.6)',fade=out:st=17:d=0.9[v]",
        "music",
    ),
    "night": (
        f"movie={CLIP}:loop=0,setpts=N/25/TB,trim=duration=18,scale=640:360,lutyuv=y='16+(val-16)*0.18',{NOISE}[v]",
        "quiet",
    ),
    "lightning, twice a second": (
        f"movie={CLIP}:loop=0,setpts=N/25/TB,trim=duration=18,scale=640:360,"
        "drawbox=c=white:t=fill:enable='lt(mod(n,13),2)'[v]",
        "music",
    ),
    "pan over a fence": (
        "color=white:s=1280x360:r=25:d=18,drawgrid=w=80:h=0:t=40:c=black[p];"
        "color=gray:s=640x360:r=25:d=18[b];[b][p]overlay=x='-mod(t*400,640)'[v]",
        "pink",
    ),
}  # fmt: skip
"""Kind -> graph of its picture, and its sound."""

SOUNDS = {
    "music": f"amovie={CLIP}:loop=0,asetpts=N/SR/TB,atrim=duration=18,{STEREO},volume=12dB",
    "pink": "anoisesrc=c=pink:a=0.4:r=48000:d=18",
    "tone": "sine=440:r=48000:d=18,volume=17dB",
    "speech": "anoisesrc=c=pink:a=0.6:r=48000:d=18,tremolo=f=3:d=0.95,"
    "volume='if(lt(mod(t,4),0.6),0.003,1)':eval=frame",
    "quiet": "anoisesrc=c=pink:a=0.4:r=48000:d=18,volume=-48dB",
}  # fmt: skip

BASES = ("cartoon (bbb)", "pan with grain", "speaker", "game of life")
"""Clips that defects are seeded into."""

PICTURES, SOUND_KINDS = ("black", "frozen", "flashes"), ("silent", "clipped")


def places(length: float) -> dict[str, float]:
    """When a defect begins, in seconds: a whole number of frames."""
    starts = {"beginning": 0.0, "join": JOIN_S - length / 2, "within": 8.52, "end": SECONDS - length}
    return {name: round(start * RATE) / RATE for name, start in starts.items()}


def seeded_filters(kind: str, begin: float, end: float) -> tuple[str, str]:
    """Filters of the picture and of the sound that make a defect in frames ``[begin, end)`` (seconds)."""
    first, last = round(begin * RATE), round(end * RATE)
    within = f"enable='between(n,{first},{last - 1})'"
    while_ = f"enable='between(t,{begin},{end})'"
    if kind == "black":
        return f"drawbox=c=black:t=fill:{within}", "anull"
    if kind == "frozen":
        return (
            f"select='not(between(n,{first + 1},{last - 1}))',fps=25,"
            f"tpad=stop_mode=clone:stop=-1,trim=duration={SECONDS}",
            "anull",
        )
    if kind == "flashes":
        return f"drawbox=c=white:t=fill:enable='between(n,{first},{last - 1})*not(mod(n-{first},2))'", "anull"
    if kind == "silent":
        return "null", f"volume=0:{while_}"
    return "null", f"volume=30dB:{while_},aformat=s16"


def make(path: Path, clip: str, picture: str = "null", sound: str = "anull") -> Path:
    graph, voice = CLEAN[clip]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = f"{graph.removesuffix('[v]')},{picture},format=yuv420p[v]"
        ffmpeg(
            "-filter_complex", f"{graph};{SOUNDS[voice]},{STEREO},{sound}[a]", "-map", "[v]", "-map", "[a]",
            "-r", "25", "-t", str(SECONDS), "-c:v", "libx264", "-preset", "veryfast",
            "-crf", "21", "-g", "60", "-c:a", "aac", "-b:a", "160k", "-ac", "2", str(path),
        )  # fmt: skip
    return path


PRESET = {
    "title": "report", "description": "One rendition.", "pictures": None,
    "ladders": [{"encoder": "libx264", "encoder_preset": "veryfast", "rungs": [
        {"name": "234p", "width": 416, "height": 234, "crf": 28,
         "max_bitrate_bps": 900_000, "buffer_bits": 900_000},
    ]}],
    "audio": {"channels": 2, "bitrate_bps": 96000},
}  # fmt: skip


def report_of(source: Path, preset: str, chunk_seconds: int = JOIN_S) -> dict[str, Any]:
    """The source report of a file, by the steps that find it."""
    from vod_operators.operators.audio import VodEncodeAudioOperator
    from vod_operators.operators.prepare import VodPrepareOperator
    from vod_operators.operators.split import VodSplitOperator
    from vod_operators.operators.transcode import VodTranscodeChunkOperator
    from vod_operators.settings import get_settings
    from vod_operators.storage import checkpoint
    from vod_operators.work import report
    from vod_operators.work.job import read_job, read_timeline
    from vod_operators.work.worker import open_stores

    pushed: dict[str, Any] = {}
    video = f"v{time.monotonic_ns()}"
    run = SimpleNamespace(dag_id="bench", run_id=video, start_date=None)
    ti = SimpleNamespace(task_id="bench", map_index=-1, try_number=1, xcom_push=pushed.__setitem__)
    context: Any = {"dag_run": run, "ti": ti, "task_instance": ti}
    asked = {"video_id": video, "preset": preset, "chunk_seconds": str(chunk_seconds)}
    sounds = VodPrepareOperator(task_id="prepare", source=source.as_uri(), **asked).execute(context)
    given = {"plan": pushed["plan"], "source": source.as_uri()}
    for chunk in VodSplitOperator(task_id="split", **given).execute(context):
        VodTranscodeChunkOperator(task_id="transcode", chunk=chunk, **given).execute(context)
    for track in sounds:
        VodEncodeAudioOperator(task_id="audio", track=track, **given).execute(context)
    temp, _ = open_stores(get_settings())
    job = read_job(temp, pushed["plan"], get_settings())
    timeline = read_timeline(temp, job)
    steps = [chunk.name for chunk in timeline.chunks] + [audio.name for audio in job.plan.audio]
    markers = checkpoint.load_markers(temp, [job.work_keys.marker(step) for step in steps])
    found = report.of_markers(job.plan, timeline, markers)
    return found.model_dump(mode="json") if found else {}


def seeded(folder: Path) -> list[tuple[Path, list[tuple[str, float, str]]]]:
    """Each file with its defects: kind, length and place. Each place has a picture's and a sound's."""
    found = []
    for number, base in enumerate(BASES):
        for length in LENGTHS if number < 2 else LENGTHS[:1]:
            for turn in range(3):
                picture, sound, defects = [], [], []
                for place, (name, begin) in enumerate(places(length).items()):
                    seen, heard = PICTURES[(place + turn) % len(PICTURES)], SOUND_KINDS[(place + turn) % 2]
                    picture.append(seeded_filters(seen, begin, begin + length)[0])
                    sound.append(seeded_filters(heard, begin, begin + length)[1])
                    defects += [(seen, length, name), (heard, length, name)]
                path = folder / f"{number}-{length}-{turn}.mp4"
                found.append((make(path, base, ",".join(picture), ",".join(sound)), defects))
    return found


def cpu_s() -> float:
    """CPU seconds of this process and of the tools that it has run."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


COST_S = 24
COST_PRESET = "h264_small"
"""The cheapest preset, where looking is the largest part."""


def cost(folder: Path, preset: str, repeat: int) -> dict[str, list[float]]:
    """CPU seconds of all steps of ``COST_PRESET`` with and without the report, in turns; and of a preset
    without, once."""
    off = dict.fromkeys((*KINDS, "loudness"), "off")
    kinds = {"told": (COST_PRESET, {}), "off": (COST_PRESET, off), preset: (preset, off)}
    for name, (of, policy) in kinds.items():
        (folder / f"presets/{name}-cost.json").write_text(
            json.dumps(_document(of) | {"source_report": policy})
        )
    path = folder / "cost.mp4"
    ffmpeg("-stream_loop", str(COST_S // 5), "-i", str(CLIP), "-c", "copy", "-t", str(COST_S), str(path))
    turns = [name for turn in range(repeat) for name in (("told", "off"), ("off", "told"))[turn % 2]]
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for name in tqdm([*turns, preset], desc="cost"):
        begin = cpu_s()
        report_of(path, f"{name}-cost", COST_S // 2)
        found[name].append(cpu_s() - begin)
    return found


def work(folder: Path, preset: str, repeat: int) -> dict[str, Any]:
    """What was found in each clip, and what looking costs."""
    os.environ |= {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "VOD_TEMP_URI": (folder / "temp").as_uri(),
        "VOD_RESULTS_URI": (folder / "results").as_uri(),
        "VOD_SOURCE_ALLOW": json.dumps([folder.as_uri()]),
        "VOD_PRESETS_DIR": str(folder / "presets"),
    }
    (folder / "presets").mkdir(parents=True, exist_ok=True)
    (folder / "presets/report.json").write_text(json.dumps(PRESET))
    spent = cost(folder, preset, repeat)
    clean = {}
    for clip in tqdm(CLEAN, desc="clean clips"):
        name = "".join(letter if letter.isalpha() else "-" for letter in clip)
        report = report_of(make(folder / "clean" / f"{name}.mp4", clip), "report")
        clean[clip] = {kind: report[kind] for kind in KINDS if report[kind]}
    hits = []
    for path, defects in tqdm(seeded(folder / "seeded"), desc="clips with defects"):
        report = report_of(path, "report")
        hits += [_hit(report, *defect) | {"file": path.stem} for defect in defects]
        kinds = Counter(kind for kind, _, _ in defects)
        more = {kind: len(report[kind] or ()) - kinds[kind] for kind in KINDS if kind != "bars"}
        clean[path.stem] = {kind: count for kind, count in more.items() if count > 0}
    drawn = folder.parent / "quality" / "clips"
    unseen = report_unseen.measure(folder / "unseen", drawn, lambda path: report_of(path, "report", 2))
    return {"clean": clean, "seeded": hits, "unseen": unseen, "preset": preset, "cpu_s": spent}


def _hit(report: dict[str, Any], kind: str, length: float, place: str) -> dict[str, Any]:
    """Whether a defect was found, and how many seconds its ends are off at most."""
    begin = places(length)[place]
    off = min(
        (
            max(abs(interval["start_s"] - begin), abs(interval["end_s"] - begin - length))
            for interval in report[kind] or ()
        ),
        default=None,
    )
    found = off is not None and off < 1.01 * FRAME_S
    return {"kind": kind, "length": length, "place": place, "off_s": off, "found": found}


def _document(preset: str) -> dict[str, Any]:
    file = files("vod_operators.media.presets") / f"{preset}.json"
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


def measure(folder: Path, preset: str, repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """What ``work`` finds, in a process of its own, because Airflow is imported there."""
    say("clips, clean and with defects")
    folder = folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "bench.source_report", str(folder), preset, str(repeat)],
        check=True,
        stdout=subprocess.PIPE,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(found: dict[str, Any]) -> list[str]:
    lines = [f"{'kind':<10}" + "".join(f"{length:>10} s" for length in LENGTHS) + f"{'ends off by':>16}"]
    for kind in sorted({hit["kind"] for hit in found["seeded"]}):
        hits = [hit for hit in found["seeded"] if hit["kind"] == kind]
        line = f"{kind:<10}"
        for length in LENGTHS:
            of_length = [hit["found"] for hit in hits if hit["length"] == length]
            line += f"{sum(of_length):>6} of {len(of_length):<2}"
        worst = max((hit["off_s"] for hit in hits if hit["off_s"] is not None), default=0)
        lines.append(f"{line}{1000 * worst:>12.0f} ms")
    wrong = {clip: kinds for clip, kinds in found["clean"].items() if kinds}
    lines.append(f"clean: {len(CLEAN)} clips; found where nothing is: {wrong or 'nothing'}")
    lines += report_unseen.table(found["unseen"])
    told, off = (median(found["cpu_s"][name]) for name in ("told", "off"))
    (large,) = found["cpu_s"][found["preset"]]
    lines.append(
        f"CPU of all steps of {COST_PRESET}: {told:.2f} s with the report, {off:.2f} s without: "
        f"{told / off - 1:+.1%}; {found['preset']} takes {large:.2f} s without, of which that is "
        f"{(told - off) / large:.1%}"
    )
    return lines


if __name__ == "__main__":
    print(json.dumps(work(Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3]))))
