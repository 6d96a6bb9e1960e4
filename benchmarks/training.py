"""How long does an ensemble take to train, against a plain loop over the same seeds, and which
skill does each reach of what least squares can?
"""

from __future__ import annotations

import statistics

import numpy as np
import torch

from benchmarks.common import Row, seconds
from gpuquant import learn
from tests.learn.test_planted import linear

ROUNDS = 5
MEMBERS = 8
CUT = 1500
RHO = 0.05


def plain(features: np.ndarray, labels: np.ndarray, config: learn.TrainingConfig) -> list[object]:
    """One network after the other, as anybody would write it."""
    x = torch.from_numpy(features.reshape(-1, features.shape[2])).float()
    y = torch.from_numpy(labels.ravel() / labels.std()).float()
    networks, (rate, decay) = [], config.rates(learn.networks.MLP)
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], 32),
            torch.nn.ReLU(),
            torch.nn.Linear(32, 32),
            torch.nn.ReLU(),
            torch.nn.Linear(32, 1),
        )
        optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=config.steps)
        for _ in range(config.steps):
            at = torch.randint(len(x), (config.batch_windows,))
            loss = (network(x[at])[:, 0] - y[at]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        networks.append(network)
    return networks


def run() -> list[Row]:
    """Medians of rounds in which both train on the same samples with the same settings."""
    samples, signal, attainable = linear(0)
    learner, rows = learn.Learner(learn.networks.MLP(), ensemble=MEMBERS), np.arange(1502, 3000)
    training = np.arange(CUT)
    told = learner.predict(learner.fit(samples, training), samples, rows)
    networks = plain(samples.features[:CUT], samples.labels[:CUT], learner.training)
    x = torch.from_numpy(samples.features[rows].reshape(-1, 20)).float()
    with torch.no_grad():
        other = torch.stack([network(x)[:, 0] for network in networks]).mean(0).numpy()
    truth = signal[rows].ravel()
    skills = [RHO * np.corrcoef(f.ravel(), truth)[0, 1] / attainable for f in (told, other)]
    pairs = []
    for _ in range(ROUNDS):
        fresh = learn.Samples(samples.features, samples.labels)
        ours = seconds(lambda: learner.fit(fresh, training))  # noqa: B023  called at once
        loop = seconds(
            lambda: plain(samples.features[:CUT], samples.labels[:CUT], learner.training)
        )
        pairs.append((ours, loop))
    ratio = statistics.median(ours / loop for ours, loop in pairs)
    detail = ", ".join(f"{ours:.1f} s against {loop:.1f} s" for ours, loop in pairs)
    return [
        Row("8 seeds of an MLP, over a plain loop's time", ratio, "x", 1.5, False, detail),
        Row(
            "their skill, over what least squares attains",
            skills[0],
            "x",
            0.95,
            True,
            f"a plain loop {skills[1]:.3f}",
        ),
    ]
