"""The request for a pricing run, with checked arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpuquant.compiler.member import PRECISIONS
from gpuquant.device import Device
from gpuquant.errors import InputError, unknown
from gpuquant.math import rng
from gpuquant.pricing import greeks

ENGINES = ("auto", "closed_form", "fourier", "finite_difference", "monte_carlo")
DRAWS = ("random", "sobol")
DEFAULT_PATHS = 100_000


@dataclass(frozen=True)
class Task:
    """The checked request for a run."""

    device: Device
    seed: int
    precision: str
    engine: str
    paths: int
    steps: int | None
    greeks: tuple[str, ...]
    target_error: np.ndarray | None
    common_random_numbers: bool
    implied_vol: bool = False
    draws: str = "random"

    @property
    def outputs(self) -> int:
        """Averaged outputs of a row: the price, or the price and the Greeks."""
        return 1 + len(self.greeks)


class Asked(NamedTuple):
    """The request for a pricing run as the caller gave it."""

    seed: int = 0
    precision: str = "mixed"
    engine: str = "auto"
    paths: int = DEFAULT_PATHS
    steps: int | None = None
    greeks: Any = False
    common_random_numbers: bool = False
    draws: str = "random"


def checked(asked: Asked, target: Any, n: int) -> Task:
    """The checked request for a run over `n` rows; its device is chosen later."""
    seed, precision, engine, paths, steps, names, common, draws = asked
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if draws not in DRAWS:
        raise unknown("draws", draws, DRAWS)
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 64:
        raise InputError(f"seed = {seed!r}: must be a whole number from 0 to 2^64 - 1")
    for name, value in (("paths", paths), ("steps", 1 if steps is None else steps)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} = {value!r}: must be a whole number >= 1")
    rng.check(int(paths), 0, 0)
    asked_for = greeks.names_of(names)
    target_error = None
    if target is not None:
        try:
            target_error = np.asarray(target, dtype=np.float64)
        except (TypeError, ValueError) as failure:
            raise InputError(
                f"target_error = {target!r}: must be a number > 0, or one for each row"
            ) from failure
        if (
            target_error.ndim > 1
            or (target_error.ndim == 1 and target_error.size != n)
            or not (np.isfinite(target_error) & (target_error > 0)).all()
        ):
            raise InputError(
                f"target_error = {target!r}: must be a number > 0, or one for each of the {n} rows"
            )
        target_error = np.broadcast_to(target_error, n)
    return Task(
        Device("cpu"),
        int(seed),
        precision,
        engine,
        int(paths),
        steps,
        tuple(name for name in asked_for if name != greeks.IMPLIED),
        target_error,
        bool(common),
        greeks.IMPLIED in asked_for,
        draws,
    )
