"""The weak order of each scheme, measured by coupling: a fine and a coarse grid simulated together
on the same normals.
"""

import importlib.util
import sys
import textwrap

import numpy as np
import pytest

import gpuquant as gq
from gpuquant import family
from gpuquant.data.columns import takes
from gpuquant.models.base import Model
from gpuquant.pricing.kernels.build import Pair, sample, sizes

SCHEMES = {
    name: model
    for name, model in sorted(family.members(Model, "gpuquant.models").items())
    if model.__module__.startswith("gpuquant.")
    and model.simulated()
    and np.isfinite(model.weak_order)
}
COUPLED = '''
    import math
    from dataclasses import dataclass

    from gpuquant.data.domains import Column, real
    from {module} import {name}
    from gpuquant.payoffs.base import Payoff

    BEGIN, STEP = {name}.begin, {name}.step


    def seen(x):
        return {seen}


    @dataclass(frozen=True)
    class Coupled({name}):
        """Two prices: on the run's grid, and on one with steps twice as long."""

        assets = 2
        weak_order = float("inf")  # no bias is removed: it is what is measured

        @staticmethod
        def begin(m, i, dt, t):
            c, x = BEGIN({begin}, dt{t})
            d, y = BEGIN({begin}, 2.0 * dt{t})
            kept = {zeros}
            return c + d, x + y + kept

        @staticmethod
        def step(c, x, z, u, k):
            fine = STEP(c[0:{nc}], x[0:{nx}], z, u, k)
            both = ({both},)
            coarse = STEP(c[{nc}:{2nc}], x[{nx}:{2nx}], both, u, k)
            odd = x[{2nx}] > 0.5
            return ({fine}, {coarse}, 0.0 if odd else 1.0, {z})

        @staticmethod
        def log_spots(x):
            fine = seen(x[0:{nx}])
            coarse = seen(x[{nx}:{2nx}])
            return (fine, coarse)

        {deflator}


    @dataclass(frozen=True)
    class Difference(Payoff):
        """A smooth amount, of low prices above all, on the fine grid less that on the coarse."""

        level: Column = real(sample=100.0)

        assets = 2

        @staticmethod
        def finish(p, i, acc, log_spots):
            fine = math.exp(-math.exp(log_spots[0]) / p.level[i])
            coarse = math.exp(-math.exp(log_spots[1]) / p.level[i])
            return 100.0 * (fine - coarse)
'''
# the log price, by the state's first; of a short rate, what money has not grown to
SEEN = {
    "LocalVolatility": "x[0] + x[1]",
    "SABR": "math.log(max(x[0], 1e-30)) + x[2]",
    "CIR": "-x[1]",
}
REVERTING = {"v0": 0.4, "kappa": 5.0, "long_variance": 0.05, "vol_of_vol": 0.5, "correlation": -0.2}
ROWS = {
    "Heston": REVERTING,
    "Bates": {
        **REVERTING,
        "jump_mean": 0.0,
        "jump_volatility": 0.01,
    },  # small jumps: those of the two grids are independent
    "SABR": {"alpha": 30.0, "beta": 0.0, "vol_of_vol": 0.5, "correlation": 0.0},
    "LocalVolatility": {
        "surface_times": [[10.0]],
        "surface_levels": [[-1.5, 1.5]],
        "surface_volatilities": [[0.9, 0.1]],
    },
    "CIR": {
        "short_rate": 0.5,
        "kappa": 3.0,
        "long_rate": 0.1,
        "rate_volatility": 0.3,
        "bond_maturities": [[2.0]],
    },
}
STEPS = {"SABR": (16, 32, 64), "LocalVolatility": (16, 32, 64)}


def coupled(name, folder):
    """The coupled model and the payoff that tells its two prices apart, from a file made for it."""
    model = SCHEMES[name]
    shape = sizes(Pair(model, gq.payoffs.European, (), "double", lengths=(("bond_maturities", 1),)))
    nc, nx, nz = shape["NC"], shape["NX"], model.normals
    numbers = {
        "module": model.__module__,
        "name": name,
        "nc": nc,
        "2nc": 2 * nc,
        "nx": nx,
        "2nx": 2 * nx,
        "begin": "m, i",
        "t": ", t" * (takes(model.begin) > 3),
        "zeros": f"({'0.0, ' * (nz + 1)})",
        "both": ", ".join(
            f"0.7071067811865476 * (x[{2 * nx + 1 + q}] + z[{q}])" for q in range(nz)
        ),
        "fine": ", ".join(f"fine[{q}]" for q in range(nx)),
        "coarse": ", ".join(f"coarse[{q}] if odd else x[{nx + q}]" for q in range(nx)),
        "z": ", ".join(f"z[{q}]" for q in range(nz)),
        "seen": SEEN.get(name, "x[0]"),
        "deflator": "@staticmethod\n    def deflator(x):\n        return 1.0"
        if hasattr(model, "deflator")
        else "",
    }
    text = textwrap.dedent(COUPLED)
    for key, value in numbers.items():
        text = text.replace(f"{{{key}}}", str(value))
    path = folder / f"coupled_{name.lower()}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
def test_the_bias_falls_with_the_stated_order(name, tmp_path):
    module = coupled(name, tmp_path)
    model = module.Coupled(
        **{
            **sample(SCHEMES[name]).columns(),
            **{k: np.atleast_1d(v) for k, v in ROWS[name].items()},
        }
    )
    steps = np.array(STEPS.get(name, (8, 16, 32)))
    difference = module.Difference(level=1.0 if name == "CIR" else 100.0, maturity=1.0)
    found = [
        gq.price(difference, model, paths=1 << 24, steps=int(n), precision="double") for n in steps
    ]
    bias, error = (
        np.array([np.ravel(getattr(one, what))[0] for one in found])
        for what in ("price", "std_error")
    )
    assert (np.abs(bias) > 8.0 * error).all(), (bias, error)
    slope = np.polyfit(np.log(steps), np.log(np.abs(bias)), 1)[0]
    assert abs(-slope - SCHEMES[name].weak_order) < 0.1, (slope, bias, error)
