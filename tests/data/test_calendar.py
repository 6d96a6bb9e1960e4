"""Calendars: frequencies read off dates, time zones kept, instructions dated off the bars,
sessions of an exchange.
"""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.data.calendar import duration
from gpuquant.device import resolve_device
from gpuquant.errors import DataError, InputError, NameUnknown
from gpuquant.features import Frame


def minutes(days, count=390, step=1, zone=None):
    stamps = [day + pd.Timedelta(minutes=570 + step * k) for day in days for k in range(count)]
    return pd.DatetimeIndex(stamps, tz=zone)


BUSINESS = pd.bdate_range("2024-01-02", periods=15)
FREQUENCIES = {
    "business days": (pd.bdate_range("2020-01-01", periods=60), "daily", 252.0),
    "two days in a row": (pd.bdate_range("2020-01-01", periods=2), "daily", 252.0),
    "every day": (pd.date_range("2020-01-01", periods=60), "daily, weekends among them", 365.0),
    "an exchange with holidays": (
        pd.bdate_range("2020-01-01", periods=60).delete([3, 4, 20, 33]),
        "daily",
        252.0,
    ),
    "weeks": (pd.date_range("2020-01-03", periods=40, freq="W-FRI"), "weekly", 52.0),
    "month ends": (pd.date_range("2020-01-31", periods=24, freq="ME"), "monthly", 12.0),
    "last business days of months": (
        pd.date_range("2020-01-31", periods=24, freq="BME"),
        "monthly",
        12.0,
    ),
    "quarters": (pd.date_range("2020-03-31", periods=12, freq="QE"), "quarterly", 4.0),
    "years": (pd.date_range("2000-12-31", periods=9, freq="YE"), "yearly", 1.0),
    "minutes of an exchange": (minutes(BUSINESS), "minutes, 390 a day", 390.0 * 252),
    "half hours of an exchange": (minutes(BUSINESS, 13, 30), "30 minutes, 13 a day", 13.0 * 252),
    "minutes in New York over a summer time": (
        minutes(pd.bdate_range("2024-03-04", periods=10), zone="America/New_York"),
        "minutes, 390 a day",
        390.0 * 252,
    ),
    "business days and one Saturday": (
        pd.bdate_range("2020-01-01", periods=60).append(pd.DatetimeIndex(["2020-03-28"])),
        "daily",
        252.0,
    ),
    "hours of a market that rests at weekends": (
        pd.DatetimeIndex(
            [
                t
                for t in pd.date_range("2024-01-07 17:00", periods=24 * 28, freq="h")
                if (t.day_of_week, t.hour) >= (6, 17)
                or t.day_of_week < 4
                or (t.day_of_week == 4 and t.hour <= 17)
            ]
        ),
        "60 minutes, 24 a day",
        24.0 * 252,
    ),
    "hours round the clock": (
        pd.date_range("2024-01-01", periods=24 * 14, freq="h"),
        "60 minutes, 24 a day",
        24.0 * 365,
    ),
}


def flat(index):
    return pd.DataFrame({"A": np.full(len(index), 100.0)}, index)


@pytest.mark.parametrize("name", FREQUENCIES)
def test_a_frequency_is_read_off_the_dates(name):
    index, label, periods = FREQUENCIES[name]
    panel = gq.Panel.of(flat(index))
    assert (panel.frequency.label, panel.frequency.periods) == (label, periods)
    assert gq.backtest(panel, weights=np.ones((len(index), 1))).meta["periods"] == periods


UNKNOWN = {
    "days far apart": pd.DatetimeIndex(["2020-01-01", "2020-02-17", "2020-07-01", "2021-01-05"]),
    "a single day of minutes": minutes(BUSINESS[:1]),
    "three days a week": pd.date_range("2024-01-01", periods=90)[
        [d.day_of_week in (0, 2, 4) for d in pd.date_range("2024-01-01", periods=90)]
    ],
    "ticks": pd.DatetimeIndex(
        np.datetime64("2024-01-02T09:30")
        + np.cumsum(np.random.default_rng(0).integers(1, 5000, 300)).astype("timedelta64[s]")
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_the_dates_do_not_say_is_asked_for(name):
    prices, ones = flat(UNKNOWN[name]), np.ones((len(UNKNOWN[name]), 1))
    with pytest.raises(
        InputError,
        match=(
            r"periods: how many bars a year has cannot be read off the dates .*say it, such "
            r"as periods=252"
        ),
    ):
        gq.backtest(prices, weights=ones)
    assert gq.backtest(prices, weights=ones, periods=252).meta["periods"] == 252.0


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo", "Europe/London"])
def test_a_time_zone_is_kept_from_input_to_output(zone, tmp_path):
    index = pd.bdate_range("2023-03-01", periods=60, tz=zone)
    prices = pd.DataFrame({"A": 100.0 + np.arange(60.0)}, index)
    found = gq.backtest(
        prices,
        weights=pd.DataFrame({"A": np.where(np.arange(60) % 7 == 0, 1.0, 0.0)}, index),
        costs=gq.costs.Proportional(rate=0.001),
    )
    for dates in (
        found.equity().index,
        found.returns().index,
        found.positions().index,
        gq.Panel.of(prices).to_frame().index,
    ):
        assert str(dates.tz) == zone and dates[-1] == index[-1]
    orders = found.orders()
    assert (orders["date"] == index[orders["bar"]]).all()
    assert set(found.drawdowns()["peak"]) <= set(index)
    prices.to_parquet(tmp_path / "p.parquet")
    assert str(gq.Store(tmp_path / "p.parquet").index.tz) == zone
    assert "2023" in found.report(tmp_path / "page.html").read_text()


def test_two_time_zones_are_named():
    index = pd.bdate_range("2023-03-01", periods=10)
    prices = flat(index.tz_localize("Asia/Tokyo"))
    other = flat(index.tz_localize("UTC"))
    for name, given in {
        "weights": {"weights": other * 0.0},
        "signals": {"signals": other * 0.0},
        "benchmark": {"weights": np.ones((10, 1)), "benchmark": other["A"]},
    }.items():
        with pytest.raises(
            DataError, match=f"{name}.* the time zone UTC, the prices have the time zone Asia/Tokyo"
        ):
            gq.backtest(prices, **given)
    orders = pd.DataFrame({"date": [index[0]], "size": [1.0]})
    with pytest.raises(
        DataError, match="orders date have no time zone, the prices have the time zone Asia/Tokyo"
    ):
        gq.backtest(prices, orders=orders)


WEEK = pd.bdate_range("2024-01-01", periods=10)


@pytest.mark.parametrize("entry", ["weights", "amounts", "signals"])
def test_instructions_between_bars_are_refused_or_moved(entry):
    prices = flat(WEEK)
    dated = pd.DataFrame(
        {"A": [1.0, 0.0]}, pd.DatetimeIndex(["2024-01-06", "2024-01-10"])
    )  # a Saturday
    with pytest.raises(
        DataError, match=r"1 of 2 dates are no dates of the prices: 2024-01-06; align='next'"
    ):
        gq.backtest(prices, **{entry: dated})
    orders = gq.backtest(prices, **{entry: dated}, align="next").orders()
    assert [str(d.date()) for d in orders["date"]] == ["2024-01-09", "2024-01-11"]


def test_orders_by_date_may_be_moved_too():
    orders = pd.DataFrame({"date": ["2024-01-06"], "size": [1.0]})
    with pytest.raises(DataError, match="2024-01-06"):
        gq.backtest(flat(WEEK), orders=orders)
    assert gq.backtest(flat(WEEK), orders=orders, align="next").orders()["bar"].tolist() == [6]


def test_of_rows_that_fall_on_one_bar_the_last_counts():
    dated = pd.DataFrame({"A": [1.0, 0.25]}, pd.DatetimeIndex(["2024-01-06", "2024-01-07"]))
    found = gq.backtest(flat(WEEK), weights=dated, align="next", cash=1000.0)
    assert found.orders()["size"].tolist() == [2.5]


def test_rows_that_fall_on_one_bar_are_read_asset_by_asset():
    """A missing number changes nothing, also where it comes later."""
    prices = pd.DataFrame({"A": 100.0, "B": 50.0}, WEEK)
    dated = pd.DataFrame(
        {"A": [5.0, np.nan], "B": [np.nan, 8.0]}, pd.DatetimeIndex(["2024-01-06", "2024-01-07"])
    )
    orders = gq.backtest(prices, amounts=dated, align="next").orders()
    assert orders[["asset", "size"]].values.tolist() == [["A", 5.0], ["B", 8.0]]
    early = dated.set_axis(pd.DatetimeIndex(["2019-01-31", "2024-01-06"]))
    with pytest.raises(
        DataError,
        match="1 of 2 dates are not from 2024-01-01 to 2024-01-12, as the bars are: 2019-01-31",
    ):
        gq.backtest(prices, amounts=early, align="next")


def test_tables_of_other_libraries_may_be_weights_and_orders():
    import polars

    weights = pd.DataFrame({"date": WEEK, "A": np.where(np.arange(10) < 5, 1.0, 0.0)})
    right = gq.backtest(flat(WEEK), weights=weights.set_index("date"))
    found = gq.backtest(flat(WEEK), weights=polars.from_pandas(weights))
    pd.testing.assert_frame_equal(found.orders(), right.orders())
    orders = pd.DataFrame({"bar": [0], "size": [1.0]})
    assert len(gq.backtest(flat(WEEK), orders=polars.from_pandas(orders)).orders()) == 1


def test_rows_outside_the_prices_are_never_dropped():
    for dates in (["2023-12-29", "2024-01-02"], ["2024-01-02", "2024-02-01"]):
        dated = pd.DataFrame({"A": [1.0, 0.0]}, pd.DatetimeIndex(dates))
        with pytest.raises(DataError, match="rows outside the prices must be cut off"):
            gq.backtest(flat(WEEK), weights=dated)
    with pytest.raises(
        DataError,
        match="1 of 2 dates are not from 2024-01-01 to 2024-01-12, as the bars are: 2024-02-01",
    ):
        gq.backtest(flat(WEEK), weights=dated, align="next")
    with pytest.raises(NameUnknown, match="unknown align 'nxt'; did you mean 'next'"):
        gq.backtest(flat(WEEK), weights=dated, align="nxt")


def test_a_features_frame_may_have_a_longer_history_but_no_other_dates():
    longer = pd.DataFrame({"A": 1.0, "B": 2.0}, pd.bdate_range("2023-12-01", periods=60))
    prices = pd.DataFrame({"A": 100.0, "B": 50.0}, WEEK)
    panel, cpu = gq.Panel.of(prices), resolve_device("cpu")
    assert Frame(longer).compute(panel, cpu)[:, :, 0].tolist() == [[1.0, 2.0]] * 10
    with pytest.raises(DataError, match="no dates of the prices: 2024-01-06"):
        Frame(longer.set_axis(longer.index + pd.Timedelta(days=1))).compute(panel, cpu)
    with pytest.raises(DataError, match="lacks the asset 'B'"):
        Frame(longer[["A"]]).compute(panel, cpu)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_sessions_of_an_exchange():
    pytest.importorskip("exchange_calendars")
    import exchange_calendars

    sessions = exchange_calendars.get_calendar(
        "XNYS", start="2024-01-01", end="2024-03-01"
    ).sessions
    assert gq.Panel.of(flat(sessions), exchange="XNYS").bars == len(sessions)
    with pytest.raises(DataError, match="1 sessions of XNYS have no bar: 2024-01-10"):
        gq.Panel.of(flat(sessions.drop("2024-01-10")), exchange="XNYS")
    with pytest.raises(
        DataError, match="bars are on no session of XNYS: 2024-01-15"
    ):  # Martin Luther King's day
        gq.Panel.of(flat(pd.bdate_range("2024-01-02", "2024-01-20")), exchange="XNYS")
    with pytest.raises(InputError, match="exchange = 'NOWHERE'"):
        gq.Panel.of(flat(sessions), exchange="NOWHERE")


def test_a_time_in_words():
    assert [duration(y) for y in (3.25, 0.5, 1 / 8760, 1e-9, np.nan)] == [
        "3.2 years",
        "182.5 days",
        "1.0 hours",
        "less than a minute",
        "an unknown time",
    ]
