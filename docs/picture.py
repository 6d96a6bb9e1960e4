"""Draw docs/demo.png, the README's picture: the demo's fund beside its baseline. `make docs`
runs it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib

from gpuquant import data
from gpuquant.costs import Proportional
from gpuquant.demo import FULL, funds

matplotlib.use("Agg")


def main() -> None:
    """Train the demo's fund and draw its equity."""
    panel, fees = data.us20(), Proportional(rate=0.0005)
    with tempfile.TemporaryDirectory() as folder:
        fund, _ = funds(panel, fees, FULL, Path(folder), "auto")
        ax = fund.backtest(panel, costs=fees).plot()
    ax.set_title(
        "Out of sample, after costs: the demo's fund and all 20 stocks equally (survivors all)",
        fontsize=10,
    )
    ax.figure.savefig(Path(__file__).with_name("demo.png"), dpi=90)


if __name__ == "__main__":
    main()
