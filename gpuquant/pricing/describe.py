"""Describe: engines, memory, time, joules and money of a pricing run, before running it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.device import resolve_device
from gpuquant.errors import DeviceUnavailable, InputError, MemberError
from gpuquant.meter import Meter
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.engine import SOLVERS
from gpuquant.pricing.kernels.launch import TILE
from gpuquant.pricing.monte_carlo import planned
from gpuquant.pricing.request import DEFAULT_PATHS, Asked, Task, checked

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 3e6  # path-steps of a trial run: a few milliseconds
ROWS = 1000  # of a trial of formulas; of slower engines PILOT_ROWS
PILOT_ROWS = 16  # of which grids are solved, or a simulation's pilots are run


@dataclass(frozen=True)
class Description:
    """What a run would take.

    Attributes
    ----------
    columns : dict of arrays
        Per model, payoff, engine and device: rows, path-steps, megabytes, seconds, joules and
        money.
    failed : int
        Rows that cannot be priced.
    """

    columns: dict[str, list[Any]]
    failed: int

    @property
    def frame(self) -> pd.DataFrame:
        """One row per model, payoff, engine and device."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    def to_frame(self) -> pd.DataFrame:
        """The same as `frame`."""
        return self.frame

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(index=False))

    def __str__(self) -> str:
        names = list(self.columns)
        rows = [
            [_shown(self.columns[n][k]) for n in names] for k in range(len(self.columns["rows"]))
        ]
        widths = [
            max(len(n), *(len(r[c]) for r in rows)) if rows else len(n) for c, n in enumerate(names)
        ]
        lines = ["  ".join(n.ljust(w) for n, w in zip(names, widths, strict=True))]
        lines += ["  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)) for r in rows]
        if self.failed:
            lines.append(f"{self.failed} rows cannot be priced; price the file to see each message")
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "unreadable"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def describe(
    contracts: Any,
    model: Any = None,
    *,
    market: Any = None,
    compare: str = "cpu",
    engine: str = "auto",
    paths: int = DEFAULT_PATHS,
    steps: int | None = None,
    greeks: bool | str | Sequence[str] = False,
    target_error: Any = None,
    precision: str = "mixed",
    price_per_hour: float = 0.0,
) -> Description:
    """What pricing would take on each device of `compare`, from a trial of a few milliseconds per
    kind of row.

    Parameters
    ----------
    contracts, model, market, engine, paths, steps, greeks, target_error, precision
        As in `price`.
    compare : str
        Devices, separated by commas: `cpu,cuda`.
    price_per_hour : float
        Of the machine; money = seconds / 3600 x price.
    """
    if not (np.isfinite(price_per_hour) and price_per_hour >= 0):
        raise InputError(f"price_per_hour = {price_per_hour!r}: must be finite and >= 0")
    _, batches, messages, _ = batches_of(contracts, model, market)
    asked = Asked(0, precision, engine, paths, steps, greeks)
    task = checked(asked, target_error, len(messages))
    columns: dict[str, list[Any]] = {
        k: []
        for k in (
            "model",
            "payoff",
            "engine",
            "device",
            "rows",
            "path_steps",
            "megabytes",
            "seconds",
            "joules",
            "money",
        )
    }
    for name in compare.split(","):
        try:
            device = resolve_device(name.strip())
        except DeviceUnavailable as failure:
            _add(
                columns,
                [
                    "",
                    "",
                    str(failure).split(": ", 1)[-1].split(". ")[0],
                    name.strip(),
                    0,
                    0.0,
                    0.0,
                    float("nan"),
                    None,
                    float("nan"),
                ],
            )
            continue
        for batch in batches:
            _add(columns, _estimate(batch, replace(task, device=device), price_per_hour))
    return Description(columns, int((messages != "").sum()))


def _add(columns: dict[str, list[Any]], row: list[Any]) -> None:
    for name, value in zip(columns, row, strict=True):
        columns[name].append(value)


def _estimate(batch: Batch, task: Task, price_per_hour: float) -> list[Any]:
    """A row of the description: one batch on one device."""
    n = len(batch.rows)
    found = _by_solver(batch, task)
    simulated = batch.payoff.simulated() and batch.model.simulated()
    if found is None and simulated and task.engine not in SOLVERS:
        try:
            found = _by_simulation(batch, task)
        except MemberError:  # the pair has no kernel; pricing says why
            found = None
    engine, work, megabytes, seconds, joules = found or ("none", 0.0, 0.0, float("nan"), None)
    return [
        type(batch.model).__name__,
        type(batch.payoff).__name__,
        engine,
        task.device.name,
        n,
        work,
        megabytes,
        seconds,
        joules,
        seconds / 3600 * price_per_hour,
    ]


Found = tuple[str, float, float, float, float | None]  # engine, work, megabytes, seconds, joules


def _by_solver(batch: Batch, task: Task) -> Found | None:
    """What the first engine that prices every row tried takes; None where only paths do."""
    n = len(batch.rows)
    for engine, solved in SOLVERS.items():
        if task.engine not in ("auto", engine):
            continue
        few = batch.take(np.arange(min(n, PILOT_ROWS if engine == "finite_difference" else ROWS)))
        if solved(few.take(np.arange(1)), task) is None:  # compiles
            continue
        start = time.perf_counter()
        solution = solved(few, task)
        if solution is not None and np.isfinite(solution.values[:, 0]).all():
            seconds = (time.perf_counter() - start) * n / len(few.rows)
            return engine, 0.0, n * 8e-6 * 20, seconds, None
    return None


def _by_simulation(batch: Batch, task: Task) -> Found:
    """What a simulation takes: its pilots and paths from some of the rows, its speed from one."""
    n = len(batch.rows)
    few = batch.take(np.unique(np.linspace(0, n - 1, min(n, PILOT_ROWS)).astype(np.int64)))
    list(planned(few, task))  # compiles
    start = time.perf_counter()
    plans = list(planned(few, task))
    pilots = time.perf_counter() - start
    work, tiles, each = 0.0, 0.0, 0.0
    joules: float | None = 0.0
    for _, simulation, paths in plans:
        steps = simulation.launch.grid.steps
        walks = simulation.launch.walks
        own = float((steps * paths).sum()) * walks
        longest = int(np.argmax(steps * paths))
        one = simulation.take(np.array([longest]))
        sample = np.array([max(256, min(int(paths[longest]), int(SAMPLE / steps[longest])))])
        with Meter(task.device) as meter:
            one.run(sample)
        threads = task.device.threads if task.device.kind == "cpu" and sample[0] <= TILE else 1
        share = own / (float(sample[0]) * float(steps[longest]) * walks) / threads
        each += meter.seconds * share
        joules = None if meter.joules is None or joules is None else joules + meter.joules * share
        work, tiles = work + own, tiles + float((-(-paths // TILE)).sum())
    rows = n / len(few.rows)
    megabytes = rows * (tiles * (24 + 24 * task.outputs) + len(few.rows) * 8 * 20) / 1e6
    seconds = rows * (each + pilots)
    return "monte_carlo", rows * work, megabytes, seconds, joules and rows * joules
