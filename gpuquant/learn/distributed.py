"""Several processes: who this one is, what they tell each other, and how they are started.

They share a training in one of three ways (`TrainingConfig.parallel`). Members: each process trains
some programs of the ensemble by itself, and the weights are exchanged at the end. Data: each has
the whole network and passes some days of every batch (DistributedDataParallel). Sharded: each also
holds only a part of weights, gradients and optimiser (fully sharded data parallel).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pickle import PicklingError
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load as unpacked
from safetensors.torch import save as packed
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException, start_processes

from gpuquant import errors
from gpuquant.data.arguments import whole_number
from gpuquant.errors import GpuquantError, InputError
from gpuquant.learn.accelerator import devices
from gpuquant.shown import Shown

PATIENCE = timedelta(days=7)  # one that is done early waits for the others; a dead one is noticed
MADE, TICK = "made", "tick"
WAIT = 0.05  # seconds between two looks at processes


@dataclass(frozen=True)
class Ranks(Shown):
    """The processes that train together.

    Attributes
    ----------
    rank : int
        The number of this process.
    count : int
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """Those of the process group that there is; one process where there is none."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    def share(self, items: Sequence[Any]) -> list[Any]:
        """The items that this process does."""
        return list(items[self.rank :: self.count])

    def exchange(self, tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """What each process gives, in the order of their numbers; on the host, by gloo."""
        if self.count == 1:
            return [tensors]
        content = packed({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
        own = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        dist.all_gather(lengths, torch.tensor([len(own)]))
        longest = max(int(one) for one in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(own)] = own
        parts = [torch.zeros_like(padded) for _ in range(self.count)]
        dist.all_gather(parts, padded)
        each = zip(parts, lengths, strict=True)
        return [unpacked(bytes(part[: int(n)].numpy())) for part, n in each]

    def wait(self) -> None:
        """Until all processes are here."""
        self.first("")

    def agree(self, wanted: bool) -> bool:
        """Whether the first process wants something."""
        return wanted if self.count == 1 else self.first(str(int(wanted))) == "1"

    def of_first(self, values: Tensor) -> Tensor:
        """The values of the first process."""
        return self.exchange({"values": values})[0]["values"]

    def gathered(self, values: Tensor) -> Tensor:
        """The values of all processes along the second axis. Data parallelism divides gradients by
        the number of processes; the gradient of these values is multiplied by it.
        """
        result: Tensor = _Gathered.apply(values, self)  # type: ignore[no-untyped-call]
        return result

    def first(self, text: str) -> str:
        """A text of the first process."""
        content = self.exchange({"text": as_bytes(text)})[0]["text"]
        return bytes(content.numpy()).decode()


class _Gathered(torch.autograd.Function):
    """See `Ranks.gathered`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.size = ranks, values.shape[1]
        parts = [values.new_empty(values.shape) for _ in range(ranks.count)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of this process's own values."""
        own = slice(ctx.ranks.rank * ctx.size, (ctx.ranks.rank + 1) * ctx.size)
        return gradients[0][:, own] * ctx.ranks.count, None


def as_bytes(text: str) -> Tensor:
    """A text as a tensor of bytes."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that `torchrun` has started, for the time of a block, each with its own
    accelerator where there is one.

    Raises
    ------
    InputError
        The process was not started by torchrun.

    Examples
    --------
    A script that `torchrun --nproc-per-node 2 script.py` runs twice::

        with learn.joined():
            fitted = learner.fit(samples, rows)
    """
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise InputError(
            f"joined: {missing[0]} is not set: start the script with torchrun, or use launch="
        )
    if device == "auto":
        device = devices()[-1]
    local = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    apart = device.startswith("cuda") and local <= torch.cuda.device_count()
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if apart else "gloo", timeout=PATIENCE)
    try:
        yield Ranks.here()
    finally:
        dist.destroy_process_group()


def launched(
    work: Callable[..., dict[str, Tensor]],
    processes: int,
    device: str,
    *arguments: Any,
    tick: Callable[[float], Any] | None = None,
) -> dict[str, Tensor]:
    """What `work(device, tick, *arguments)` gives in the first of so many new processes on this
    machine, each with a device of its own where there are so many. What the first tells its tick is
    told here.

    Raises
    ------
    InputError
        An argument cannot be sent to another process.
    GpuquantError
        One of the processes has failed with it.
    """
    whole_number("launch", processes, 1)
    context = torch.multiprocessing.get_context("spawn")
    queue, given = context.SimpleQueue(), (work, arguments)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = max(1, torch.get_num_threads() // processes)
    how = (processes, port, device, threads, queue, *given)
    try:
        group: Any = start_processes(  # type: ignore[no-untyped-call]
            _process, how, nprocs=processes, join=False, start_method="spawn"
        )
    except (AttributeError, TypeError, PicklingError) as failure:
        raise InputError(
            f"launch = {processes}: something cannot be sent to another process: {failure}; "
            "classes and functions must lie in a module, or let torchrun start the script"
        ) from failure
    told: dict[str, Any] = {}

    def hear() -> None:
        while not queue.empty():
            kind, content = queue.get()
            if kind != TICK:
                told.setdefault(kind, content)  # of several that fail, the first
            elif tick is not None:
                tick(content)

    try:
        while not group.join(timeout=WAIT):
            hear()
    except ProcessException as failure:
        hear()
        for kind, content in told.items():
            if kind != MADE:
                raise getattr(errors, kind)(content) from failure
        raise
    except BaseException:  # the caller's tick, or Ctrl-C
        for process in group.processes:
            process.terminate()
        raise
    hear()
    return unpacked(told[MADE])


def _process(
    rank: int,
    processes: int,
    port: int,
    device: str,
    threads: int,
    queue: Any,
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    torch.set_num_threads(threads)
    if device.startswith("cuda"):
        device = f"cuda:{rank % torch.cuda.device_count()}"
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        LOCAL_WORLD_SIZE=str(processes),
        WORLD_SIZE=str(processes),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )

    def tick(done: float) -> None:
        if rank == 0:
            queue.put((TICK, done))

    with joined(device):
        try:
            made = work(device, tick, *arguments)
        except GpuquantError as failure:
            queue.put((type(failure).__name__, str(failure)))
            raise
        if rank == 0:
            queue.put((MADE, packed(made)))
