"""Faults of files, books and tails: loading, logs, odd rows, heavy tails."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant.errors import GpuquantError
from gpuquant.learn import checkpoint


def test_a_saved_fund_that_names_a_function_which_runs_text(tmp_path):
    import timeit

    assert timeit.timeit("len('it runs text')", number=1) > 0.0  # what the file names is there
    fund, mark = tmp_path / "fund" / "alpha", tmp_path / "it ran"
    fund.mkdir(parents=True)
    (tmp_path / "fund" / "portfolio.json").write_text(
        json.dumps({"positions": {"alpha": {"kind": "strategy"}}, "ledger": None})
    )
    text = f"import pathlib; pathlib.Path({str(mark)!r}).write_text('yes')"
    (fund / "strategy.json").write_text(
        json.dumps(
            {
                "strategy": {"class": "timeit.timeit", "fields": {"stmt": text, "number": 1}},
                "seconds": {},
            }
        )
    )
    pd.DataFrame({"A": [0.1]}, index=pd.DatetimeIndex(["2020-01-01"])).to_parquet(
        fund / "forecast.parquet"
    )
    np.save(fund / "information.npy", np.zeros(1))
    checkpoint.save(
        [{"scale.mean": torch.zeros(1), "scale.deviation": torch.ones(1)}],
        fund / "weights.safetensors",
    )
    with pytest.raises(GpuquantError):
        gq.Portfolio.load(tmp_path / "fund")
    assert not mark.exists()


WORKER = """
import sys, numpy as np
from gpuquant.validation.overfitting import TrialLog
print("ready", flush=True)
sys.stdin.readline()
for i in range(200):
    returns = np.random.default_rng(i).normal(0, 0.01, 100)
    TrialLog(sys.argv[2]).record({"who": sys.argv[1], "i": i}, returns)
"""


def test_a_trial_log_that_two_processes_write(tmp_path):
    """Both begin together, once both are ready."""
    from gpuquant.validation.overfitting import TrialLog

    path = tmp_path / "trials.parquet"
    command = [sys.executable, "-c", WORKER]
    pipes = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "text": True,
    }
    running = [subprocess.Popen([*command, str(k), str(path)], **pipes) for k in (0, 1)]
    for one in running:
        assert one.stdout.readline() == "ready\n"
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in running:
        one.communicate()
    assert [one.returncode for one in running] == [0, 0]
    assert TrialLog(path).trials()[0] == 400


GOOD = {
    "id": 1,
    "product": "european",
    "model": "black_scholes",
    "option_type": "call",
    "strike": 100.0,
    "maturity": 1.0,
    "spot": 100.0,
    "rate": 0.02,
    "volatility": 0.2,
}
BOND = {
    "product": "barrier",
    "model": "vasicek",
    "barrier_type": "down-and-out",
    "option_type": "call",
    "strike": 0.9,
    "barrier": 0.8,
    "maturity": 1.0,
    "short_rate": 0.03,
    "kappa": 0.3,
    "long_rate": 0.04,
    "rate_volatility": 0.01,
    "bond_maturities": [2.0],
    "monitoring": "continuous",
}
HESTON = {
    "product": "asian",
    "model": "heston",
    "option_type": "call",
    "strike": 100.0,
    "spot": 100.0,
    "rate": 0.02,
    "v0": 0.04,
    "kappa": 1.0,
    "long_variance": 0.04,
    "vol_of_vol": 0.5,
    "correlation": -0.5,
    "fixings": 4,
}
PLAIN = {
    k: GOOD[k]
    for k in ("product", "option_type", "strike", "maturity", "spot", "rate", "volatility")
}
ROWS = {
    "a barrier on a bond": BOND,
    "three dividends at two times": {
        **PLAIN,
        "model": "dividend_black_scholes",
        "dividend_times": [0.2, 0.5],
        "dividends": [1.0, 1.0, 1.0],
    },
    "a maturity of 1e18 years": {**HESTON, "maturity": 1e18},
    "a word among numbers": {**PLAIN, "strike": "1OO"},
    "a whole number beyond 64 bits": {**PLAIN, "strike": 10**25},
    "2^31 observations": {
        **PLAIN,
        "product": "barrier",
        "barrier_type": "down-and-out",
        "barrier": 80.0,
        "monitoring": "discrete",
        "observations": 2**31,
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_a_good_row_beside_a_bad_one(name):
    found = gq.price(
        pd.DataFrame([GOOD, {"id": 2, **ROWS[name]}]), paths=256, device="cpu:1", progress=False
    ).frame
    assert found.price[0] == pytest.approx(8.916037278572537, rel=1e-12)
    assert found.status[0] == "ok"
    if name != "a whole number beyond 64 bits":  # it is a strike like another, far out of the money
        assert found.status[1] == "failed"
        assert found.message[1]


CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)


@pytest.mark.parametrize("volatility", [3.0, 5.0])
def test_simulated_calls_of_a_large_volatility(volatility):
    model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=np.full(200, volatility))
    found = gq.price(CALL, model, engine="monte_carlo", paths=20000, device="cpu:1", seed=3).frame
    exact = gq.price(
        CALL, gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=volatility)
    ).price
    assert (found.status == "warning").all() or float(
        np.mean((found.price - exact) / found.std_error < -3)
    ) < 0.01


def test_a_sabr_that_is_no_martingale():
    sabr = gq.price(
        CALL,
        gq.models.SABR(spot=100.0, rate=0.0, alpha=0.5, beta=1.0, vol_of_vol=0.5, correlation=0.5),
        paths=100_000,
    )
    assert sabr.frame.status[0] == "warning"


def test_implied_volatility_where_the_price_carries_none():
    price = gq.price(
        gq.payoffs.European(option_type="call", strike=60.0, maturity=0.5),
        gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.061),
    ).price
    assert np.isnan(
        gq.implied_volatility(
            price=price, option_type="call", spot=100.0, strike=60.0, maturity=0.5, rate=0.02
        )
    )


def test_a_market_written_and_read(tmp_path):
    market = gq.Market({"rate": np.float64(0.01), 'A"B': {"spot": 100.0, "volatility": 0.2}})
    market.write(tmp_path / "m.toml")
    assert gq.Market.read(tmp_path / "m.toml").underlyings == ['A"B']
