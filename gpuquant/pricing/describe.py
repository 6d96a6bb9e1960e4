"""Describe: engines, memory, time, joules and money of a pricing run, before running it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.device import resolve_device
from gpuquant.errors import DeviceUnavailable, InputError
from gpuquant.meter import Meter
from gpuquant.pricing import closed_form
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.batching import batches_of
from gpuquant.pricing.engine import FORMULAS
from gpuquant.pricing.kernels.launch import TILE
from gpuquant.pricing.monte_carlo import launch
from gpuquant.pricing.request import DEFAULT_PATHS, Asked, Task, checked
from gpuquant.pricing.time_grid import Grid

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 3e6  # path-steps of a trial run: a few milliseconds


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
    greeks: bool = False,
    precision: str = "mixed",
    price_per_hour: float = 0.0,
) -> Description:
    """What pricing would take on each device of `compare`, from a trial of a few milliseconds per
    kind of row.

    Parameters
    ----------
    contracts, model, market, engine, paths, steps, greeks, precision
        As in `price`.
    compare : str
        Devices, separated by commas: `cpu,cuda`.
    price_per_hour : float
        Of the machine; money = seconds / 3600 x price.
    """
    if not (np.isfinite(price_per_hour) and price_per_hour >= 0):
        raise InputError(f"price_per_hour = {price_per_hour!r}: must be finite and >= 0")
    _, batches, messages, _ = batches_of(contracts, model, market)
    task = checked(Asked(0, precision, engine, paths, steps, greeks), None, len(messages))
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
    n = len(batch.rows)
    head = [type(batch.model).__name__, type(batch.payoff).__name__]
    few = batch.take(np.arange(min(n, 1000)))
    for engine, values in FORMULAS.items():
        if task.engine not in ("auto", engine):
            continue
        start = time.perf_counter()
        result = closed_form.price(
            few.model, few.payoff, task.device, greeks=task.greeks, values=values
        )
        if result is not None and np.isfinite(result[:, 0]).all():
            seconds = (time.perf_counter() - start) * n / len(few.rows)
            return [
                *head,
                engine,
                task.device.name,
                n,
                0.0,
                n * 8e-6 * 20,
                seconds,
                None,
                seconds / 3600 * price_per_hour,
            ]
    if task.engine in FORMULAS or not (batch.payoff.simulated() and batch.model.simulated()):
        return [*head, "none", task.device.name, n, 0.0, 0.0, float("nan"), None, float("nan")]
    steps = Grid.of(batch, task.steps).steps
    work = float(steps.sum()) * task.paths * (9 if task.greeks else 1)
    one = batch.take(np.array([int(np.argmax(steps))]))
    sample = np.array([max(256, min(task.paths, int(SAMPLE / steps.max())))])
    launch(one, task, sample)  # compiles
    with Meter(task.device) as meter:
        launch(one, task, sample)
    threads = task.device.threads if task.device.kind == "cpu" and sample[0] <= TILE else 1
    share = work / (float(sample[0]) * float(steps.max()) * (9 if task.greeks else 1)) / threads
    joules = None if meter.joules is None else meter.joules * share
    seconds = meter.seconds * share
    megabytes = (n * -(-task.paths // TILE) * (24 + 24 * task.outputs) + n * 8 * 20) / 1e6
    return [
        *head,
        "monte_carlo",
        task.device.name,
        n,
        work,
        megabytes,
        seconds,
        joules,
        seconds / 3600 * price_per_hour,
    ]
