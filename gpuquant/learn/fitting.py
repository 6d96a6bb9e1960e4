"""How a learner's folds are fitted: what each needs, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import InputError
from gpuquant.learn import engines, estimators, members, train
from gpuquant.learn.accelerator import devices
from gpuquant.learn.config import History
from gpuquant.learn.distributed import Ranks, as_bytes, launched
from gpuquant.learn.fitted import Fitted
from gpuquant.learn.forecasting import Forecaster
from gpuquant.learn.jobs import Folds, Task, Work
from gpuquant.learn.losses.base import several
from gpuquant.learn.resume import Checkpoints
from gpuquant.learn.windows import Resident, Samples, Standardizer, Windows
from gpuquant.shown import identity

if TYPE_CHECKING:
    from gpuquant.learn.learner import Learner

# seeds of one learner's seed, and of one fold: no two members have the same, up to 990 folds of
# 1,009 members
MEMBERS = 1_000_003
APART = 1_009
WORDS = ("engine", "device", "reason")  # of a history
TYPICAL_ROWS = 64  # training bars from which the typical size of a forecast is taken


def fit(
    learner: Learner, samples: Samples, folds: Folds, device: str, beside: train.Aside
) -> list[Fitted]:
    """The models of folds; see `Learner.fit_folds`."""
    labels, first = _labels(learner, samples), folds.first
    rows = [one[one < len(labels) - learner.label_horizon] for one in folds.rows]
    seeds = [learner.seed * MEMBERS + (first + k) * APART for k in range(len(rows))]
    ranks = Ranks.here()
    places = [device]
    if device == "auto":  # several processes cannot each choose: they take the accelerator
        places = devices() if ranks.count == 1 else devices()[-1:]
        kept = None if beside.checkpoints is None else beside.checkpoints.device(f"fold-{first}")
        places = places if kept is None or kept not in places else [kept]
    if not learner.is_network:
        resident = samples.on("cpu" if device == "auto" else device)
        windows = [
            Windows(resident, Standardizer.of(resident, one), learner.window) for one in folds.rows
        ]
        return estimators.fit(
            learner.estimator, windows, samples, rows, seeds, learner.ensemble, beside.tick
        )
    begin = _start(learner, folds.start, (learner.window, samples.features.shape[2]))
    loss = several(learner.loss, learner.count).charged(folds.cost)
    units = [
        _deviation(labels[one]) if loss.standardise else np.ones(learner.count) for one in rows
    ]

    def work_on(place: str) -> Work:
        resident = samples.on(place)
        shape = (learner.window, resident.features.shape[2])
        tasks = [
            Task(
                first + k,
                rows[k],
                Standardizer.of(resident, folds.rows[k]),
                units[k],
                seeds[k],
                partial(members.numbered, learner.estimator, shape, seeds[k], begin),
            )
            for k in range(len(rows))
        ]
        how = (resident, learner.window, learner.ensemble, loss, learner.training)
        return Work(tasks, *how, learner.label_horizon, ranks)

    works, reason = [work_on(place) for place in places], ""
    work = works[0]
    if len(works) > 1:
        work, reason = engines.fastest(works)
    what = {} if beside.checkpoints is None else _identity(learner, work, folds.cost, begin)
    told = train.fit(work, what, beside)
    return [
        _fitted(learner, task, work.resident, weights, replace(history, reason=reason))
        for task, (weights, history) in zip(work.tasks, told, strict=True)
    ]


def _identity(
    learner: Learner, work: Work, cost: float, begin: dict[str, Tensor] | None
) -> dict[str, str]:
    """What tells a training from others, for its checkpoints."""
    shared = learner.training.parallel
    return {
        "learner": identity(learner.describe()),
        "samples": work.resident.digest,
        "cost": str(cost),
        "folds": identity([work.tasks[0].number, *(task.rows for task in work.tasks)]),
        "device": work.device,
        "processes": "any" if shared == "members" else f"{work.ranks.count}, {shared}",
        "start": identity(begin),
    }


def launch(
    processes: int,
    learner: Learner,
    samples: Samples,
    folds: Folds,
    device: str,
    beside: train.Aside,
) -> list[Fitted]:
    """The models of folds, by new processes that share the training."""
    if not learner.is_network:
        raise InputError(
            f"launch = {processes}: {type(learner.estimator).__name__} is no network: it trains in "
            "one process"
        )
    if learner.callbacks:
        raise InputError(
            f"launch = {processes}: callbacks see nothing of other processes: give none, or start "
            "the script with torchrun"
        )
    bare = replace(samples)  # without what lies on a device
    device = devices()[-1] if device == "auto" else device
    given = (learner, bare, folds, beside.checkpoints)
    told = launched(_remote, processes, device, *given, tick=beside.tick)
    result = []
    for k in range(len(folds.rows)):
        own = {
            name.partition(".")[2]: value
            for name, value in told.items()
            if name.startswith(f"{k}.")
        }
        losses, judgements = (own.pop(f"history.{name}").numpy() for name in ("loss", "validation"))
        words = [bytes(own.pop(f"history.{n}").numpy()).decode() for n in WORDS]
        made = learner.restored(own, f"fold {folds.first + k}")
        result.append(replace(made, history=History(losses, judgements, *words)))
    return result


def _remote(
    device: str,
    tick: Callable[[float], Any],
    learner: Learner,
    samples: Samples,
    folds: Folds,
    checkpoints: Checkpoints | None,
) -> dict[str, Tensor]:
    """What one of several processes learns, as tensors."""
    beside = train.Aside(tick=tick, checkpoints=checkpoints)
    result: dict[str, Tensor] = {}
    with train.usual_settings():
        models = fit(learner, samples, folds, device, beside)
    for k, made in enumerate(models):
        history = made.history
        assert history is not None  # of a network
        own = {
            **made.tensors(),
            "history.loss": torch.from_numpy(history.loss),
            "history.validation": torch.from_numpy(history.validation),
            **{f"history.{name}": as_bytes(getattr(history, name)) for name in WORDS},
        }
        result |= {f"{k}.{name}": value.contiguous() for name, value in own.items()}
    return result


def _fitted(
    learner: Learner,
    task: Task,
    resident: Resident,
    weights: dict[str, Tensor],
    history: History,
) -> Fitted:
    """The model of a fold: its weights, and the size of its forecasts."""
    rows, windows = task.rows, Windows(resident, task.scale, learner.window)
    some = rows[np.linspace(0, len(rows) - 1, min(TYPICAL_ROWS, len(rows))).astype(int)]
    sizes = []
    for label in range(learner.count):
        loss = several(learner.loss, learner.count, label)
        told = Forecaster.of(learner.estimator, weights, windows, loss).predict(some)
        sizes.append(loss.typical(told[torch.isfinite(told)]))
    both = np.column_stack([sizes, task.unit])
    return Fitted(
        task.scale,
        weights=weights,
        size=float(both[0, 0]),
        unit=float(both[0, 1]),
        history=history,
        others=both[1:],
    )


def _start(
    learner: Learner, start: Fitted | None, shape: tuple[int, int]
) -> dict[str, Tensor] | None:
    """The weights to begin with, which must be of this learner's networks."""
    if start is None:
        return None
    if start.weights is None:
        raise InputError("start: has no weights of networks")
    members.fitting(
        lambda: members.member(learner.estimator, shape, learner.seed),
        start.weights,
        learner.ensemble,
        "start",
    )
    return start.weights


def _labels(learner: Learner, samples: Samples) -> np.ndarray:
    """The labels of samples, as many as the target has."""
    first, labels = samples.first_label, samples.labels
    given = 1 if labels is None or labels.ndim == 2 else labels.shape[2]
    if given != learner.count:
        raise InputError(f"samples have {given} labels, the learner's target {learner.count}")
    if given > 1 and not learner.is_network:
        raise InputError(
            f"estimator = {type(learner.estimator).__name__}: several labels need a network"
        )
    return first if labels is None else labels


def _deviation(values: np.ndarray) -> np.ndarray:
    """The deviation of each label's finite values, or 1.0."""
    each = values[..., None] if values.ndim == 2 else values
    finite = [one[np.isfinite(one)] for one in np.moveaxis(each, 2, 0)]
    sizes = np.array([one.std() if one.size else 0.0 for one in finite])
    return np.where(sizes > 0.0, sizes, 1.0)
