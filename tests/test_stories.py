"""The three stories of docs/stories.md, run as they stand, in one folder and one after the
other; the research on the last eleven years of its prices, and in the slow tests on all.
"""

import re

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from tests.conftest import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "stories.md").read_text(), re.S)
SHELL = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "stories.md").read_text(), re.S)
TOML = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "stories.md").read_text(), re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, us20):
    """The files that the stories read: the market of the page and a small book on it."""
    place = tmp_path_factory.mktemp("stories")
    spots = {name: float(us20.close[-1, j]) for j, name in enumerate(us20.assets)}
    others = "\n".join(
        f"[{n}]\nspot = {s}\nvolatility = 0.3\ndividend_yield = 0.01"
        for n, s in spots.items()
        if n != "AAPL"
    )
    heston = "kappa = 1.5\nlong_variance = 0.09\nvol_of_vol = 0.5\ncorrelation = -0.6\n"
    (place / "market.toml").write_text(TOML[0] + heston + others)
    nodes = pd.MultiIndex.from_product(
        [[0.25, 1.0, 2.0], [80.0, 120.0, 180.0]], names=["maturity", "strike"]
    ).to_frame(index=False)
    nodes["volatility"] = 0.35 - 0.0005 * (nodes["strike"] - 120.0)
    nodes.to_parquet(place / "AAPL_surface.parquet")
    n = 12
    pd.DataFrame(
        {
            "id": np.arange(n),
            "product": np.resize(["european", "asian", "barrier"], n),
            "model": np.resize(["black_scholes"] * 5 + ["heston"], n),
            "underlying": "AAPL",
            "option_type": np.resize(["call", "put"], n),
            "strike": np.linspace(110, 140, n),
            "maturity": 0.5,
            "fixings": 6,
            "barrier_type": "up-and-out",
            "barrier": 170.0,
            "quantity": 1.0,
        }
    ).to_parquet(place / "contracts.parquet")
    return place


@pytest.fixture(
    scope="module",
    params=["2012", pytest.param("1990", marks=pytest.mark.slow)],
    ids="from {}".format,
)
def history(request, us20):
    """The prices that the research loads: eight years to train on, and at least three to test."""
    return us20.between(request.param)


@pytest.fixture(scope="module")
def names(history):
    """What one story leaves for the next: `fund` and `prices`."""
    return {}


def tell(block, names, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exec(compile(block, "<story>", "exec"), names)


def test_story_a_research(folder, names, history, monkeypatch):
    monkeypatch.setitem(gq.data.samples.SETS, "us20", lambda: history)
    tell(BLOCKS[0], names, folder, monkeypatch)
    assert (folder / "tearsheet.html").stat().st_size < 500_000
    assert len(names["grid"]) == 20 * 20 * 50
    assert set(names["fund"].signals(names["prices"]).frame) >= {
        "asset",
        "forecast",
        "weight",
        "shares",
    }
    assert (
        gq.Portfolio.load(folder / "fund").backtest(names["prices"], costs=names["fees"]).summary()
        == names["result"].summary()
    )
    first = names["result"].panel.dates[0]
    assert first >= history.dates[0] + np.timedelta64(8 * 365, "D")  # out of sample alone


def test_story_b_pricing(folder, monkeypatch):
    names = {}
    tell(BLOCKS[1], names, folder, monkeypatch)
    assert isinstance(gq.price(names["call"], names["flat"]).value, float)
    frame = names["priced"].frame
    assert set(frame["status"]) <= {"ok", "warning"}, frame[["status", "message"]]
    assert (frame["std_error"] < 0.0115).all()
    assert {"device", "precision", "seed", "paths", "seconds", "joules", "version"} <= set(
        names["priced"].meta
    )
    assert (folder / "priced.parquet").exists()


def test_story_b_from_the_shell(folder, monkeypatch, capsys):
    from gpuquant.cli import main

    monkeypatch.chdir(folder)
    for line in SHELL[0].strip().splitlines():
        words = line.split()
        assert words[0] == "gpuquant"
        assert main(words[1:]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "12 contracts" in out and "monte_carlo" in out and "cuda" in out


def test_story_c_risk(folder, names, history, monkeypatch):
    if "fund" not in names:  # the first story was told to another process
        monkeypatch.setitem(gq.data.samples.SETS, "us20", lambda: history)
        tell(BLOCKS[0], names, folder, monkeypatch)
    tell(BLOCKS[2], names, folder, monkeypatch)
    risk = names["risk"]
    assert risk.contributions().sum() == pytest.approx(risk.expected_shortfall())
    assert risk.pnl.notna().all().all()
    assert (folder / "risk.html").exists()
