"""The command line, ``vod``: parses the arguments and calls the command's module."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from vod_operators import __version__
from vod_operators.cli.interrupt import Interrupted
from vod_operators.errors import InvalidInputError, NoSuchVideoError, VodError
from vod_operators.settings import VodSettings, get_settings
from vod_operators.storage.keys import check_video_id
from vod_operators.storage.originals import video_id_of

DEFAULT_PRESET = "h264"
"""Preset of a request that names none."""


def build_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = argparse.ArgumentParser(prog="vod", description="Turn a video into HLS with Airflow.")
    parser.add_argument("--version", action="version", version=f"vod {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        command.set_defaults(handler=f"vod_operators.cli.{name}")
        return command

    run = add("run", "run the vod_transcode DAG in this process, without a server")
    estimate = add("estimate", "estimate time, CPU, size and price of a video, and make nothing")
    submit = add("submit", "start a video's run in a running Airflow")
    rollback = add("rollback", "point players to an earlier version of a video")
    delete = add("delete", "remove all versions and intermediate files of a video")
    verify = add("verify", "compare each published file of a video with its checksum")
    lists = add("list", "list the videos of a running Airflow")
    show = add("show", "show one video of a running Airflow")
    check = add("check", "check any HLS presentation and its segments against Apple's rules and the RFC")

    _add_source(estimate)
    estimate.add_argument(
        "--workers",
        metavar="N",
        type=_positive,
        help="encoding tasks at a time (default: as in earlier runs, else 1, as in vod run)",
    )
    _add_request(run)
    _add_request(submit)
    _add_callback(submit)
    for command in (submit, lists, show):
        _add_airflow(command)
    _add_filters(lists)
    for command in (rollback, delete, verify, show):
        command.add_argument("video_id", metavar="VIDEO_ID")
    for command in (run, estimate, rollback, delete, verify):
        command.add_argument("--tmp", metavar="URI", help="the temp store (default: VOD_TEMP_URI)")
        command.add_argument("--results", metavar="URI", help="the results store (default: VOD_RESULTS_URI)")
    rollback.add_argument("--to", metavar="VERSION", help="default: the one that players had before")
    rollback.add_argument("--list", action="store_true", help="only list the versions")
    delete.add_argument("--yes", action="store_true", help="delete it; nothing brings it back")
    verify.add_argument(
        "--repair",
        action="store_true",
        help="make damaged files again, and publish a new version, in this process",
    )
    check.add_argument("location", metavar="LOCATION", help="path or URI of a master or media playlist")
    check.add_argument(
        "--key-file", metavar="FILE", type=Path, help="AES-128 key (16 bytes), instead of the playlist's"
    )
    check.add_argument(
        "--decode", action="store_true", help="decode all pictures and sound, on this host's disk and cores"
    )
    for command in (run, estimate, submit, rollback, delete, verify, lists, show, check):
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def _add_source(command: argparse.ArgumentParser) -> None:
    """The source, and what is made of it."""
    command.add_argument(
        "source", metavar="SOURCE", help="the original: a path, or a file://, s3:// or http(s):// URI"
    )
    command.add_argument("--preset", metavar="NAME", default=DEFAULT_PRESET, help="default: %(default)s")
    command.add_argument(
        "--chunk-seconds", metavar="N", type=int, help="target length of a chunk, in seconds"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not positive")
    return number


def _add_request(command: argparse.ArgumentParser) -> None:
    """The options of ``run`` and ``submit``: the request for a video."""
    _add_source(command)
    command.add_argument(
        "--video-id",
        metavar="ID",
        help="names the result (default: the source's file name and a hash of its URI)",
    )
    command.add_argument(
        "--subtitles",
        metavar="LANG=FILE",
        action="append",
        help="a .srt, .vtt or .ass file (path or URI) and its language; may be repeated",
    )
    command.add_argument(
        "--role",
        metavar="TRACK=ROLE",
        action="append",
        help="what a track of the source is for, as audio-1=description; may be repeated",
    )
    command.add_argument(
        "--download",
        metavar="NAME",
        action="append",
        help="a file to download, as 720p, best or audio (default: those of the preset); may be repeated",
    )
    command.add_argument(
        "--chapters", metavar="FILE", type=Path, help='JSON: [{"start": 0, "title": "Opening"}, ...]'
    )
    command.add_argument(
        "--verify",
        action="store_true",
        help="read all stored files of the video, and make damaged ones again",
    )


def _add_filters(command: argparse.ArgumentParser) -> None:
    """The options of ``list``: which videos, in which order."""
    command.add_argument("--search", metavar="TEXT", help="part of the id or of the source's file name")
    command.add_argument("--state", choices=("queued", "encoding", "published", "failed"))
    command.add_argument("--preset", metavar="NAME")
    command.add_argument(
        "--sort",
        metavar="FIELD",
        default="-updated_at",
        help="updated_at, video_id, duration_s, state or preset; with - in front, from the last "
        "(--sort=-state; default: %(default)s)",
    )
    command.add_argument("--offset", metavar="N", type=int, default=0, help="leave out the first N")
    command.add_argument("--limit", metavar="N", type=int, default=50, help="default: %(default)s")


def _add_callback(submit: argparse.ArgumentParser) -> None:
    """The options of ``submit`` alone: the callback, connections, waiting."""
    submit.add_argument("--callback-url", metavar="URL", help="URL that gets the outcome by HTTP POST")
    for server in ("source", "callback"):
        submit.add_argument(
            f"--{server}-conn-id",
            metavar="ID",
            help=f"Airflow connection with the credentials of the {server}",
        )
    submit.add_argument("--wait", action="store_true", help="show progress until the run ends")


def _add_airflow(command: argparse.ArgumentParser) -> None:
    """How Airflow is reached."""
    command.add_argument(
        "--url", metavar="URL", help="URL of Airflow (default: VOD_AIRFLOW_URL, http://localhost:8080)"
    )
    command.add_argument("--user", metavar="NAME", help="default: VOD_AIRFLOW_USER")
    command.add_argument(
        "--password",
        metavar="TEXT",
        help="default: VOD_AIRFLOW_PASSWORD, which is safer: other users can see command lines",
    )
    command.add_argument(
        "--token", metavar="JWT", help="instead of user and password (default: VOD_AIRFLOW_TOKEN)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code.

    0: done. 1: failed, with one line on stderr. 2: bad usage. 130, 143 and 129: ended by SIGINT, SIGTERM or
    SIGHUP. For ``vod check``, 1 means that a MUST is broken, and 2 also that the presentation cannot be read.
    """
    args = build_parser().parse_args(argv)
    if hasattr(args, "source"):
        args.source = as_uri(args.source)
        args.video_id = getattr(args, "video_id", None) or video_id_of(args.source)
    try:
        # Imported by name, because ``run`` imports Airflow and ``submit`` must not.
        return int(import_module(args.handler).main(args))
    except VodError as error:
        print(f"vod: {str(error).splitlines()[0]}{_advice(error)}", file=sys.stderr)
        return 1
    except Interrupted as error:
        advice = "finished work is kept: run the same command again to continue"
        print(f"vod: ended by {error}; {advice}", file=sys.stderr, flush=True)
        # Exit at once: nothing is left to do, and Python would take a second or more to tear Airflow down.
        # The code is that of shells.
        os._exit(128 + error.number)
    except KeyboardInterrupt:
        print("vod: interrupted", file=sys.stderr)
        return 130


def _advice(error: VodError) -> str:
    if isinstance(error, NoSuchVideoError) and "results_uri" not in get_settings().model_fields_set:
        return ", the default: set VOD_RESULTS_URI, or give --results"
    return ""


def settings_of(args: argparse.Namespace) -> VodSettings:
    """The deployment's settings, with the command's ``--tmp`` and ``--results`` in place of its stores."""
    for name, location in (("VOD_TEMP_URI", args.tmp), ("VOD_RESULTS_URI", args.results)):
        if location:
            os.environ[name] = as_uri(location)
    get_settings.cache_clear()
    return get_settings()


def as_uri(location: str) -> str:
    """A URI unchanged, or a path as a ``file://`` URI."""
    if "://" in location:
        return location
    path = Path(location).expanduser().absolute()
    # ".." behind a symbolic link can only be resolved on the disk.
    return (path.resolve() if ".." in path.parts else path).as_uri()


def request(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a request that ``run`` and ``submit`` share; None for those that are not given."""
    return {
        "video_id": check_video_id(args.video_id),
        "source": args.source,
        "preset": args.preset,
        "chunk_seconds": args.chunk_seconds,
        "subtitles": subtitle_files(args.subtitles),
        "roles": roles(args.role),
        "downloads": args.download,
        "chapters": chapters(args.chapters),
        "verify": args.verify or None,
    }


def subtitle_files(arguments: Sequence[str] | None) -> list[dict[str, str]] | None:
    """The request's ``subtitles``, from arguments of the form ``LANG=FILE``; None if there are none.

    :raises InvalidInputError: an argument has another form.
    """
    files = []
    for text in arguments or ():
        language, equals, file = text.partition("=")
        if not (language and equals and file):
            raise InvalidInputError(f"--subtitles: {text!r} is not LANG=FILE, for instance en=film.en.srt")
        files.append({"uri": as_uri(file), "language": language})
    return files or None


def roles(arguments: Sequence[str] | None) -> dict[str, str] | None:
    """The request's ``roles``, from arguments of the form ``TRACK=ROLE``; None if there are none.

    :raises InvalidInputError: an argument has another form.
    """
    pairs = [text.partition("=") for text in arguments or ()]
    if bad := [track for track, equals, role in pairs if not (track and equals and role)]:
        raise InvalidInputError(f"--role: {bad[0]!r} is not TRACK=ROLE, for instance audio-1=description")
    return {track: role for track, _, role in pairs} or None


def chapters(file: Path | None) -> list[dict[str, Any]] | None:
    """The request's ``chapters``, from a file of JSON; None if there is none.

    :raises InvalidInputError: it cannot be read, or is no list.
    """
    if file is None:
        return None
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"--chapters: {file} cannot be read: {error}") from None
    if not isinstance(found, list):
        raise InvalidInputError(f'--chapters: {file} is no list such as [{{"start": 0, "title": "Opening"}}]')
    return found


if __name__ == "__main__":
    sys.exit(main())
