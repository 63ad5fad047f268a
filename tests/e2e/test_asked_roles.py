"""What tracks are for: asked in a request and on the command line, read by others in HLS and DASH."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from support.tools import generate

ROLES = {"audio-1": "description", "audio-2": "commentary"}

DESCRIBES = "public.accessibility.describes-video"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tracks of sound of which nothing says what they are for."""
    tones = [arg for hertz in (300, 400, 500) for arg in ("-f", "lavfi", "-i", f"sine={hertz}:r=48000:d=2")]
    return generate(
        tmp_path_factory.mktemp("roles") / "film.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=128x72:r=25:d=2"),
        *tones,
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-metadata:s:a", "language=eng"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


def check_roles(folder: Path) -> None:
    plain, described, comment = m3u8.load(str(folder / "index.m3u8")).media
    assert [item.default for item in (plain, described, comment)] == ["YES", "NO", "NO"]
    assert [item.characteristics for item in (plain, described)] == [None, DESCRIBES]
    assert comment.characteristics and "describes" not in comment.characteristics
    (period,) = MPEGDASHParser.parse(str(folder / "manifest.mpd")).periods
    sounds = [found for found in period.adaptation_sets if found.content_type == "audio"]
    roles = [{role.value for role in found.roles or ()} for found in sounds]
    assert "main" in roles[0] and not roles[1] & {"main"}
    assert "commentary" in roles[2]
    meant = [[access.value for access in found.accessibilities or ()] for found in sounds]
    assert [bool(values) for values in meant] == [False, True, False]


def test_roles_of_a_request(run_dag, stores: Path, source: Path) -> None:
    run = run_dag(video_id="roles", source=source.as_uri(), preset="h264_small", roles=ROLES)
    assert run.state == "success"
    check_roles(stores / "results" / "roles")


def test_roles_on_the_command_line(stores: Path, source: Path) -> None:
    asked = [arg for track, role in ROLES.items() for arg in ("--role", f"{track}={role}")]
    command = [sys.executable, "-m", "vod_operators.cli.main", "run", str(source), "--video-id", "roles"]
    subprocess.run([*command, "--preset", "h264_small", *asked], check=True)
    check_roles(stores / "results" / "roles")


def test_a_role_of_a_track_that_is_not_there(run_dag, source: Path) -> None:
    run = run_dag(video_id="roles", source=source.as_uri(), preset="h264_small", roles={"audio-7": "main"})
    assert run.state == "failed"
