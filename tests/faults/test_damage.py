"""Every object of a workspace damaged in turn, just before it is needed: found, and only that is redone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.stage import media_digests
from support.clips import numbered_clip
from support.diary import Diary
from support.published import check_published
from support.steps import Steps
from vod_operators.operators.split import VodSplitOperator

CHUNKS = 3
CLEARS = 2
"""A task that finds lost work fails; each clear of the run lets the step that made it run again."""


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def digit(path: Path) -> None:
    """Another number in a document that can still be read."""
    data = bytearray(path.read_bytes())
    at = next(n for n in range(len(data) // 3, len(data)) if data[n : n + 1].isdigit())
    data[at] = ord("1") + (data[at] - ord("0")) % 9
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def remove(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "digit": digit,
    "truncate": truncate,
    "empty": empty,
    "remove": remove,
}

SHORT = [
    ("source-*/chunk-00001.nut", "flip"),
    ("source-*/timeline.json", "truncate"),
    ("work-*/chunk-00001/full/seg-*.m4s", "truncate"),
    ("work-*/chunk-00000/half/piece.json", "digit"),
    ("work-*/chunk-00001.done.json", "remove"),
    ("work-*/chunk-00002/half/seg-*.m4s", "flip"),
    ("work-*/plan.json", "remove"),
]


class Finished:
    """A finished video that can be had again and again, as it was."""

    def __init__(self, stores: Path, diary: Diary) -> None:
        self.stores, self.diary = stores, diary
        self.asked = {"video_id": "clip", "source": numbered_clip(CHUNKS).as_uri()}
        Steps(**self.asked).run()
        self.media = media_digests(stores / "results" / "clip")
        self.kept = stores / "kept"
        for name in ("tmp", "results"):
            shutil.copytree(stores / name, self.kept / name)

    def objects(self) -> list[Path]:
        """Of the workspace, relative to it."""
        folder = self.kept / "tmp" / "clip"
        found = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
        return [path for path in found if path.name != "claim.json" and not path.name.startswith(".")]

    def check(self, victim: Path, damage: str) -> int:
        """Damage one object and clear the run; returns how often it had to be cleared again."""
        for name in ("tmp", "results"):
            shutil.rmtree(self.stores / name)
            shutil.copytree(self.kept / name, self.stores / name)
        workspace = self.stores / "tmp" / "clip"
        self._forget_what_followed(workspace, victim)
        DAMAGES[damage](workspace / victim)
        before = {path: path.stat().st_mtime_ns for path in self._made(workspace)}
        self.diary.forget()

        steps = Steps(**self.asked)
        steps.run(clears=CLEARS)

        check_published(self.stores / "results" / "clip", frames=CHUNKS * 25)
        assert media_digests(self.stores / "results" / "clip") == self.media, "other pictures"
        encodes = self.diary.total()
        assert encodes == self._encodes(victim), f"{encodes} chunks were encoded"
        touched = [
            str(path.relative_to(workspace))
            for path, written in before.items()
            if path != workspace / victim
            and not path.is_relative_to(workspace / self._made_with(victim))
            and path.stat().st_mtime_ns != written
            and not (victim.parts[0].startswith("source") and victim.suffix == ".json")  # all packets again
            and not self._named_by(victim, path)
        ]
        assert not touched, f"redone without need: {touched}"
        return len(steps.retried)

    @staticmethod
    def _made_with(victim: Path) -> Path:
        """The folder of all that one step makes at once."""
        depth = 2 if victim.parts[0].startswith("work") else 1
        return Path(*victim.parts[:depth])

    @staticmethod
    def _made(workspace: Path) -> list[Path]:
        """What has taken work, and is written once. (A published segment is a second name of ours.)"""
        return [
            path
            for path in workspace.rglob("*")
            if path.suffix in (".mp4", ".nut") or path.name == "piece.json"
        ]

    def _named_by(self, victim: Path, path: Path) -> bool:
        """Whether a marker names that object: without the marker it counts for nothing."""
        marker = self.kept / "tmp" / "clip" / victim
        return victim.name.endswith(".done.json") and path.as_uri() in marker.read_text("utf-8")

    @staticmethod
    def _encodes(victim: Path) -> int:
        """Chunks that must be encoded: the one that was damaged, or whose packets were."""
        is_chunk = victim.parts[1].startswith("chunk-")
        return int(is_chunk and (victim.parts[0].startswith("work") or victim.suffix == ".nut"))

    @staticmethod
    def _forget_what_followed(workspace: Path, victim: Path) -> None:
        """As if the run had stopped where that object is needed next."""
        patterns = ["work-*/hls-*"]
        if victim.suffix == ".nut":
            step = victim.stem
            patterns += [f"work-*/{step}.done.json", f"work-*/{step}/**/*"]
            patterns += ["work-*/audio/**/*"] if step.startswith("audio") else []
        for pattern in patterns:
            for path in workspace.glob(pattern):
                if path != workspace / victim and path.is_file():
                    path.unlink()
        shutil.rmtree(workspace.parents[1] / "results" / "clip")


@pytest.fixture
def finished(
    stage: Path, home: Path, configure_stage: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Finished:
    # So that there is one more kind of object to be damaged.
    monkeypatch.setattr(VodSplitOperator, "_in_place", lambda *_: False)
    diary = Diary(home / "tools")
    configure_stage(ffmpeg=str(diary.tool), sandbox="off")
    return Finished(stage, diary)


def test_each_kind_of_object(finished: Finished) -> None:
    objects = finished.objects()
    for pattern, damage in SHORT:
        victim = next(path for path in objects if path.match(pattern))
        try:
            finished.check(victim, damage)
        except AssertionError as error:
            raise AssertionError(f"{victim}, {damage}: {error}") from error


@pytest.mark.faults
def test_every_object_in_every_way(finished: Finished, report: Callable[..., None]) -> None:
    problems, cases, clears = [], 0, 0
    for victim in finished.objects():
        for damage in DAMAGES:
            if damage == "digit" and victim.suffix != ".json":
                continue
            cases += 1
            try:
                clears += finished.check(victim, damage)
            except Exception as error:
                first = str(error).strip().splitlines()[:1]
                problems.append(f"{victim}, {damage}: {type(error).__name__}: {first}")
    report(objects=len(finished.objects()), cases=cases, clears=clears, problems=problems)
    assert not problems, "\n".join(problems)


def test_subtitles_of_the_request(stage: Path) -> None:
    """Damaged between the task that fetched them and the one that cuts them."""
    subtitles = stage / "request.srt"
    subtitles.write_text("1\n00:00:00,500 --> 00:00:01,500\nSaid by somebody.\n", "utf-8")
    steps = Steps(
        video_id="clip",
        source=numbered_clip(1).as_uri(),
        subtitles=[{"uri": subtitles.as_uri(), "language": "en"}],
    )
    damages = [flip]

    def damage() -> None:
        (converted,) = (stage / "tmp" / "clip").glob("work-*/text/text-0.vtt")
        if damages:
            damages.pop()(converted)

    steps.before["text"] = damage
    steps.run(clears=1)

    assert len(steps.retried) == 1 and "prepare made it" in steps.retried[0]
    check_published(stage / "results" / "clip", frames=25)
    segments = (stage / "results" / "clip").glob("*/text-0/seg-*.vtt")
    assert "Said by somebody." in "".join(path.read_text("utf-8") for path in segments)
