"""Small presentations in a folder, made with ffmpeg and Shaka Packager, for the validator to judge."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from support.dolby import frames_of, with_objects
from support.tools import FFMPEG, generate
from vod_operators.media import ffmpeg, hls, imsc, measure, webvtt
from vod_operators.media.text_mp4 import init_segment, media_segment
from vod_operators.media.track import Track
from vod_operators.runners.tools import Tools
from vod_operators.work.packaged import measured

SECONDS = 13
TARGET_S = 6
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
PQ = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"


def picture(size: str, rate: int = 25) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={SECONDS}")


def tone(hertz: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=f={hertz}:r=48000:d={SECONDS}")


def packaged(folder: Path, name: str, *args: str, gop_s: int = 2, **facts: Any) -> Track:
    """A track encoded by ffmpeg, cut, measured and listed as the operators do it."""
    place = folder / name
    place.mkdir()
    kind = facts.pop("kind", "video")
    container = ("-movflags", ffmpeg.FRAGMENTED) if kind == "video" else ("-movflags", "+frag_keyframe")
    generate(place / "track.mp4", *args, *container)
    fragment = Fraction(gop_s if kind == "video" else TARGET_S)
    argv = ffmpeg.package(
        Tools().packager, "track.mp4", kind=kind, segment=Fraction(TARGET_S), fragment=fragment
    )
    subprocess.run(argv, cwd=place, check=True, capture_output=True)
    (place / "track.mp4").unlink()
    track = Track(
        name=name,
        kind=kind,
        facts=tuple(measured(sorted(place.glob("seg-*.m4s")))),
        frame_rate=Fraction(25) if kind == "video" else None,
        **measure.init_facts((place / "init.mp4").read_bytes()),
        **facts,
    )
    (place / "index.m3u8").write_text(hls.media_playlist(track, TARGET_S), "utf-8")
    if track.key_frames:
        (place / "iframes.m3u8").write_text(hls.i_frame_playlist(track, TARGET_S), "utf-8")
    return track


def good(folder: Path) -> Path:
    """Two H.264 variants, two languages, subtitles; a square variant lies beside them, unlisted."""
    folder.mkdir()
    x264 = (*X264, "-g", "50", "-keyint_min", "50")
    aac = ("-c:a", "aac", "-ac", "2", "-b:a", "96k")
    tracks = [
        packaged(folder, "small", *picture("128x72"), *X264, "-g", "25", "-keyint_min", "25", gop_s=1),
        packaged(folder, "large", *picture("256x144"), *x264),
        packaged(folder, "en", *tone(440), *aac, kind="audio", language="en", title="English", default=True),
        packaged(folder, "de", *tone(880), *aac, kind="audio", language="de", title="Deutsch"),
    ]
    (folder / "square").mkdir()
    square = packaged(folder / "square", "v", *picture("96x96"), *x264)
    (folder / "square" / "v").rename(folder / "odd")
    (folder / "square").rmdir()
    master = hls.master_playlist(tracks, TARGET_S, prefix="")
    (folder / "master.m3u8").write_text(with_subtitles(folder, master), "utf-8")
    odd = hls.master_playlist([square, *tracks[2:]], TARGET_S, prefix="").replace("v/", "odd/")
    listed = next(line for line in odd.splitlines() if line.startswith("#EXT-X-STREAM-INF"))
    (folder / "odd.txt").write_text(f'{listed},SUBTITLES="text"\nodd/index.m3u8\n', "utf-8")
    return folder / "master.m3u8"


def dolby(folder: Path) -> Path:
    """H.264 with stereo, and with 5.1 in AAC, AC-3 and E-AC-3; the latter with (hand-made) objects."""
    folder.mkdir()
    surround = (*tone(440), "-af", "aformat=channel_layouts=mono,pan=5.1|c0=c0|c1=c0|c2=c0|c4=c0|c5=c0")
    raw = generate(folder / "plain.eac3", *surround, "-c:a", "eac3", "-b:a", "384k").read_bytes()
    (folder / "joc.eac3").write_bytes(b"".join(map(with_objects, frames_of(raw))))
    sounds = {
        "audio-0": (*tone(440), "-c:a", "aac", "-ac", "2", "-b:a", "96k"),
        "audio-0-surround": (*surround, "-c:a", "aac", "-b:a", "192k"),
        "audio-0-ac3": (*surround, "-c:a", "ac3", "-b:a", "384k"),
        "audio-0-eac3": ("-i", str(folder / "joc.eac3"), "-c", "copy"),
    }
    x264 = (*X264, "-g", "50", "-keyint_min", "50")
    tracks = [
        packaged(folder, "small", *picture("128x72"), *x264),
        packaged(folder, "large", *picture("256x144"), *x264),
    ]
    tracks += [
        packaged(folder, name, *args, kind="audio", language="en", title="English", default=True)
        for name, args in sounds.items()
    ]
    master = folder / "master.m3u8"
    master.write_text(hls.master_playlist(tracks, TARGET_S, prefix=""), "utf-8")
    return master


def with_subtitles(folder: Path, master: str) -> str:
    """A WebVTT rendition, written by hand."""
    place = folder / "text"
    place.mkdir()
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:6", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for number, lasts in enumerate((6, 6, 1)):
        begin = 6 * number
        (place / f"{number}.vtt").write_text(
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
            f"00:00:{begin:02d}.000 --> 00:00:{begin + lasts:02d}.000\nWords {number}\n",
            "utf-8",
        )
        lines += [f"#EXTINF:{lasts}.000000,", f"{number}.vtt"]
    (place / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]), "utf-8")
    member = (
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="English",LANGUAGE="en",'
        'DEFAULT=NO,AUTOSELECT=YES,URI="text/index.m3u8"\n'
    )
    at = master.index("#EXT-X-STREAM-INF")
    variants = master[at:].replace('AUDIO="audio"', 'AUDIO="audio",SUBTITLES="text"')
    return master[:at] + member + variants


def by_ffmpeg(
    folder: Path, *args: str, streams: str = "v:0,a:0", container: str = "mpegts", seconds: int = TARGET_S
) -> Path:
    """What ffmpeg's own HLS muxer makes of it, with its own playlists."""
    folder.mkdir()
    command = [
        FFMPEG, "-v", "error", "-nostdin", *args,
        "-f", "hls", "-hls_time", str(seconds), "-hls_playlist_type", "vod", "-hls_segment_type", container,
        "-master_pl_name", "master.m3u8", "-var_stream_map", streams, "%v.m3u8",
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True)
    return folder / "master.m3u8"


def low_latency(folder: Path, *args: str) -> Path:
    """A low-latency live stream while it runs: six whole segments, and names of parts that are not there."""
    master = by_ffmpeg(folder, *args, seconds=2)
    playlist = folder / "0.m3u8"
    text = playlist.read_text("utf-8").replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
    text = text.rpartition("#EXTINF")[0]  # half a segment
    before, last, end = text.rpartition("#EXTINF")
    head, first, middle = before.partition("#EXTINF")
    playlist.write_text(
        head
        + "#EXT-X-PART-INF:PART-TARGET=1.0\n"
        + "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,PART-HOLD-BACK=3.0\n"
        + "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n"
        + (first + middle)
        + '#EXT-X-PART:DURATION=1.0,URI="part1.ts",INDEPENDENT=YES\n#EXT-X-PART:DURATION=1.0,URI="part2.ts"\n'
        + (last + end)
        + '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part3.ts"\n',
        "utf-8",
    )
    return master


def by_packager(folder: Path, source: Path, *more: Path) -> Path:
    """What Shaka Packager makes of it, with its own playlists."""
    folder.mkdir()
    argv = [Tools().packager, "--quiet"]
    for number, path in enumerate((source, *more)):
        place = f"{number}"
        argv.append(
            f"in={path},stream=video,init_segment={place}/init.mp4,segment_template={place}/$Number$.m4s,"
            f"playlist_name={place}/index.m3u8,iframe_playlist_name={place}/iframes.m3u8"
        )
    subprocess.run([*argv, "--hls_master_playlist_output", "master.m3u8"], cwd=folder, check=True)
    return folder / "master.m3u8"


def imsc_beside(folder: Path, change: Callable[[bytes], bytes] = lambda document: document) -> None:
    """Add the subtitles of ``with_subtitles`` as IMSC1: a group, and each variant a second time.

    :param change: what is done to each document.
    """
    place, second = folder / "imsc", 1000
    place.mkdir()
    (place / "init.mp4").write_bytes(init_segment(second, 13 * second, "eng"))
    listed = (folder / "text" / "index.m3u8").read_text("utf-8")
    listed = listed.replace("#EXTINF", '#EXT-X-MAP:URI="init.mp4"\n#EXTINF', 1).replace(".vtt", ".m4s")
    (place / "index.m3u8").write_text(listed, "utf-8")
    for number, lasts in enumerate((6, 6, 1)):
        begin = 6 * number
        cues = webvtt.parse((folder / "text" / f"{number}.vtt").read_text("utf-8"))
        document = change(imsc.document(cues, "en"))
        data = media_segment(document, number + 1, begin * second, lasts * second)
        (place / f"{number}.m4s").write_bytes(data)
    master = folder / "master.m3u8"
    lines: list[str] = []
    variants: list[str] = []
    for line in master.read_text("utf-8").splitlines():
        lines.append(line)
        if line.startswith("#EXT-X-MEDIA:TYPE=SUBTITLES"):
            lines.append(line.replace('"text', '"imsc'))
        elif line.startswith("#EXT-X-STREAM-INF"):
            told = re.sub(r'CODECS="([^"]*)', rf'CODECS="\1,{imsc.CODEC}', line)
            variants.append(told.replace('SUBTITLES="text"', 'SUBTITLES="imsc"'))
        elif variants and len(variants) % 2:
            variants.append(line)
    master.write_text("\n".join([*lines, *variants, ""]), "utf-8")
