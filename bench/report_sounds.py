"""Music and speech that the source report is measured on: synthesised, so nobody's rights are touched."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48_000

Samples = NDArray[np.float64]


def _note(
    frequency: float, seconds: float, *, decay_s: float, harmonics: int, rng: np.random.Generator
) -> Samples:
    t = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(t)
    for n in range(1, harmonics + 1):
        stretched = frequency * n * np.sqrt(1 + 0.0004 * n * n)
        if stretched < RATE / 2.2:
            sound += (
                np.sin(2 * np.pi * (stretched * t + rng.random())) / n**1.2 * np.exp(-t * n / (4 * decay_s))
            )
    return sound * np.minimum(1, t / 0.004) * np.exp(-t / decay_s)


def _placed(seconds: float, notes: list[tuple[float, Samples]]) -> Samples:
    whole = np.zeros(int(seconds * RATE))
    for start, sound in notes:
        begin = int(start * RATE)
        part = sound[: max(0, len(whole) - begin)]
        whole[begin : begin + len(part)] += part
    return whole


def piano(seconds: float, rng: np.random.Generator) -> Samples:
    """Broken chords with a melody, long decays and few peaks."""
    chords = ((48, 55, 60, 64), (45, 52, 57, 60), (41, 53, 57, 60), (43, 50, 59, 62))
    notes = []
    for n in range(int(seconds / 0.22) + 1):
        chord = chords[n // 8 % 4]
        for key in {chord[n % 4], 12 + chord[int(rng.integers(4))]}:
            tone = _note(440 * 2 ** ((key - 69) / 12), 1.6, decay_s=0.6, harmonics=8, rng=rng)
            notes.append((0.22 * n + 0.01 * rng.random(), tone * (0.3 + 0.7 * rng.random())))
    return _placed(seconds, notes)


def drums(seconds: float, rng: np.random.Generator) -> Samples:
    """A kick, a snare and a hi-hat at 120 beats a minute."""
    notes = []
    for n in range(int(seconds / 0.125) + 1):
        t = np.arange(int(0.3 * RATE)) / RATE
        hat = rng.standard_normal(len(t)) * np.exp(-t / 0.02) * 0.12
        notes.append((0.125 * n, np.diff(hat, prepend=0)))
        if n % 4 == 0:
            notes.append(
                (
                    0.125 * n,
                    np.sin(2 * np.pi * (50 * t + 60 * 0.03 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.12),
                )
            )
        if n % 4 == 2:
            notes.append(
                (
                    0.125 * n,
                    (0.5 * rng.standard_normal(len(t)) + np.sin(2 * np.pi * 190 * t))
                    * np.exp(-t / 0.07)
                    * 0.6,
                )
            )
    return _placed(seconds, notes)


def band(seconds: float, rng: np.random.Generator) -> Samples:
    """Drums, a bass and sustained chords of many partials: dense, as most recorded music is."""
    notes = []
    chords = ((45, 57, 60, 64), (41, 53, 57, 60), (48, 55, 60, 64), (43, 55, 59, 62))
    for n in range(int(seconds) + 1):
        for key in chords[n % 4]:
            tone = _note(440 * 2 ** ((key - 69) / 12), 1.1, decay_s=1.4, harmonics=16, rng=rng)
            notes.append((float(n), 0.35 * tone))
        for eighth in range(4):
            tone = _note(440 * 2 ** ((chords[n % 4][0] - 81) / 12), 0.3, decay_s=0.25, harmonics=6, rng=rng)
            notes.append((n + eighth / 4, 0.6 * tone))
    return _placed(seconds, notes) + 0.8 * drums(seconds, rng)


def strings(seconds: float, rng: np.random.Generator) -> Samples:
    """Sustained tones with vibrato, in a swell."""
    t = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(t)
    for key in (50, 57, 62, 66, 69, 74):
        for _ in range(3):
            drift = 0.003 * np.sin(2 * np.pi * (5 + rng.random()) * t + 6 * rng.random())
            phase = (
                2
                * np.pi
                * np.cumsum(440 * 2 ** ((key - 69 + 0.1 * rng.standard_normal()) / 12) * (1 + drift))
                / RATE
            )
            sound += sum(np.sin(n * phase + 6 * rng.random()) / n for n in range(1, 9))
    return sound * (0.6 + 0.4 * np.sin(2 * np.pi * t / 3))


def speech(seconds: float, rng: np.random.Generator) -> Samples:
    """Voiced syllables with formants, consonants of noise, and pauses above a room's noise."""
    notes, at = [], 0.1
    while at < seconds:
        length = 0.09 + 0.15 * rng.random()
        t = np.arange(int(length * RATE)) / RATE
        pitch = 2 * np.pi * np.cumsum(118 * (1 + 0.2 * rng.random() - 0.3 * t)) / RATE
        formants = (500 + 300 * rng.random(), 1100 + 900 * rng.random(), 2500)
        voiced = sum(
            np.sin(n * pitch) * sum(1 / (1 + ((n * 118 - f) / 90) ** 2) for f in formants)
            for n in range(1, 30)
        )
        shape = np.sin(np.pi * t / length) ** 0.7
        hiss = np.diff(rng.standard_normal(int(0.05 * RATE)), prepend=0) * 0.25
        notes += [(at, voiced * shape * (0.5 + 0.5 * rng.random())), (at + length, hiss)]
        at += length + 0.05 + (0.45 * rng.random() if rng.random() < 0.2 else 0)
    voice = _placed(seconds, notes)
    return voice + 0.002 * np.abs(voice).max() * rng.standard_normal(len(voice))  # -57 dBFS: not silent


def master(seconds: float, rng: np.random.Generator) -> Samples:
    """The band as it is mastered for loudness: compressed, and limited smoothly, but not clipped."""
    sound = band(seconds, rng)
    sound /= np.abs(sound).max()
    width = int(0.005 * RATE)
    peaks = np.abs(3 * sound)
    held = np.array([peaks[max(0, n - width) : n + width].max() for n in range(0, len(peaks), width // 4)])
    gain = 1 / np.maximum(1, np.interp(np.arange(len(peaks)), np.arange(len(held)) * (width // 4), held))
    smooth = np.hanning(width)
    return 3 * sound * np.minimum(1, np.convolve(gain, smooth / smooth.sum(), mode="same"))


VOICES: dict[str, Callable[[float, np.random.Generator], Samples]] = {
    "piano": piano, "drums": drums, "band": band, "strings": strings, "speech": speech, "master": master
}  # fmt: skip


def write(path: Path, voice: str, seconds: float, *, seed: int = 1, peak: float = 0.7) -> Path:
    """A stereo WAV file of 24 bits, with that peak of full scale."""
    rng = np.random.default_rng([seed, *voice.encode()])
    left, right = (VOICES[voice](seconds, rng) for _ in range(2))
    sound = np.stack([left + 0.4 * right, right + 0.4 * left], axis=1)
    sound *= peak / np.abs(sound).max()
    whole = np.round(sound * (2**23 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(whole.tobytes())
    return path
