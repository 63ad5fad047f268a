"""What the certificate costs: the same runs with and without it, in turn.

``python -m bench.quality_overhead FOLDER TIMES PRESET SOURCE...`` prints the CPU time of all media commands.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.quality_runs import run


def measure(source: Path, preset: str, folder: Path, say: Callable[[str], None], times: int) -> str:
    """Make a video some times with and without its certificate; a line for the table, of medians.

    :param folder: keeps the runs; another call takes those that are there.
    """
    more, inside, spent = [], [], []
    for number in range(times):
        kept = folder / f"try-{number}"
        with_it, without = (
            run(source, preset, kept, say, VOD_CERTIFICATE=told).cpu_s for told in ("true", "false")
        )
        more.append(sum(with_it.values()) / sum(without.values()) - 1)
        # From inside one run, too: there, all commands are slowed alike by others.
        inside.append(with_it["certificate"] / (sum(with_it.values()) - with_it["certificate"]))
        spent.append((sum(without.values()), sum(with_it.values())))
    return (
        f"{source.stem:<24}{preset:<12}{median(pair[0] for pair in spent):>8.1f}s"
        f"{median(pair[1] for pair in spent):>8.1f}s{median(more):>+9.1%}{median(inside):>+11.1%}"
    )


if __name__ == "__main__":
    where, count, ladder, *sources = sys.argv[1:]
    print(f"{'certificate':<24}{'preset':<12}{'without':>9}{'with':>9}{'more':>9}{'comparing':>11}")
    for path in map(Path, sources):
        print(
            measure(path, ladder, Path(where), lambda text: print(text, file=sys.stderr), int(count)),
            flush=True,
        )
