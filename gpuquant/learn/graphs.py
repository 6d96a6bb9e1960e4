"""A step of training that a GPU has recorded: it starts as one operation, whatever it is made of.

Nothing in a step waits for the host: batches are copied into places that do not move, the learning
rate is a number on the device, and the optimiser counts its steps there.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from gpuquant.learn.batching import Batch
from gpuquant.learn.optimise import Training

WARM = 3  # steps before a recording, which allocate what it uses


class Recorded(Training):
    """Training whose step is recorded at its first batches and replayed. Where there is no GPU, the
    recorded step is run again instead, on the same places: the same numbers.
    """

    place: Batch | None = None
    graph: Any = None
    side: Any = None
    warm: int = 0

    def step(self, batch: Any) -> None:
        """One step of the optimiser, on a batch."""
        if self.place is None:
            self._begin(batch)
        for one in fields(Batch):
            getattr(self.place, one.name).copy_(getattr(batch, one.name))
        self.rate.fill_(self.rates[self.done])
        if self.graph is not None:
            self.graph.replay()
        elif self.side is None:
            self._run()
        else:
            self._warm()
        self.history[:, self.done] = self.values
        self.done += 1

    def _begin(self, batch: Batch) -> None:
        self.place = Batch(*(getattr(batch, one.name).clone() for one in fields(Batch)))
        self.rate: Tensor = torch.zeros((), device=self.values.device)
        on_gpu = self.rate.device.type == "cuda"
        for group in self.optimiser.param_groups:
            group["lr"], group["capturable"] = self.rate, on_gpu
        self.side = torch.cuda.Stream(self.rate.device) if on_gpu else None  # type: ignore[no-untyped-call]

    def _warm(self) -> None:
        """A step as it will be recorded, beside the usual stream; the last one is followed by the
        recording, which computes nothing.
        """
        device = self.rate.device
        with torch.cuda.device(device):
            self.side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(self.side):
                self._run()
            torch.cuda.current_stream(device).wait_stream(self.side)
            self.warm += 1
            if self.warm == WARM:
                torch.cuda.synchronize(device)
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, stream=self.side):
                    self._run()

    def _run(self) -> None:
        values = self.losses(self.place)
        self.optimiser.zero_grad(set_to_none=False)
        torch.autograd.backward([values.sum()])
        if self.config.max_grad_norm is not None:
            self.program.clip(self.config.max_grad_norm)
        self.optimiser.step()
        self.values.copy_(values.detach())
