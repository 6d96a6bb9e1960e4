"""Arguments that are one number or one truth: checked by name, as columns are."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuquant.errors import InputError


def scalar(
    name: str, value: Any, low: float = 0.0, high: float = np.inf, *, closed: bool = False
) -> float:
    """A number of the caller's above `low` (or at it, where `closed`) and up to `high`, as a
    float.
    """
    fine = (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )
    if not fine or not (value >= low if closed else value > low) or value > high:
        bounds = (
            f"{'>=' if closed else '>'} {low:g}{f' and <= {high:g}' if np.isfinite(high) else ''}"
        )
        raise InputError(f"{name} = {value!r}: must be finite and {bounds}")
    return float(value)


def whole_number(name: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """A whole number of the caller's from `low` on, up to `high` where that is given."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or value < low
        or (high is not None and value > high)
    ):
        raise InputError(
            f"{name} = {value!r}: must be a whole number "
            f"{f'>= {low}' if high is None else f'from {low} to {high}'}"
        )
    return int(value)


def flag(name: str, value: Any) -> None:
    """Refuse what is neither True, False nor None."""
    if value is not None and not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} = {value!r}: must be True or False")
