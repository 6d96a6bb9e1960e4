"""What looks right and may not be is said: percent, a smile, a kink, a time of day."""

import datetime

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq

CALL = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
FLAT = {"spot": 100.0, "rate": 0.02, "volatility": 0.2}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"volatility": 20.0}, "volatility = 20, which is 2,000% a year: percent"),
        ({"rate": -3.0}, "rate = -3, which is -300% a year: percent"),
        (
            {"rate": 3.0, "volatility": 6.0},
            "volatility = 6, which is 600% a year: percent, where a fraction is meant?; rate = 3",
        ),
        ({"volatility": 4.9, "rate": -1.9}, ""),
    ],
)
def test_percent_for_a_fraction(change, text):
    both = {name: [FLAT[name], {**FLAT, **change}[name]] for name in FLAT}
    found = gq.price(gq.payoffs.European(**CALL), gq.models.BlackScholes(**both)).frame
    assert found.status.tolist() == ["ok", "warning" if text else "ok"]
    assert found.message[0] == "" and found.message[1].startswith(text)


def market(folder, flat):
    nodes = [(k, t, 0.2 if flat else v) for k, v in ((80, 0.3), (100, 0.2)) for t in (0.25, 0.5)]
    pd.DataFrame(nodes, columns=["strike", "maturity", "volatility"]).to_csv(
        folder / "s.csv", index=False
    )
    (folder / "m.toml").write_text(
        'rate=0.02\n[A]\nspot=100.0\nvolatility="s.csv"\n[B]\nspot=90.0\nvolatility=0.3\n'
    )
    return folder / "m.toml"


@pytest.mark.parametrize("flat", [True, False])
def test_a_smile_of_which_more_is_needed_than_one_volatility(tmp_path, flat):
    row = {"underlying": "A", "option_type": "call", "strike": 95.0, "maturity": 0.3}
    book = pd.DataFrame(
        [
            {**row, "product": "european"},
            {**row, "product": "digital", "cash": 1.0},
            {**row, "product": "asian", "average": "geometric"},
            {**row, "product": "digital", "cash": 1.0, "volatility": 0.25},  # its own
            {**row, "product": "digital", "cash": 1.0, "underlying": "B"},
        ]
    )
    found = gq.price(book, market=market(tmp_path, flat)).frame
    warned = [False, not flat, not flat, False, False]
    assert (found.status == "warning").tolist() == warned, found
    assert found.message.str.contains("the smile's slope").tolist() == warned


def test_a_time_of_day_counts_where_both_have_one():
    rows = [{"product": "european", "underlying": "A", "option_type": "call", "strike": 100.0}] * 2
    given = {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}}
    prices = {}
    for asof in (datetime.date(2025, 1, 2), datetime.datetime(2025, 1, 2, 10)):
        for expiry in ("2025-01-03", "2025-01-03T16:00:00"):
            book = pd.DataFrame(rows).assign(expiry=[expiry, pd.Timestamp(expiry)])
            each = gq.price(book, market=gq.Market(given, asof)).price
            assert each[0] == each[1]
            prices[isinstance(asof, datetime.datetime), len(expiry) > 10] = each[0]
    day, longer = (
        gq.price(
            gq.payoffs.European(option_type="call", strike=100.0, maturity=hours / 24 / 365),
            gq.models.BlackScholes(**FLAT),
        ).price
        for hours in (24, 30)
    )
    assert prices[True, True] == pytest.approx(longer, rel=1e-12)
    east = datetime.timezone(datetime.timedelta(hours=-5))
    aware = gq.Market(given, datetime.datetime(2025, 1, 2, 10, tzinfo=east))
    assert gq.price(book, market=aware).price.tolist() == [prices[True, True]] * 2
    for pair in ((False, False), (False, True), (True, False)):
        assert prices[pair] == pytest.approx(day, rel=1e-12)


def test_a_greek_at_a_kink_is_none():
    """With nothing left of its life, an option has a gamma of zero, but for its strike."""
    spots = np.array([90.0, 99.99, 100.0, 110.0])
    model = gq.models.BlackScholes(spot=spots, rate=0.02, volatility=0.2)
    due = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.0)
    found = gq.price(due, model, greeks=True)
    assert np.isnan(found.gamma).tolist() == [False, False, True, False]
    assert found.gamma[[0, 1, 3]].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
    assert found.delta[[0, 3]].tolist() == pytest.approx([0.0, 1.0])
    assert all("gamma" in text and "kink" in text for text in found.frame.message[[2]])


def test_a_smooth_price_has_all_of_its_greeks():
    """Days before its end, too, far from its strike, and where gamma crosses zero."""
    draw = np.random.default_rng(3)
    n = 2_000
    maturity = draw.choice([1 / 365, 7 / 365, 0.1, 1.0, 5.0], n)
    volatility = draw.uniform(0.05, 0.6, n)
    spots = np.where(
        draw.random(n) < 0.5,
        draw.uniform(60.0, 150.0, n),
        100.0 * np.exp(-0.5 * volatility**2 * maturity),
    )
    model = gq.models.BlackScholes(spot=spots, rate=0.0, volatility=volatility)
    how = {"option_type": "put", "strike": 100.0, "maturity": maturity}
    for option in (gq.payoffs.European(**how), gq.payoffs.Digital(cash=1.0, **how)):
        found = gq.price(option, model, greeks=True).frame
        assert (found.status == "ok").all(), found[found.status != "ok"]
