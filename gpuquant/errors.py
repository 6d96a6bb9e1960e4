"""One exception class per kind of failure, so that a caller can catch just the one it can mend.

Every message names the culprit (row, column, value) and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GpuquantError(Exception):
    """The root of every error that gpuquant raises on purpose."""


class InputError(GpuquantError, ValueError):
    """A value outside its domain: the message names the column, the row and the value."""


class NameUnknown(GpuquantError, KeyError):
    """A name nobody knows: the message names the nearest one."""

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class DeviceUnavailable(GpuquantError, RuntimeError):
    """The device asked for is absent: the message says what is missing and how to get it."""


class ExtraMissing(GpuquantError, ImportError):
    """An optional package is absent: the message names the extra and the command."""


class MemberError(GpuquantError, TypeError):
    """A model, payoff or rule that cannot run on every target: the message names the line."""


class DataError(GpuquantError, ValueError):
    """A panel, market or file whose shape or order is wrong."""


class DiskError(GpuquantError, OSError):
    """A file that cannot be written: the message names it and why; what was there before is
    there still.
    """


class TooLarge(GpuquantError, MemoryError):
    """More memory would be needed than one piece of work may ask for: the message says for what."""


class NotTrained(GpuquantError, RuntimeError):
    """A strategy was asked for signals before it was trained."""


class LeakFound(GpuquantError, AssertionError):
    """A strategy knew at a bar what came after it: the message names the bar and the column."""


def unknown(kind: str, name: object, known: Iterable[str]) -> NameUnknown:
    """The error for a name that is not among `known`, with the nearest one."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return NameUnknown(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")


def missing(package: str, extra: str) -> ExtraMissing:
    """The error for an optional package that is not installed."""
    return ExtraMissing(
        f"{package} is not installed; it comes with the {extra!r} extra: pip install "
        f"'gpuquant[{extra}]'"
    )
