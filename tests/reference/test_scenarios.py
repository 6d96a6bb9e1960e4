"""Back-tests of other engines, trade by trade: the same orders, every number to 1e-9."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.reference import scenarios

FOLDER = Path(__file__).with_name("backtest")
SCENARIOS = sorted(
    path.stem for path in FOLDER.glob("*.json") if path.stem != "V16"
)  # whose 2000 columns are the back-test's own test
SOONER = (
    "X05",
    "X09",
    "X12",
    "X15",
)  # of those made by `make_scenarios.py`: each has a kernel of its own to compile
FILES = {
    "orders": (["bar", "asset", "side"], ["size", "price", "fees"]),
    "trades": (["entry_bar", "exit_bar"], ["size", "entry_price", "exit_price", "pnl"]),
    "equity": ([], ["equity"]),
}


def disagreements(name, folder):
    """What differs from the scenario's files, in words."""
    found = []
    for kind, (keys, numbers) in FILES.items():
        path = FOLDER / f"{name}_{kind}.csv"
        if not path.exists():
            continue
        theirs, ours = pd.read_csv(path), pd.read_csv(folder / f"{kind}.csv")
        if kind == "orders":
            theirs, ours = (
                one.sort_values([*keys, "size"], kind="stable").reset_index(drop=True)
                for one in (theirs, ours)
            )
        if len(theirs) != len(ours):
            found.append(f"{len(ours)} {kind}, not {len(theirs)}")
            continue
        for key in keys:
            off = theirs[key].astype(str) != ours[key].astype(str)
            if off.any():
                found.append(f"{kind} {key}:\n{theirs[off].head(3)}\n{ours[off].head(3)}")
        for number in numbers:
            off = ~np.isclose(ours[number], theirs[number], rtol=1e-9, atol=0.0, equal_nan=True)
            if off.any():
                found.append(f"{kind} {number}:\n{theirs[off].head(3)}\n{ours[off].head(3)}")
    return found


@pytest.mark.parametrize(
    "name",
    [
        s if s[0] != "X" or s in SOONER else pytest.param(s, marks=pytest.mark.slow)
        for s in SCENARIOS
    ],
)
def test_a_scenario_trade_by_trade(name, tmp_path):
    try:
        scenarios.run(FOLDER, name, tmp_path)
    except scenarios.Absent as absent:
        pytest.skip(str(absent))
    assert disagreements(name, tmp_path) == []


def test_another_fee_is_seen(tmp_path):
    """The mutant: a fee of a tenth of a basis point more does not pass."""
    folder = tmp_path / "told"
    folder.mkdir()
    for path in FOLDER.glob("V09*"):
        (folder / path.name).write_text(path.read_text())
    told = json.loads((folder / "V09.json").read_text())
    told["params"]["fees"] += 1e-5
    (folder / "V09.json").write_text(json.dumps(told))
    try:
        scenarios.run(folder, "V09", tmp_path / "out")
    except scenarios.Absent as absent:
        pytest.skip(str(absent))
    assert disagreements("V09", tmp_path / "out")
