"""Fixtures: `device` is every kind present, so that one test runs wherever a device is."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gpuquant.device import available

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=available())
def device(request):
    """Each kind of device on this machine."""
    return request.param


@pytest.fixture
def python():
    """Run Python source in a new process; its standard output. Extra environment by name."""

    def run(source, *, check=True, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout if check else done

    return run


@pytest.fixture(scope="session")
def us20():
    """The 20 stocks; the test is skipped where the package that ships them is absent."""
    from gpuquant import data
    from gpuquant.errors import ExtraMissing

    try:
        return data.us20()
    except ExtraMissing as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def walk_panel():
    """Six made-up assets over 900 bars, prices of two decimals."""
    import numpy as np

    from gpuquant.data.panel import Panel

    draw = np.random.default_rng(3)
    close = np.round(50.0 * np.exp(np.cumsum(draw.normal(0.0002, 0.015, (900, 6)), axis=0)), 2)
    dates = np.datetime64("2015-01-01", "D") + np.arange(900)
    return Panel(close, dates.astype("datetime64[ns]"), tuple("ABCDEF"))
