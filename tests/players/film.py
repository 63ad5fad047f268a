"""The source that players are tried with, and real ones."""

from __future__ import annotations

from pathlib import Path

from support.clips import SAMPLE_RATE, Sound, luma, media, run_ffmpeg, write_wav, x264, yuv420p
from support.session import RATE

FRAMES = 350
"""14 s: with chunks of one segment (6 s) it has two joins, and a last segment that is short."""

JOINS = (150, 300)
WIDTH, HEIGHT = 768, 432
"""Large enough for two renditions of each preset."""

PITCHES = {"eng": 440, "fra": 1320}
"""What is heard in each language, in Hz, softly."""

CLICKS = Sound(channels=1).schedule(FRAMES / RATE)
"""When either of them clicks, in seconds."""

CUES = {
    "eng": [(0.5, 2.0, "The first line"), (5.0, 7.0, "across a join"), (12.5, 13.5, "the last line")],
    "fra": [(0.5, 2.0, "La première ligne"), (5.0, 7.0, "par-dessus un raccord"), (12.5, 13.5, "la fin")],
}


def film(name: str = "film.mp4", late_ms: int = 0) -> Path:
    """Numbered pictures; English in 5.1 and French in stereo, each of one pitch, and clicking; subtitles in
    both.

    :param late_ms: how much later than ``CLICKS`` says it clicks.
    """

    def build(path: Path) -> None:
        pictures = yuv420p(luma(range(FRAMES), WIDTH, HEIGHT))
        texts = []
        for language, cues in CUES.items():
            text = path.with_name(f"{language}.srt")
            text.write_text(subrip(cues), "utf-8")
            texts.append(text)
        raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-framerate", str(RATE))
        clicks = path.with_name("clicks.wav")
        write_wav(clicks, Sound(channels=1).pcm(FRAMES / RATE), SAMPLE_RATE)
        sounds = []
        for language, layout in (("eng", "pan=5.1|c0=c0|c1=c0|c2=c0"), ("fra", "pan=stereo|c0=c0|c1=c0")):
            tone = f"sine=f={PITCHES[language]}:r={SAMPLE_RATE}:d={FRAMES / RATE}"
            late = f"[1:a]adelay={late_ms}[{language}-clicks]"
            mixed = (
                f"[{language}-tone][{language}-clicks]amix=normalize=0:duration=first,{layout}[{language}]"
            )
            sounds += [f"{tone}[{language}-tone]", late, mixed]
        run_ffmpeg(
            *raw, "-i", "-", "-i", str(clicks), "-i", str(texts[0]), "-i", str(texts[1]),
            "-filter_complex", ";".join(sounds),
            "-map", "0", "-map", "[eng]", "-map", "[fra]", "-map", "2", "-map", "3",
            *x264(),
            "-c:a", "aac", "-b:a", "192k", "-c:s", "mov_text",
            "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra",
            "-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=fra",
            "-disposition:a:0", "default", "-disposition:s:0", "default",
            str(path), stdin=pictures,
        )  # fmt: skip

    return media(name, build, RATE, FRAMES, WIDTH, HEIGHT, PITCHES, CUES, late_ms)


def subrip(cues: list[tuple[float, float, str]]) -> str:
    def clock(seconds: float) -> str:
        return f"00:00:{seconds:06.3f}".replace(".", ",")

    return "\n".join(
        f"{number}\n{clock(start)} --> {clock(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(cues, start=1)
    )
