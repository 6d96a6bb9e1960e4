"""Engines: how the members of an ensemble run, which a short measurement decides.

Members that run as one program share the cost of starting each operation, which is most of a small
network's step; members one after the other keep their numbers in the cache, which is most of a
large one's. What they learn is the same up to rounding.
"""

from __future__ import annotations

import json
import math
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from gpuquant.compiler.cache import cached_bytes
from gpuquant.compiler.llvm import host
from gpuquant.errors import DataError, InputError
from gpuquant.learn import members
from gpuquant.learn.accelerator import memory, synchronize
from gpuquant.learn.batching import Batch
from gpuquant.learn.graphs import Recorded
from gpuquant.learn.jobs import Job, Member, Work
from gpuquant.learn.optimise import Training
from gpuquant.learn.programs import saved

SHORT = 20  # steps of a training that is over before a measurement would be
ROUNDS = 7
BETTER = 0.97  # times the best so far, which a larger program must reach
WORSE = 1.3  # times the best so far, from which larger programs are not tried
SHARE = 0.4  # of the memory, for what is kept for gradients
PROBED = 64  # days of a batch whose memory is measured


@dataclass(frozen=True)
class Engine:
    """How members run.

    Parameters
    ----------
    kind : str
        sequential, vmap, compiled or cuda_graph.
    together : int
        Members of a program.
    most : int, optional
        Days of a batch that pass the network at once.
    """

    kind: str
    together: int = 1
    most: int | None = None

    def __str__(self) -> str:
        name = f"{self.kind} of {self.together}" if self.together > 1 else self.kind
        return name if self.most is None else f"{name}, in parts of {self.most}"

    def groups(self, work: Work) -> list[list[Member]]:
        """The members of each program: those of one shape, in order."""
        result: list[list[Member]] = []
        for one in work.members:
            full = not result or len(result[-1]) == self.together
            if full or work.shape(result[-1][0]) != work.shape(one):
                result.append([])
            result[-1].append(one)
        return result

    def training(self, job: Job) -> Training:
        """The training of a job."""
        if self.kind == "compiled":
            return Training(job.program, torch.compile(job.losses), job.work.config)
        kind = Recorded if self.kind == "cuda_graph" else Training
        return kind(job.program, job.losses, job.work.config)


def choose(work: Work) -> Engine:
    """The engine that the configuration names, or the fastest.

    Raises
    ------
    InputError
        The network cannot run as the engine that is named.
    DataError
        One window takes more than there is of memory.
    """
    wanted, total = work.config.engine, len(work.members)
    alone = work.ranks.count == 1 or work.config.parallel == "members"
    room, days = _room(work) if alone else (math.inf, 0)  # of what is shared, `plan` tells more
    most = work.config.microbatch
    if most is None and room < 1.0:
        most = max(1, int(room * days))
    able = alone and total > 1 and not work.config.recompute  # which vmap cannot do
    able = able and members.perhaps_stackable(work.tasks[0].make(0)) and _together(work)
    if wanted in ("vmap", "cuda_graph"):
        if not able:
            raise InputError(
                f"engine = {wanted!r}: {total} members of {work.network} do not run as "
                "one program; engine='auto' or 'sequential' does"
            )
        if wanted == "cuda_graph" and most is not None:
            raise InputError(
                "engine = 'cuda_graph': whole batches do not fit into memory, or a microbatch was "
                "asked for; a recorded step takes a batch at once"
            )
        together = min(-(-total // work.ranks.count), max(1, int(min(room, total))))
        return Engine(wanted, together, most)
    sizes = [size for size in _sizes(work) if size <= room]
    if wanted != "auto" or not able or not sizes:
        return Engine("sequential" if wanted == "auto" else wanted, 1, most)
    if work.config.steps < SHORT:
        together = max(size for size in sizes if size <= work.count or size == sizes[0])
        return Engine("vmap", together, most)
    found = cached_bytes("engine", lambda: _measured(work, sizes).encode(), *_key(work, sizes))
    return Engine(**json.loads(found), most=most)


def fastest(works: Sequence[Work]) -> tuple[Work, str]:
    """The work on the device where a step of all members is the fastest, and what was measured."""
    took, told = [], []
    for work in works:
        try:
            took.append(seconds(work, choose(work)) * len(work.members))
            told.append(f"{work.device} {1e3 * took[-1]:,.2f} ms")
        except (RuntimeError, DataError) as failure:  # torch has too little memory there
            took.append(math.inf)
            told.append(f"{work.device} fails: {str(failure).splitlines()[0][:80]}")
    if min(took) == math.inf:
        raise DataError(f"no device can train: {'; '.join(told)}")
    best = works[took.index(min(took))]
    return best, f"a step of all members takes: {', '.join(told)}"


def _key(work: Work, sizes: list[int]) -> list[str]:
    """What decides which engine is the fastest."""
    config, device = work.config, torch.device(work.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else host().cpu
    return [
        f"torch {torch.__version__} on {device.type} {name} with {torch.get_num_threads()} threads",
        _shown(work.tasks[0].make(0)),
        f"{work.loss!r} {[work.shape(one) for one in work.members[:: work.count]]}",
        f"{len(work.tasks)} x {work.count} members, {sizes} at once",
        f"windows of {work.bars} x {work.resident.features.shape[2]}",
        f"{config.precision} {config.microbatch} {config.max_grad_norm is None}",
    ]


def _shown(network: nn.Module) -> str:
    """What tells networks apart by their speed: their modules and the shapes of their weights."""
    return f"{network!r} {[tuple(p.shape) for p in network.parameters()]}"


def _measured(work: Work, sizes: list[int]) -> str:
    """The fastest engine, as JSON."""
    best = Engine("sequential")
    kinds = ("vmap", "cuda_graph") if work.device.startswith("cuda") else ("vmap",)
    for kind in kinds:
        for together in sizes:
            engine = Engine(kind, together)
            try:
                took = _beside(work, engine, best)
            except RuntimeError:  # too little memory, or no recording of the network
                break
            if took < BETTER:
                best = engine
            elif took > WORSE:
                break
    return json.dumps({"kind": best.kind, "together": best.together})


def _sizes(work: Work) -> list[int]:
    """Members of a program that are tried: powers of two, a fold's, and all."""
    total = -(-len(work.members) // work.ranks.count)  # each process has some
    powers = {1 << k for k in range(1, total.bit_length())}
    return sorted(size for size in powers | {work.count, total} if 1 < size <= total)


def seconds(work: Work, engine: Engine) -> float:
    """Seconds of a step for each member, batches included."""
    with members.seeded(work.seed(work.members[0]), work.device):
        took = list(islice(_steps(work, engine), min(ROUNDS + 1, work.config.steps)))
    return statistics.median(took[1:] or took)


def _beside(work: Work, one: Engine, other: Engine) -> float:
    """The seconds of an engine over those of another, step by step in turn: what else the machine
    does slows both.
    """
    with members.seeded(work.seed(work.members[0]), work.device):
        both = zip(_steps(work, one), _steps(work, other), strict=True)
        pairs = list(islice(both, min(ROUNDS + 1, work.config.steps)))
    return statistics.median(a / b for a, b in pairs[1:] or pairs)


def _steps(work: Work, engine: Engine) -> Iterator[float]:
    """The seconds of each step for each member, without end."""
    group = engine.groups(work)[0]
    job = Job(work, group, engine.together > 1, engine.most or work.config.microbatch)
    training, batches = engine.training(job), job.stream(0)
    while True:
        synchronize(work.device)
        start = time.perf_counter()
        training.step(next(batches))
        synchronize(work.device)
        yield (time.perf_counter() - start) / len(group)


def _together(work: Work) -> bool:
    """Whether two members as one program say what each says by itself."""
    pair = work.members[:2]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("error")
            job = Job(work, pair, together=True, plain=True)
            batch = next(job.stream(0))
            both = job.outputs(batch)
            for k, one in enumerate(pair):
                alone = Job(work, [one], together=False, plain=True)
                said = alone.outputs(next(alone.stream(0)))
                if not torch.allclose(both[k], said[0], rtol=1e-3, atol=1e-4):
                    return False
    except (RuntimeError, TypeError, ValueError, Warning):
        return False  # a trial of the caller's code: what is wrong with it, its own step will say
    return True


def _room(work: Work) -> tuple[float, int]:
    """How many members' whole batches fit at once into a share of the memory, with what is
    kept of them for their gradients; and the days of a batch.
    """
    job = Job(work, work.members[:1], together=False, plain=True)
    batch = next(job.stream(0))
    days = batch.windows.shape[1] * (1 if work.across else batch.windows.shape[2])
    free = memory(work.device)
    if free is None or not job.program.parameters:
        return math.inf, days
    seen = min(days, PROBED)
    each = _kept(job, batch, seen) / seen
    if SHARE * free < each:
        raise DataError(
            f"training: one window of {work.network} keeps "
            f"{each / 2**20:,.0f} MiB for its gradient: more than {SHARE:.0%} of the memory, "
            f"{free / 2**20:,.0f} MiB"
        )
    return SHARE * free / (each * days), days


def _kept(job: Job, batch: Batch, days: int) -> int:
    """Bytes that a network keeps for the gradient of so many days of a batch."""
    windows, known = batch.windows, batch.known
    if not job.work.across:
        windows, known = windows.flatten(1, 2)[:, :, None], known.flatten(1)[:, :, None]
    some = windows[:, :days].clone(), known[:, :days].clone()
    own = {id(p.untyped_storage()) for p in job.program.parameters}
    with job.autocast:
        kept = saved(lambda: job.program.forward(*some), own)
    return sum(kept.values()) or 1
