"""Processes and threads: a fork at any moment, other ways to start a process, and ctrl-C in
every long job.
"""

import concurrent.futures
import importlib.util
import multiprocessing
import signal
import subprocess
import sys
import time

import pytest

import gpuquant as gq

CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
FLAT = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)


def simulated(paths=2000):
    return gq.price(
        CALL, FLAT, paths=paths, engine="monte_carlo", device="cpu:2", progress=False
    ).price


FORKING = """
import os, signal, sys, threading, time
import gpuquant as gq
from gpuquant.compiler import build
from gpuquant.validation.overfitting import TrialLog
from tests.device.test_processes import CALL, FLAT, simulated
asian = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=252)
right = simulated()
def compiling():
    while True:
        build._machine_code.cache_clear()
        gq.price(asian, FLAT, paths=64, device="cpu:2", progress=False)
def computing():
    while True:
        gq.price(asian, FLAT, paths=500_000, device="cpu:2", progress=False)
def drawing():
    while True:
        gq.price(asian, FLAT, paths=64, device="cpu:2", progress=True)
threading.Thread(target={work}, daemon=True).start()
time.sleep(0.5)
for k in range(5):
    time.sleep(0.13 * k)
    child = os.fork()
    if not child:
        build._machine_code.cache_clear()
        terms = {"paths": 2000, "engine": "monte_carlo", "device": "cpu:2"}
        again = gq.price(CALL, FLAT, progress=True, **terms).price
        os._exit(0 if simulated() == right == again else 3)
    end = time.time() + 30
    while time.time() < end and not (done := os.waitpid(child, os.WNOHANG))[0]:
        time.sleep(0.01)
    if not done[0]:
        os.kill(child, signal.SIGKILL)
        sys.exit("it hangs")
    assert done[1] == 0, done
print("five children", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("work", ["compiling", "computing", "drawing"])
def test_a_fork_while_another_thread_is_at_work(work, tmp_path):
    import os

    text = FORKING.replace("{work}", work)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        capture_output=True,
        text=True,
        env={**os.environ, "GPUQUANT_CACHE": str(tmp_path)},
        check=False,
    )
    assert done.stdout == "five children\n", done.stdout + done.stderr


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_a_process_of_its_own_gives_the_same(way):
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=multiprocessing.get_context(way)
    ) as pool:
        assert set(pool.map(simulated, [2000, 2000])) == {simulated()}


@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="joblib is not installed")
def test_joblib_gives_the_same():
    import joblib

    for backend in ("loky", "threading"):
        assert set(
            joblib.Parallel(n_jobs=2, backend=backend)(
                joblib.delayed(simulated)(2000) for _ in range(4)
            )
        ) == {simulated()}


def test_threads_share_the_pool():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(simulated, [300_000] * 16)) == {simulated(300_000)}


HESTON = (
    "gq.models.Heston(spot=100.0, rate=0.02, v0=0.04, kappa=1.5, long_variance=0.04, "
    "vol_of_vol=0.5, correlation=-0.7)"
)
JOBS = {  # what is run first, so that it is compiled, and the long job
    "many paths": "gq.price(asian, flat, paths={256|200_000_000})",
    "many steps": f"gq.price(asian, {HESTON}, paths=100_000, steps={{252|252_000}})",
    "many steps and Greeks": (
        f"gq.price(asian, {HESTON}, paths={{256|100_000}}, steps={{252|252_000}}, greeks=True)"
    ),
    "a target": "gq.price(asian, flat, paths=256, target_error={1.0|1e-5})",
    "a grid": (
        "gq.backtest(prices, gq.rules.MovingAverageCross(fast=range(1, {3|250}), "
        "slow=range(300, {303|500})))"
    ),
    "paths of prices": (
        "gq.backtest(gq.SimulatedPrices(model=flat, paths={10|2_000_000}, bars=2520), "
        "gq.rules.MovingAverageCross(fast=5, slow=20))"
    ),
    "scenarios": (
        "gq.Portfolio({'a': gq.Contracts.from_frame(book)}).risk(market, "
        "gq.Scenarios.grid(spot=list(np.linspace(-0.1, 0.1, {2|100_000}))), paths=256)"
    ),
}
LONG = """
import signal, sys
import numpy as np, pandas as pd
import gpuquant as gq
# what runs in the background is told to ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
asian = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=252)
flat = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
days = pd.bdate_range("1990-01-01", periods=8000)
prices = pd.DataFrame(50.0 + np.random.default_rng(0).random((8000, 20)), days)
book = pd.DataFrame([{"product": "asian", "option_type": "call", "underlying": "A"}])
book = book.assign(strike=100.0, maturity=1.0, fixings=12)
market = {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}}
SHORT
print("ready", flush=True)
try:
    LONG
    print("it ended", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("job", JOBS)
def test_interrupt_stops_within_a_second(job):
    import re

    short, long = (re.sub(r"\{([^{}|]+)\|([^{}|]+)\}", rf"\{k}", JOBS[job]) for k in (1, 2))
    with subprocess.Popen(
        [sys.executable, "-c", LONG.replace("SHORT", short).replace("LONG", long)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        sent = time.perf_counter()
        assert process.stdout.readline() == "stopped\n"
        took = time.perf_counter() - sent
        process.kill()
    assert took < 1.0, took
