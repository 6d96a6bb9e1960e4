"""One network on several processes: each passes some days of every batch, and holds the whole
network or a part of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from gpuquant.learn.distributed import Ranks
from gpuquant.learn.members import lifted
from gpuquant.learn.programs import Single, State, blocks, in_parts


class Parts(nn.Module):
    """A network on some of the days at once, as one call."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most = network, most
        self.run = lifted(network, network)

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs of windows (1, days, assets, bars, columns)."""

        def one(windows: Tensor, known: Tensor) -> Tensor:
            return self.run(windows[0], known[0])[None]

        outputs = in_parts(one, self.network, windows, known, self.most)
        return outputs.clone()  # a view would lose FSDP's hooks


class Parallel(Single):
    """One member on several processes. The loss sees the outputs of all of them, so that its
    gradient is that of the whole batch, whatever the loss.

    Parameters
    ----------
    network : nn.Module
    device : str
    ranks : Ranks
    sharded : bool
        Each process holds a part of every block of the network (of each element of its
        `nn.ModuleList`s) and of what is left; a block is whole while it computes.
    most : int
        Days of this process that pass the network at once.
    """

    def __init__(
        self, network: nn.Module, device: str, ranks: Ranks, *, sharded: bool, most: int
    ) -> None:
        # a network that is sharded goes to the device block by block
        super().__init__(network, "cpu" if sharded else device)
        self.ranks, self.sharded = ranks, sharded
        self.whole: Any = Parts(self.network, most)
        if sharded:
            mesh = init_device_mesh(torch.device(device).type, (ranks.count,))
            for block in blocks(self.network):
                fully_shard(block, mesh=mesh)
            fully_shard(self.whole, mesh=mesh)
            self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        else:
            self.whole = DistributedDataParallel(self.whole, gradient_as_bucket_view=True)

    def forward(self, windows: Tensor, known: Tensor) -> Tensor:
        """Outputs of all days, of which this process makes its part."""
        days, count = windows.shape[1], self.ranks.count
        size = -(-days // count)
        at = torch.arange(self.ranks.rank * size, (self.ranks.rank + 1) * size).clamp(max=days - 1)
        at = at.to(windows.device)  # the last day again, where days do not divide
        own = self.whole(windows[:, at], known[:, at])
        return self.ranks.gathered(own)[:, :days]

    def mode(self, training: bool) -> None:
        """Train, or judge: with the running statistics of the first process, since each has counted
        its own days.
        """
        if not training:
            own = dict(self.network.named_buffers())
            for name, statistic in self.ranks.exchange(own)[0].items():
                own[name].copy_(statistic)
        super().mode(training)

    def state(self) -> State:
        """The part of all weights that this process holds, each of shape (1, ...)."""
        each = self.network.state_dict().items()
        return {name: local(value.detach())[None] for name, value in each}

    def full(self, state: State) -> State:
        """Whole weights, from the parts of all processes."""
        result, statistics = {}, {name for name, _ in self.network.named_buffers()}
        for name, value in self.network.state_dict().items():
            part = like(value, state[name][0])
            if isinstance(part, DTensor):
                part = part.full_tensor()
            elif name in statistics:  # each process has counted its own days
                part = self.ranks.of_first(part)
            result[name] = part.cpu()[None]
        return result

    def part(self, value: Tensor) -> Tensor:
        """What this process holds of a tensor."""
        return local(value)

    def spread(self, number: int, value: Tensor) -> Tensor:
        """This process's part of a tensor, as one that is spread like parameter `number`."""
        own = self.parameters[number]
        return like(own, value) if value.shape == local(own).shape else value


def local(value: Tensor) -> Tensor:
    """The part of a tensor that this process holds."""
    return value.to_local() if isinstance(value, DTensor) else value


def like(value: Tensor, part: Tensor) -> Tensor:
    """A part as this process's of a tensor that is spread like `value`."""
    if not isinstance(value, DTensor):
        return part
    made = DTensor.from_local(
        part, value.device_mesh, value.placements, shape=value.shape, stride=value.stride()
    )
    return made
