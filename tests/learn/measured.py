"""The memory that a training takes, as the system sees it: run by itself, one training a process.

python -m tests.learn.measured '{"network": "MLP", "size": 3000, "windows": 8000}'
"""

import contextlib
import json
import sys

import numpy as np

from gpuquant import learn
from gpuquant.learn import engines, optimise
from gpuquant.learn.distributed import Ranks, launched

ASSETS, FEATURES, WINDOW = 100, 20, 10
STEP = optimise.Training.step


class Seen(Exception):
    """The steps are done: what follows them is not measured."""


def learner(network, size, windows, layers=3, **how):
    sizes = {
        "MLP": {"hidden": size},
        "TCN": {"channels": size},
        "CrossSection": {"width": size, "layers": layers},
        "Transformer": {"width": size, "layers": 2},
    }
    config = learn.TrainingConfig(
        **{"steps": 4, "batch_windows": windows, "engine": "sequential", **how}
    )
    made = getattr(learn.networks, network)(**sizes[network])
    return learn.Learner(made, window=WINDOW, ensemble=1, training=config)


def of_process(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def peak(device, case):
    """Bytes that training adds to this process at its peak, over what a small one has taken."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, ASSETS, FEATURES)).astype(np.float32)
    samples, rows = learn.Samples(features, draw.normal(size=(400, ASSETS))), np.arange(300)
    small = {**case, "size": 8, "windows": 400}
    learner(**small).fit(samples, rows, device=device)
    engines._room = lambda work: (1e9, 1)  # which would look at the network itself

    def step(training, batch):
        if not training.done:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # the peak begins anew
        STEP(training, batch)

    def told(training):
        raise Seen

    optimise.Training.step, optimise.Training.told = step, told
    before = of_process("VmRSS")
    with contextlib.suppress(Seen):
        learner(**case).fit(samples, rows, device=device)
    return of_process("VmHWM") - before


def shared(device, tick, case):
    import torch

    own = {"peak": torch.tensor(peak(device, case))}
    return {"peak": torch.stack([one["peak"] for one in Ranks.here().exchange(own)]).max()}


def main():
    case = json.loads(sys.argv[1])
    ranks = case.pop("ranks", 1)
    found = peak("cpu", case) if ranks == 1 else int(launched(shared, ranks, "cpu", case)["peak"])
    made = learn.plan(learner(**case), features=FEATURES, assets=ASSETS, ranks=ranks)
    print(json.dumps({"planned": made.total, "measured": found, **vars(made)}))


if __name__ == "__main__":
    main()
