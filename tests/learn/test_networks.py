"""The networks: each is what it says, and each finds what is planted."""

import numpy as np
import pytest
import torch

from gpuquant import learn
from gpuquant.errors import InputError
from gpuquant.family import names
from gpuquant.learn import members
from gpuquant.learn.windows import Samples, Standardizer, Windows
from tests.learn.test_planted import attained, linear, product

NETWORKS = sorted(names("gpuquant.learn.networks"))


def small(name, **how):
    sizes = {
        "MLP": {"hidden": 8},
        "GRU": {"hidden": 8},
        "LSTM": {"hidden": 8},
        "TCN": {"channels": 8},
    }
    return getattr(learn.networks, name)(**sizes.get(name, {"width": 8, "heads": 2}), **how)


def windows_of(bars=80, assets=4, window=6, labels=True):
    draw = np.random.default_rng(0)
    features = draw.normal(size=(bars, assets, 3))
    features[:20, 3] = np.nan
    resident = Samples(features, draw.normal(size=(bars, assets)) if labels else None).on("cpu")
    return Windows(resident, Standardizer.of(resident, np.arange(bars)), window)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name, outputs):
    network = small(name, outputs=outputs).build(6, 3)
    x = torch.randn(5, 4, 6, 3)
    out = members.lifted(network, network)(x, torch.ones(5, 4, dtype=torch.bool))
    assert out.shape == ((5, 4) if outputs == 1 else (5, 4, 3))
    assert bool(torch.isfinite(out).all())
    assert len(set(out.flatten().tolist())) > out.numel() // 2


@pytest.mark.parametrize("name", NETWORKS)
def test_every_bar_and_feature_counts(name):
    """The output moves with each number of the window."""
    torch.manual_seed(0)
    network = small(name).build(9, 3)
    x = torch.randn(2, 5, 9, 3, requires_grad=True)
    out = members.lifted(network, network)(x, torch.ones(2, 5, dtype=torch.bool))
    (slope,) = torch.autograd.grad(out[0, 0], x)
    assert bool((slope[0, 0].abs() > 0).all()), slope[0, 0]
    assert bool((slope[1] == 0).all())
    assert bool((slope[0, 1:] != 0).any()) == getattr(network, "cross_sectional", False)


def test_assets_side_by_side():
    """The order of assets has no effect, and an unknown asset has none on the others."""
    torch.manual_seed(0)
    network = small("CrossSection").build(6, 3)
    x, known = torch.randn(2, 5, 6, 3), torch.ones(2, 5, dtype=torch.bool)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(network(x[:, order], known), network(x, known)[:, order])
    known[:, 2] = False
    other = x.clone()
    other[:, 2] = 50.0
    rest = [0, 1, 3, 4]
    torch.testing.assert_close(network(other, known)[:, rest], network(x, known)[:, rest])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: learn.networks.GRU(hidden=0), "GRU hidden = 0"),
        (lambda: learn.networks.LSTM(layers=0), "LSTM layers = 0"),
        (lambda: learn.networks.TCN(kernel=1), "TCN kernel = 1"),
        (lambda: learn.networks.Transformer(width=10, heads=4), "must be a multiple of heads, 4"),
        (lambda: learn.networks.CrossSection(width=10), "must be a multiple of heads, 4"),
        (lambda: learn.networks.MLP(outputs=0), "MLP outputs = 0"),
    ],
)
def test_bad_sizes_are_named(make, words):
    with pytest.raises(InputError, match=words):
        make()


# for signals as weak as those of A, a recurrent network learns slowly and forgets quickly
SLOWLY = {"learning_rate": 3e-3, "weight_decay": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_finds_a_linear_signal(name):
    samples, signal, attainable = linear(0)
    config = learn.TrainingConfig(**(SLOWLY if name in ("GRU", "LSTM") else {}))
    learner = learn.Learner(getattr(learn.networks, name)(), training=config)
    found = attained(learner, samples, signal, 1500, 0.05)
    assert 0.95 * attainable < found <= 0.05, (found / attainable,)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_finds_a_product_over_time(name):
    samples, signal = product(0)
    learner = learn.Learner(getattr(learn.networks, name)(), ensemble=2, window=10)
    found = attained(learner, samples, signal, 1700, 0.2)
    assert 0.9 * 0.2 < found <= 0.2, found / 0.2


@pytest.mark.parametrize("name", NETWORKS)
def test_no_network_names_a_kind_of_device(name):
    """A pass forwards and back on the meta device, where a tensor of the CPU would be refused."""
    with torch.device("meta"):
        network = small(name).build(6, 3)
        x, known = torch.empty(5, 4, 6, 3), torch.ones(5, 4, dtype=torch.bool)
    out = members.lifted(network, network)(x, known)
    assert out.device.type == "meta" and tuple(out.shape) == (5, 4)
    out.sum().backward()
    assert all(p.grad.device.type == "meta" for p in network.parameters())


@pytest.mark.parametrize("loss", sorted(names("gpuquant.learn.losses")))
def test_no_loss_names_a_kind_of_device(loss):
    cls = getattr(learn.losses, loss)
    if cls.abstract:
        return
    made = cls()
    outputs = {"Quantile": 3, "CrossEntropy": 3}.get(loss)
    shape = (4, 6, 5) if outputs is None else (4, 6, 5, outputs)
    with torch.device("meta"):
        values = torch.empty(shape, requires_grad=True)
        labels, mask = torch.empty(4, 6, 5), torch.ones(4, 6, 5, dtype=torch.bool)
    found = made(values, labels, mask)
    assert found.device.type == "meta" and found.shape == ()
    found.backward()
    assert values.grad.device.type == "meta"
