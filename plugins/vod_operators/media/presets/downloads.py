"""Names that a preset or a request may give for files to download."""

from __future__ import annotations

from collections.abc import Collection, Sequence

BEST = "best"
"""The best rendition of the codec that most players have."""

AUDIO = "audio"
"""The sound alone, a file for each track."""

FOLDER = "downloads"
"""Of a version."""

MOST = 20
"""Most names: a file is as large as its rendition."""


def check_downloads(names: Sequence[str], rungs: Collection[str], *, container: str, encryption: str) -> None:
    """Check that files of these names can be made with a preset.

    :param rungs: the names of the preset's rungs.
    :raises ValueError: they cannot; the message says why, and what could be.
    """
    if not names:
        return
    if encryption != "none":
        raise ValueError(
            f"downloads: a file that anybody can keep undoes the encryption {encryption}; "
            "leave out downloads or encryption"
        )
    if container != "fmp4":
        raise ValueError(
            f"downloads: files are joined from segments of fMP4, and container {container} has none; "
            "leave out downloads or container"
        )
    if taken := sorted({BEST, AUDIO} & set(rungs)):
        raise ValueError(f"downloads: a rung has the name {taken[0]!r}, which means another file; rename it")
    for number, name in enumerate(names):
        if name not in (*rungs, BEST, AUDIO):
            raise ValueError(
                f"downloads: the preset has no rung {name!r}; it has {', '.join(rungs)}; "
                f"{BEST!r} is the best of them, {AUDIO!r} the sound"
            )
        if name in names[:number]:
            raise ValueError(f"downloads: {name!r} is named twice")
