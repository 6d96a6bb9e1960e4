"""Where the system lacks what Linux has: users, locks, forks, descriptors of folders."""

import subprocess
import sys
import textwrap

from tests.conftest import ROOT

WITHOUT = """
    import os, sys
    import llvmlite.binding, numpy, pandas, pyarrow.parquet, scipy.special, torch  # as they are

    for name in ("getuid", "geteuid", "sched_getaffinity", "register_at_fork", "sysconf", "fchmod",
                 "pread", "pwrite", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "fork"):
        delattr(os, name)
    os.supports_dir_fd = set()
    for name in ("fcntl", "grp", "pwd", "resource", "termios"):
        sys.modules[name] = None
"""


def test_it_imports_prices_trades_and_writes_without(tmp_path):
    script = (
        WITHOUT
        + """
    import gpuquant as gq

    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    flat = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
    simulated = gq.price(call, flat, paths=2000, engine="monte_carlo", device="cpu")
    assert abs(simulated.value - gq.price(call, flat).value) < 5.0 * simulated.std_error
    prices = pandas.DataFrame(
        50.0 + numpy.arange(60.0), pandas.bdate_range("2024-01-01", periods=60), ["A"]
    )
    found = gq.backtest(prices, gq.rules.MovingAverageCross(fast=2, slow=5), device="cpu")
    with gq.validation.overfitting.TrialLog("trials") as log:
        gq.backtest(prices, gq.rules.MovingAverageCross(fast=2, slow=[5, 6]), device="cpu")
    assert log.trials()[0] == 2
    simulated.to_parquet("prices.parquet")
    fund = gq.Portfolio({"shares": {"A": 3.0}, "cash": 100.0})
    fund.save("fund")
    assert gq.Portfolio.load("fund").cash == 100.0
    from gpuquant.compiler import cache
    folder, why = cache.folder()
    assert folder is None and "no files from a folder" in why
    print("done")
    """
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("done\n"), done.stderr
