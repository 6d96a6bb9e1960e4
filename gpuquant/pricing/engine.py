"""The pricing engine: contracts in, prices with their errors and status out.

One path for every entry: rows become batches (`contracts`), a batch takes its closed form where there is one and the walk
where there is none, and results return to the caller's order.
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import rng
from gpuquant._version import __version__
from gpuquant.device import Place, choose
from gpuquant.device.language import PRECISIONS
from gpuquant.errors import InputError, MemberError, unknown
from gpuquant.market import Market
from gpuquant.meter import Meter
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing import closed, greeks
from gpuquant.pricing.contracts import Batch, Contracts
from gpuquant.pricing.kernel import TILE, Launch, Pair
from gpuquant.progress import bar
from gpuquant.result import FAILED, OK, RESULT_COLUMNS, STATUS, WARNING, Priced

ENGINES = ("auto", "closed_form", "monte_carlo")
DEFAULT_PATHS = 100_000
LEAST_STEPS = 16  # of a scheme that is not exact, however short the maturity
PILOT = 4096
MOST_PATHS = 1 << 28
MOST_STEPS = 1 << 18  # of a row: one unit of work must end within a second, for ctrl-C
UNITS = 1 << 17  # of one launch: bounds the memory of partial sums


@dataclass(frozen=True)
class Task:
    """What the caller asked of a run, checked."""

    place: Place
    seed: int
    precision: str
    engine: str
    paths: int
    steps: int | None
    greeks: bool
    target_error: np.ndarray | None
    common_draws: bool
    purpose: int = rng.PURPOSES["paths"]

    @property
    def outputs(self) -> int:
        """Averaged outputs of a row: the price, or the price and the Greeks."""
        return 1 + len(greeks.NAMES) if self.greeks else 1


def price(
    contracts: Any,
    model: Model | None = None,
    *,
    market: Market | str | Path | None = None,
    engine: str = "auto",
    paths: int = DEFAULT_PATHS,
    steps: int | None = None,
    greeks: bool = False,
    target_error: Any = None,
    device: str | Place = "auto",
    seed: int = 0,
    precision: str = "mixed",
    units: str = "raw",
    partial: bool = False,
    common_draws: bool = False,
    progress: bool | None = None,
) -> Priced:
    """Price a payoff under a model, or a book of contracts in a market.

    Parameters
    ----------
    contracts : Payoff, Contracts, DataFrame or path
        What is priced. A payoff needs `model`; a book takes its models from its rows and its parameters from `market`.
    model : Model, optional
        The dynamics, for a payoff. Columns of the two broadcast.
    market : Market or path, optional
        Spots, rates, volatilities by underlying.
    engine : str
        auto (closed form where there is one), closed_form or monte_carlo.
    paths : int
        Paths per simulated row.
    steps : int, optional
        Time steps over a row's life, rounded up to a multiple of its observation dates. By default the model's
        `steps_per_year`, 16 at least; one per date where the model is exact.
    greeks : bool
        Delta, gamma, vega, rho and theta with their standard errors.
    target_error : float or shape (n,), optional
        One standard error of the price, in price units: a pilot on draws of its own sets each row's paths.
    device : str
        auto, cpu, cpu:THREADS, cuda, cuda:INDEX.
    seed : int
        Of the draws, 0 to 2^64 - 1. A row's stream follows its `id`, or its position.
    precision : str
        single, mixed (float32 draws and functions, float64 state and sums) or double. Closed forms are always double.
    units : str
        raw (per 1.00 of volatility and rate, per year) or desk (per 1 % and per day), for vega, rho and theta.
    partial : bool
        Let totals skip failed rows.
    common_draws : bool
        Give every row the same draws.
    progress : bool, optional
        Show a bar; by default where a terminal or notebook watches.

    Returns
    -------
    Priced
        Columns of shape (n,) in the caller's order, and `meta`.

    Raises
    ------
    InputError, NameUnknown
        An argument outside its domain, an unknown column. A bad *row* of a book does not raise: it gets a status and a message.

    Notes
    -----
    A standard error does not hold the bias of a time-stepping scheme; where a scheme has one the row's message says so.
    """
    book, batches, messages, scalar = batches_of(contracts, model, market)
    n = len(messages)
    task = checked(device, seed, precision, engine, paths, steps, greeks, target_error, common_draws, n)
    if units not in ("raw", "desk"):
        raise InputError(f"units = {units!r}: must be raw or desk")
    task = replace(task, place=choose(device, work=sum(_work(b, task) for b in batches)))
    book_size = sum(len(b.rows) for b in batches)
    table = _Table(n, task)
    with Meter(task.place) as meter, bar(book_size, "pricing", progress) as tick:
        for batch in batches:
            _price_batch(batch, task, table, tick)
    table.fail(messages)
    columns = table.columns(units)
    columns["value"] = columns["price"] * (1.0 if book is None else book.amounts())
    meta = {**_meta(task), **meter.meta(), "rows": n}
    source = {} if book is None else {k: v for k, v in book.columns.items() if k not in RESULT_COLUMNS}
    return Priced(columns, source, None if book is None else book.index, meta, scalar, partial)


def batches_of(contracts: Any, model: Model | None, market: Any) -> tuple[Contracts | None, list[Batch], np.ndarray, bool]:
    """The rows of any kind of input in batches, and whether the input was one plain contract."""
    if isinstance(contracts, Payoff):
        if not isinstance(model, Model):
            raise InputError(f"model = {model!r}: a payoff is priced under a model, such as gpuquant.models.BlackScholes(...)")
        n = max(contracts.rows, model.rows)
        for member in (contracts, model):
            if member.rows not in (1, n):
                raise InputError(f"{type(member).__name__} has {member.rows} rows where the other has {n}: lengths must be equal or 1")
        batch = Batch(model, contracts, np.arange(n), np.arange(n, dtype=np.int64))
        return None, list(batch.split()), np.full(n, "", dtype=object), contracts.scalar and model.scalar
    if model is not None:
        raise InputError("model = ...: a book takes its models from its column 'model'")
    if isinstance(contracts, str | Path):
        contracts = Contracts.read(contracts)
    elif not isinstance(contracts, Contracts):
        if not hasattr(contracts, "columns") or not hasattr(contracts, "index"):
            raise InputError(f"contracts = {type(contracts).__name__}: must be a payoff, a frame, Contracts or the path of a file")
        contracts = Contracts.from_frame(contracts)
    if market is None or isinstance(market, Mapping):
        market = Market(market or {})
    elif not isinstance(market, Market):
        market = Market.read(market)
    found, messages = contracts.batches(market)
    return contracts, found, messages, False


def checked(device: Any, seed: int, precision: str, engine: str, paths: int, steps: int | None, wanted: bool, target: Any, common: bool, n: int) -> Task:
    """The caller's wishes, each inside its domain."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 64:
        raise InputError(f"seed = {seed!r}: must be a whole number from 0 to 2^64 - 1")
    for name, value in (("paths", paths), ("steps", 1 if steps is None else steps)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} = {value!r}: must be a whole number >= 1")
    rng.check(int(paths), 0, 0)
    goal = None
    if target is not None:
        try:
            goal = np.asarray(target, dtype=np.float64)
        except (TypeError, ValueError) as failure:
            raise InputError(f"target_error = {target!r}: must be a number > 0, or one for each row") from failure
        if goal.ndim > 1 or (goal.ndim == 1 and goal.size != n) or not (np.isfinite(goal) & (goal > 0)).all():
            raise InputError(f"target_error = {target!r}: must be a number > 0, or one for each of the {n} rows")
        goal = np.broadcast_to(goal, n)
    return Task(Place("cpu"), int(seed), precision, engine, int(paths), steps, bool(wanted), goal, bool(common))


def grid(batch: Batch, steps: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Steps of each row, and steps from one observation to the next."""
    n = len(batch.rows)
    model, payoff = batch.model, batch.payoff
    maturity = np.broadcast_to(payoff.maturity, n)  # type: ignore[attr-defined]
    if steps is not None:
        base = np.full(n, steps)
    elif model.steps_per_year:
        base = np.maximum(np.ceil(model.steps_per_year * maturity), LEAST_STEPS).astype(np.int64)
    else:
        base = np.ones(n, np.int64)
    base = np.maximum(base, model.least_steps(model, maturity)).astype(np.int64)
    if not payoff.dates or payoff.bridged(dict(batch.fixed)):
        return base, base
    dates = np.broadcast_to(getattr(payoff, payoff.dates), n).astype(np.int64)
    each = -(-base // dates)
    return dates * each, each


def _work(batch: Batch, task: Task) -> float:
    """Path-steps of a batch if it is simulated."""
    return float(grid(batch, task.steps)[0].sum()) * task.paths


class _Table:
    """The growing results, in the caller's order."""

    def __init__(self, n: int, task: Task) -> None:
        self.values = np.full((n, task.outputs), np.nan)
        self.errors = np.full((n, task.outputs), np.nan)
        self.engine = np.full(n, "", dtype=object)
        self.status = np.full(n, FAILED)
        self.message = np.full(n, "", dtype=object)
        self.paths = np.zeros(n, np.int64)

    def put(self, rows: np.ndarray, values: np.ndarray, errors: Any, engine: str, paths: Any, message: Any, warned: Any) -> None:
        """Record rows; a price that is not finite fails by name."""
        self.values[rows], self.errors[rows] = values, errors
        self.engine[rows], self.paths[rows] = engine, paths
        self.message[rows] = message
        fine = np.isfinite(values[:, 0])
        self.status[rows] = np.where(fine, np.where(warned, WARNING, OK), FAILED)
        self.message[rows[~fine]] = "the price is not finite: a parameter is beyond what the arithmetic can hold"
        self.values[rows[~fine]] = np.nan
        unknown_greek = fine & np.isnan(values).any(axis=1)
        for k in np.flatnonzero(unknown_greek):
            lost = [name for name, value in zip(greeks.NAMES, values[k, 1:], strict=True) if np.isnan(value)]
            note = f"{', '.join(lost)} undefined: the bumped parameter is zero"
            self.message[rows[k]] = f"{self.message[rows[k]]}; {note}" if self.message[rows[k]] else note
        self.status[rows[unknown_greek]] = WARNING

    def fail(self, messages: np.ndarray) -> None:
        """Rows set aside before pricing."""
        bad = np.flatnonzero(messages != "")
        self.message[bad] = messages[bad]

    def columns(self, units: str) -> dict[str, np.ndarray]:
        """Result columns by name."""
        out = {"price": self.values[:, 0], "std_error": self.errors[:, 0]}
        for o in range(1, self.values.shape[1]):
            name = greeks.NAMES[o - 1]
            factor = greeks.DESK.get(name, 1.0) if units == "desk" else 1.0
            out[name] = self.values[:, o] * factor
            out[f"{name}_std_error"] = self.errors[:, o] * factor
        return {**out, "paths": self.paths, "engine": self.engine, "status": STATUS[self.status], "message": self.message}


def _price_batch(batch: Batch, task: Task, table: _Table, tick: Callable[[int], None]) -> None:
    """Closed form where the engine allows and there is one; the walk for the rest."""
    done = np.zeros(len(batch.rows), bool)
    notes = _notes(batch)
    if task.engine != "monte_carlo":
        values = closed.price(batch.model, batch.payoff, task.place, greeks=task.greeks)
        if values is not None:
            done = ~np.isnan(values[:, 0])
            table.put(batch.rows[done], values[done], 0.0, "closed_form", 0, notes[done], notes[done] != "")
            tick(int(done.sum()))
        if task.engine == "closed_form":
            table.message[batch.rows[~done]] = (
                f"no closed form for {type(batch.payoff).__name__} under {type(batch.model).__name__}; engine='monte_carlo' has a price"
            )
            tick(int((~done).sum()))
            return
    if not done.all():
        try:
            _simulate(batch if not done.any() else batch.take(np.flatnonzero(~done)), task, table, notes[~done], tick)
        except MemberError as failure:
            table.message[batch.rows[~done]] = str(failure)


def _notes(batch: Batch) -> np.ndarray:
    notes = np.full(len(batch.rows), "", dtype=object)
    for member in (batch.model, batch.payoff):
        said = member.warn(member)
        if said is not None:
            notes = np.where(notes == "", np.broadcast_to(said, notes.shape).astype(object), notes)
    return notes


def _simulate(batch: Batch, task: Task, table: _Table, notes: np.ndarray, tick: Callable[[int], None]) -> None:
    """Walk a batch, in launches of bounded memory; with a target, a second time where the pilot promised too much."""
    steps = grid(batch, task.steps)[0]
    long = steps > MOST_STEPS
    if long.any():
        for row, k in zip(batch.rows[long], steps[long], strict=True):
            table.message[row] = f"{k} steps: must be at most {MOST_STEPS}"
        batch, notes = batch.take(np.flatnonzero(~long)), notes[~long]
        tick(int(long.sum()))
    n = len(batch.rows)
    if not n:
        return
    paths = np.full(n, task.paths)
    if task.target_error is not None:
        pilot = replace(task, greeks=False, purpose=rng.PURPOSES["pilot"])
        paths = _enough(launch(batch, pilot, np.full(n, PILOT))[1][:, 0], np.full(n, PILOT), task, batch.rows)
    rng.check(int(paths.max()), int(grid(batch, task.steps)[0].max()) * (batch.model.normals + batch.model.uniforms), int(batch.streams.max()))
    values, errors = _launched(batch, task, paths, tick)
    for _ in range(3 if task.target_error is not None else 0):
        # a pilot in which next to nothing paid cannot know the spread: run such rows again, as long as their own error says
        late = np.flatnonzero((errors[:, 0] > 1.1 * task.target_error[batch.rows]) & (paths < MOST_PATHS))  # type: ignore[index]
        if not late.size:
            break
        paths[late] = np.maximum(_enough(errors[late, 0], paths[late], task, batch.rows[late]), paths[late])
        values[late], errors[late] = _launched(batch.take(late), task, paths[late], None)
    message, warned = _said(batch, task, values, errors, notes, paths)
    table.put(batch.rows, values, errors, "monte_carlo", paths, message, warned)


def _enough(errors: np.ndarray, paths: np.ndarray, task: Task, rows: np.ndarray) -> np.ndarray:
    """Paths that bring these errors to the target; a tenth more, since a pilot's spread is an estimate."""
    assert task.target_error is not None
    wanted = np.nan_to_num((errors / task.target_error[rows]) ** 2 * paths * 1.1, nan=PILOT)
    return np.clip(np.ceil(wanted / 256) * 256, PILOT, MOST_PATHS).astype(np.int64)


def _launched(batch: Batch, task: Task, paths: np.ndarray, tick: Callable[[int], None] | None) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors of a batch, in launches of at most UNITS units."""
    units = np.cumsum(-(-paths // TILE))
    group = (units - 1) // UNITS
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(paths)]
    parts = []
    for begin, end in itertools.pairwise(cuts):
        part = batch.take(np.arange(begin, end)) if end - begin < len(paths) else batch
        parts.append(launch(part, task, paths[begin:end], tick))
    return np.concatenate([v for v, _ in parts]), np.concatenate([e for _, e in parts])


def launch(batch: Batch, task: Task, paths: np.ndarray, tick: Callable[[int], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Values and standard errors of a batch by simulation, shape (n, outputs), Greeks in their own units."""
    steps, every = grid(batch, task.steps)
    pair = Pair(type(batch.model), type(batch.payoff), batch.fixed, task.precision, 9 if task.greeks else 1, task.outputs)
    scale, shift, weights = greeks.variants(pair)
    streams = np.zeros_like(batch.streams) if task.common_draws else batch.streams
    columns = {**batch.model.columns(), **batch.payoff.columns()}
    units_per_row = np.ceil(paths / TILE).sum() / len(paths)
    counted = _Fraction(tick, units_per_row) if tick else None
    run = Launch(pair, columns, steps, every, streams, paths, scale, shift, weights, task.seed, task.purpose)
    values, errors = run.run(task.place, counted)
    if task.greeks:
        for o, unit in enumerate(greeks.units(batch.model, batch.payoff.maturity, greeks.SIMULATED)):  # type: ignore[attr-defined]
            with np.errstate(divide="ignore", invalid="ignore"):
                values[:, o] /= unit
                errors[:, o] /= unit
    return values, errors


class _Fraction:
    """Turns finished units into finished rows for the progress bar."""

    def __init__(self, tick: Callable[[int], None], units_per_row: float) -> None:
        self.tick, self.units_per_row, self.units, self.rows = tick, units_per_row, 0, 0

    def __call__(self, units: int) -> None:
        self.units += units
        rows = int(self.units / self.units_per_row)
        self.tick(rows - self.rows)
        self.rows = rows


def _said(batch: Batch, task: Task, values: np.ndarray, errors: np.ndarray, notes: np.ndarray, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Message and warning of each simulated row."""
    message = notes.astype(object)
    warned = notes != ""
    if np.isfinite(batch.model.weak_order):
        steps = grid(batch, task.steps)[0]
        scheme = np.array([f"{k} steps of weak order {batch.model.weak_order:g}: their bias is not in std_error" for k in steps], dtype=object)
        message = np.where(message == "", scheme, message + "; " + scheme)
    # nothing paid on any path: with n paths the chance of paying is below 3/n at 95 % (the rule of three)
    empty = (values[:, 0] == 0.0) & (errors[:, 0] == 0.0) & (np.broadcast_to(_volatile(batch), len(values)))
    for row in np.flatnonzero(empty):
        message[row] = f"no path of {paths[row]} paid: the price is below what {paths[row]} paths can see (chance of paying under {3 / paths[row]:.1g})"
    short = np.zeros(len(values), bool)
    if task.target_error is not None:
        short = errors[:, 0] > 1.2 * task.target_error[batch.rows]
        message[short] = "target_error was not reached"
    return message, warned | empty | short


def _volatile(batch: Batch) -> Any:
    return getattr(batch.model, batch.model.vega_column) > 0.0


def _meta(task: Task) -> dict[str, Any]:
    return {
        "device": task.place.name,
        "device_reason": task.place.reason,
        "threads": task.place.threads,
        "precision": task.precision,
        "seed": task.seed,
        "paths": task.paths,
        "engine": task.engine,
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
