"""A search over a strategy's parameters, every trial of which is in the log."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuquant import measures
from gpuquant.costs.base import Cost
from gpuquant.data.panel import Panel
from gpuquant.errors import InputError
from gpuquant.portfolio.strategy import Strategy
from gpuquant.portfolio.training import Course, train
from gpuquant.progress import bar
from gpuquant.shown import Shown
from gpuquant.validation.overfitting import TrialLog

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Search(Shown):
    """What a search found.

    Attributes
    ----------
    frame : DataFrame
        A row for each trial: its parameters, its information coefficient with its error, and the
        Sharpe ratio of its excess over equal weight with its error; the best ratio first.
    best : Strategy
        The trained strategy of the first row.
    deflated_sharpe : float
        Probability that the best ratio is above the luck of all trials in the log.
    """

    frame: pd.DataFrame
    best: Strategy
    deflated_sharpe: float


def search(
    strategy: Strategy,
    prices: Any,
    space: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
    *,
    splits: Any,
    ledger: Any,
    trials: int | None = None,
    costs: Cost | None = None,
    device: str = "auto",
    progress: bool | None = None,
    launch: int | None = None,
) -> Search:
    """Train a strategy with other parameters, again and again.

    Parameters
    ----------
    strategy : Strategy
    prices : Panel, frame or path
    space : mapping or callable
        The values of each parameter, by names as of `strategy.get_params()`, such as
        {"learner__horizon": [1, 5], "learner__training__weight_decay": [0.1, 1.0]}: every
        combination is tried. Or, with the package Optuna, a function of an `optuna.Trial` that
        gives parameters.
    splits : WalkForward, ...
    ledger : path or TrialLog
        Where every trial is recorded.
    trials : int, optional
        How many; needed with Optuna, whose sampler has the seed of the learner.
    costs : Cost, optional
    launch : int, optional
        Processes that share the training of each trial, as of `Strategy.train`; under `torchrun`
        give none.

    Raises
    ------
    InputError
        The strategy has no such parameter, or there is nothing to try.

    Notes
    -----
    The best of many trials is better by luck than it will be: read `deflated_sharpe`.
    """
    panel, log = Panel.of(prices), ledger if isinstance(ledger, TrialLog) else TrialLog(ledger)
    course = Course(splits, costs, log, device, progress=False, launch=launch)
    rows: list[dict[str, Any]] = []
    tried: list[tuple[float, Strategy, Any]] = []

    def one(params: Mapping[str, Any]) -> float:
        made, beyond = train(strategy.set_params(**params), panel, course)
        assert beyond is not None  # there is a log
        ratio = measures.sharpe(beyond)
        mean, error = made.fitted().ic
        row = {"ic": mean, "ic_error": error, "excess_sharpe": ratio}
        rows.append({**params, **row, "excess_sharpe_error": measures.sharpe_error(beyond)})
        tried.append((ratio, made, beyond))
        return float(ratio)

    if callable(space):
        _by_optuna(one, space, trials, getattr(strategy.learner, "seed", 0))
    else:
        combinations = list(_grid(space))[:trials]
        with bar(len(combinations), "search", progress) as tick:
            for params in combinations:
                one(params)
                tick(1)
    import pandas as pd

    frame = pd.DataFrame(rows).sort_values("excess_sharpe", ascending=False)
    _, best, beyond = tried[int(frame.index[0])]
    return Search(frame, best, log.deflated_sharpe(beyond.to_numpy()))


def _grid(space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination."""
    if not space or not all(len(values) for values in space.values()):
        raise InputError("space is empty: give the values of each parameter")
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))


def _by_optuna(
    one: Callable[[Mapping[str, Any]], float], space: Callable[[Any], Any], trials: Any, seed: int
) -> None:
    """As many trials as said, chosen by Optuna."""
    try:
        import optuna
    except ImportError as failure:
        raise InputError(
            "space is a function: needs the package optuna, pip install optuna; or give a mapping "
            "of values"
        ) from failure
    if not isinstance(trials, int) or trials < 1:
        raise InputError(f"trials = {trials!r}: must be a whole number >= 1, how many to try")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        study.optimize(lambda trial: one(space(trial)), n_trials=trials)
    finally:
        optuna.logging.set_verbosity(level)
