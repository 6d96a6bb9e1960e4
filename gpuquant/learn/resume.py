"""Training that survives its process: its state on disk, and the way back.

A folder holds, for each program of a training, one safetensors file with everything that training
needs to go on to the same bits, and the file before it. A record in JSON says of which training
they are, and how its members are put together.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpuquant import disk
from gpuquant.data.arguments import scalar
from gpuquant.errors import DataError, InputError
from gpuquant.learn import checkpoint
from gpuquant.learn.distributed import Ranks
from gpuquant.shown import Shown

EVERY = 60.0  # seconds
TOGETHER = 10  # steps between two questions to other processes


@dataclass(frozen=True)
class Checkpoints(Shown):
    """Where the state of a training is kept while it goes on, and how often.

    A training that finds its own state there goes on from it, to the same weights, bit for bit, as
    if it had not been interrupted. Each file is replaced at once and has a hash; the one before is
    kept beside it.

    Parameters
    ----------
    folder : path
        Of one training; it is made if need be.
    every : float
        Seconds between two writes; 0 writes after each step.
    """

    folder: Any
    every: float = EVERY

    def __post_init__(self) -> None:
        scalar("Checkpoints every", self.every, closed=True)
        if not isinstance(self.folder, str | os.PathLike) or not os.fspath(self.folder):
            raise InputError(f"Checkpoints folder = {self.folder!r}: must be the path of a folder")

    @classmethod
    def of(cls, given: Any) -> Checkpoints | None:
        """Checkpoints, or the path of their folder; None for none."""
        return given if given is None or isinstance(given, Checkpoints) else cls(given)

    def record(self, name: str, what: dict[str, str]) -> dict[str, Any] | None:
        """The record of this name, which must be of this training; None where there is none.

        Raises
        ------
        DataError
            The folder is of another training. The message names what differs.
        """
        path = disk.ready_folder(self.folder, "checkpoint") / f"{name}.json"
        if not disk.exists(path):
            return None
        try:
            found = json.loads(path.read_text())
            was, engine = dict(found["what"]), dict(found["engine"])
        except (ValueError, KeyError, TypeError) as failure:
            raise DataError(f"checkpoint {path} is damaged: {failure}") from failure
        differ = [key for key in sorted(set(was) | set(what)) if was.get(key) != what.get(key)]
        if differ:
            before, now = (str(one.get(differ[0]))[:80] for one in (was, what))
            raise DataError(
                f"checkpoint {self.folder} is of another training: its {differ[0]} was {before}, "
                f"now {now}; give another folder, or remove it"
            )
        return engine

    def device(self, name: str) -> str | None:
        """The device of the training there is, if there is one."""
        path = Path(self.folder) / f"{name}.json"
        try:
            return str(json.loads(path.read_text())["what"]["device"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a damaged record is refused when it is read

    def begin(self, name: str, what: dict[str, str], engine: dict[str, Any]) -> None:
        """Write the record of a training."""
        text = json.dumps({"what": what, "engine": engine}, indent=1)
        disk.write(Path(self.folder) / f"{name}.json", text, "checkpoint")

    def saver(self, name: str, ranks: Ranks) -> Saver:
        """Of one program of the training, on the processes that share it."""
        own = name if ranks.count == 1 else f"{name}-rank-{ranks.rank}"
        return Saver(Path(self.folder) / f"{own}.safetensors", self.every, ranks)


@dataclass
class Saver:
    """Keeps the state of one program. Where several processes share it, each keeps its own part of
    the same steps.

    Attributes
    ----------
    found : dict of Tensor
        The state to go on from; empty where there is none.
    """

    path: Path
    every: float
    ranks: Ranks
    found: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.last = time.monotonic()
        self.found = self._found()

    @property
    def before(self) -> Path:
        """The file before the last one."""
        return self.path.with_suffix(".before.safetensors")

    def _found(self) -> dict[str, Tensor]:
        """The newest state that is whole; a damaged file is passed over if there is one before."""
        damage: DataError | None = None
        whole: dict[int, dict[str, Tensor]] = {}
        for path in (self.path, self.before):
            if disk.exists(path):
                try:
                    state = checkpoint.load(path)[0]
                    whole[int(state["done"])] = state
                except DataError as failure:
                    damage = damage or failure
        if damage is not None and not whole:
            raise damage
        steps = {"steps": torch.tensor(sorted(whole), dtype=torch.int64)}
        each = [set(one["steps"].tolist()) for one in self.ranks.exchange(steps)]
        common = set.intersection(*each)
        return whole[max(common)] if common else {}

    def due(self, step: int) -> bool:
        """Whether it is time to write. Several processes do it together, and ask seldom."""
        if self.ranks.count > 1 and step % TOGETHER:
            return False
        return self.ranks.agree(time.monotonic() - self.last >= self.every)

    def keep(self, tensors: dict[str, Tensor]) -> None:
        """Write a state; the last one stays beside it."""
        if disk.exists(self.path):
            os.replace(self.path, self.before)
        checkpoint.save([tensors], self.path)
        self.last = time.monotonic()
