"""What a video costs, estimated and spent: the documents, their words, and their price; pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from vod_operators.formats.base import Model
from vod_operators.media.models import clock
from vod_operators.media.workload import Work


class Range(Model):
    """An uncertain amount."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> Range:
        """The same in another unit."""
        return Range(low=self.low * factor, likely=self.likely * factor, high=self.high * factor)

    def rounded(self, digits: int) -> Range:
        """For a document."""
        return Range(**{name: round(value, digits) for name, value in self})


class Rates(Model):
    """What resources cost, in the deployment's currency; None: not told."""

    cpu_hour: float | None = None
    gb_month: float | None = None


class MoneyRange(Model):
    """An estimate in money."""

    compute: Range | None
    """None if the deployment's rate is not known, as of the storage."""
    storage_month: Range | None


class Money(Model):
    """What a video cost, in the currency of the deployment's rates."""

    compute: float | None
    storage_month: float | None
    """A month of its published tracks."""


class PastRun(Model):
    """What a published video cost."""

    version: str
    at: datetime
    source: str
    """The source's size and codec, for people: ``1920x1080 h264``."""
    work: Work
    cpu_s: dict[str, float]
    """Step -> CPU seconds of its media tools; empty if they are not known."""
    busy_s: dict[str, float]
    """Encoding step -> seconds of its tasks together."""
    hosts: dict[str, tuple[float, float]] = Field(default_factory=dict, max_length=64)
    """Digest of a host's name -> CPU seconds and seconds of its chunks."""
    wall_s: float | None
    """None if an earlier run had done part of the work."""
    lanes: float
    """How many encoding tasks ran at a time, on average."""
    bytes_out: dict[str, int]
    """Rung, or ``sound`` -> bytes."""


class History(Model):
    """The latest runs of one preset, newest first."""

    runs: tuple[PastRun, ...] = ()


class Part(Model):
    """Encoding in chunks, as it was estimated; what ``corrected`` begins with."""

    cpu_s: float
    cpu_error: float
    """Standard deviation of the logarithm, as of the other two."""
    busy_s: float
    busy_error: float
    bytes_out: float
    bytes_error: float


class EstimateBrief(Model):
    """The ranges of an estimate."""

    wall_s: Range
    """Seconds from the start of the run to the publication, if no other video competes for the workers."""
    cpu_s: Range
    bytes_out: Range


class Estimate(EstimateBrief):
    """What a video will take."""

    money: MoneyRange | None = None
    """None if the deployment has no rates."""
    rates: Rates = Rates()
    workers: int
    """Encoding tasks at a time."""
    chunks: int
    runs: int
    """How many earlier runs it is based on; with none, the ranges are wide."""
    chunked: Part

    def brief(self) -> EstimateBrief:
        """The ranges alone."""
        return EstimateBrief(wall_s=self.wall_s, cpu_s=self.cpu_s, bytes_out=self.bytes_out)

    def told(self) -> dict[str, Any]:
        """What clients are told, as JSON: the ranges, what they are based on, and ``words``."""
        return self.model_dump(mode="json", exclude={"chunked", "rates"}) | {"words": self.in_words()}

    def in_words(self) -> str:
        """One line for people: ``about 0:54 (0:40 to 1:12) with 2 workers, ...``."""
        low, high = clock(self.wall_s.low), clock(self.wall_s.high)
        said = [
            f"about {clock(self.wall_s.likely)} ({low} to {high}) with {_count(self.workers, 'worker')}",
            f"{self.cpu_s.likely / 3600:.3g} CPU hours",
            f"{self.bytes_out.likely / 1e6:.3g} MB",
        ]
        if self.money is not None and (price := self.money.compute) is not None:
            said.append(f"{price.likely:.3g} for computing")
        if self.money is not None and (price := self.money.storage_month) is not None:
            said.append(f"{price.likely:.3g} a month for storage")
        return ", ".join(said)


class Cost(Model):
    """What a published video cost."""

    cpu_s: dict[str, float]
    """Step -> CPU seconds of its media tools, of this run and of earlier ones that it continued. A step that
    has none is left out; all are, if the tools ran in containers."""
    wall_s: float | None
    """Seconds from the start of the run that published it; earlier runs may have done part of the work."""
    bytes_out: int
    """Of all tracks."""
    money: Money | None = None
    """None if the deployment has no rates."""
    estimated: EstimateBrief | None = None
    """What ``prepare`` had estimated; None if the source did not declare its length."""


class Done(Model):
    """A chunk that is encoded; None: not known."""

    share: float
    """Of the work of all chunks, 0 to 1."""
    seconds: float | None = None
    cpu_s: float | None = None
    bytes_out: float | None = None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def priced(found: Estimate, rates: Rates) -> Estimate:
    """The estimate with its price."""
    if rates.cpu_hour is None and rates.gb_month is None:
        return found
    hours, stored = found.cpu_s.times(1 / 3600), found.bytes_out.times(1e-9)
    money = MoneyRange(
        compute=None if rates.cpu_hour is None else hours.times(rates.cpu_hour).rounded(6),
        storage_month=None if rates.gb_month is None else stored.times(rates.gb_month).rounded(6),
    )
    return found.model_copy(update={"money": money, "rates": rates})


def price(cpu_s: float | None, bytes_out: float, rates: Rates) -> Money | None:
    """What was spent, in money; None without rates."""
    if rates.cpu_hour is None and rates.gb_month is None:
        return None
    is_known = rates.cpu_hour is not None and cpu_s is not None
    return Money(
        compute=round((cpu_s or 0) / 3600 * (rates.cpu_hour or 0), 6) if is_known else None,
        storage_month=None if rates.gb_month is None else round(bytes_out * 1e-9 * rates.gb_month, 6),
    )
