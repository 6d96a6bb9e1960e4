"""Readers: the same prices in every shape that people have them in are the same panel; what is
not clearly prices is refused.
"""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuquant as gq
from gpuquant.errors import DataError, GpuquantError

FIELDS = ("open", "high", "low", "close", "volume")
SPELLED = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}


class Capsule:
    """What hands over Arrow data and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def tables(seed, bars, assets, zone=None, freq="B"):
    """Frames by field of a random panel, each of dates by tickers."""
    draw = np.random.default_rng(seed)
    shape = (bars, assets)
    close = np.round(50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, shape), axis=0)), 2)
    first = np.round(close * np.exp(draw.normal(0.0, 0.01, shape)), 2)
    values = {
        "open": first,
        "high": np.round(np.maximum(close, first) * 1.01, 2),
        "low": np.round(np.minimum(close, first) * 0.99, 2),
        "close": close,
        "volume": np.floor(draw.lognormal(8.0, 1.0, shape)),
    }
    index = pd.date_range("2020-01-01", periods=bars, freq=freq, tz=zone, name="Date")
    tickers = [f"T{k}" for k in draw.permutation(assets)]
    return {name: pd.DataFrame(v, index, tickers) for name, v in values.items()}


def tidy(frames, draw=None):
    """A row for each date and ticker, in any order of rows that keeps the tickers' first
    appearance.
    """
    parts = [
        frame.rename_axis("ticker", axis=1).stack().rename(SPELLED[name])
        for name, frame in frames.items()
    ]
    table = pd.concat(parts, axis=1).reset_index()
    if draw is None:
        return table
    count = next(iter(frames.values())).shape[1]
    return pd.concat(
        [table[:count], table[count:].sample(frac=1.0, random_state=int(draw))], ignore_index=True
    )


def leveled(frames, order):
    """Columns of two levels, fields over tickers or tickers over fields, named as download tools
    do.
    """
    wide = pd.concat({SPELLED[name]: frame for name, frame in frames.items()}, axis=1).rename_axis(
        ["Price", "Ticker"], axis=1
    )
    return wide if order == "fields" else wide.swaplevel(axis=1)


def shapes(frames, folder):
    """The same prices as everything that `Panel.of` reads, by name."""
    import polars
    import pyarrow as pa

    table = tidy(frames)
    flat = table.assign(Date=table["Date"])
    arrow = pa.Table.from_pandas(flat, preserve_index=False)
    path = folder / "prices.csv"
    flat.to_csv(path, index=False)
    flat.to_parquet(folder / "tidy.parquet")
    leveled(frames, "fields").to_parquet(folder / "levels.parquet")
    yield "fields over tickers", leveled(frames, "fields")
    yield "tickers over fields", leveled(frames, "tickers")
    yield "by field", frames
    yield (
        "by ticker",
        {
            t: pd.DataFrame({SPELLED[n]: f[t] for n, f in frames.items()})
            for t in frames["close"].columns
        },
    )
    yield "tidy", table
    yield "tidy, shuffled", tidy(frames, draw=1)
    yield "tidy, dates and tickers as the index", table.set_index(["Date", "ticker"])
    yield "tidy, newest first", table.sort_values("Date", ascending=False, kind="stable")
    yield "newest first", leveled(frames, "fields")[::-1]
    yield "polars", polars.from_arrow(arrow)
    yield "pyarrow", arrow
    yield "a capsule", Capsule(arrow)
    yield "Parquet", folder / "tidy.parquet"
    yield "Parquet of two levels", folder / "levels.parquet"
    if frames["close"].index.tz is None:  # text says how far from UTC a time is, not in what zone
        yield "CSV", path
        yield "CSV with the index of the frame in it", _written(table, folder / "index.csv")
        yield (
            "CSV with semicolons",
            _written(table, folder / "semicolons.csv", sep=";", decimal=",", index=False),
        )


def _written(table, path, **how):
    table.to_csv(path, **how)
    return path


def same(panel, frames, name):
    """Equal in prices, dates, zone and tickers."""
    assert panel.assets == tuple(frames["close"].columns), name
    assert (panel.index == frames["close"].index).all(), name
    assert panel.timezone == (
        None if frames["close"].index.tz is None else str(frames["close"].index.tz)
    ), name
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(panel, field), frames[field].to_numpy(), rtol=1e-15, err_msg=f"{name} {field}"
        )


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 40),
    st.integers(1, 4),
    st.sampled_from([None, "UTC", "America/New_York", "Asia/Tokyo"]),
    st.sampled_from(["B", "D", "30min"]),
)
def test_every_shape_gives_the_same_panel(tmp_path_factory, seed, bars, assets, zone, freq):
    frames = tables(seed, bars, assets, zone, freq)
    for name, prices in shapes(frames, tmp_path_factory.mktemp("prices")):
        same(gq.Panel.of(prices), frames, name)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 40),
    st.integers(1, 4),
    st.sampled_from([None, "Europe/London"]),
)
def test_closes_alone_in_every_shape(tmp_path_factory, seed, bars, assets, zone):
    close = tables(seed, bars, assets, zone)["close"]
    folder = tmp_path_factory.mktemp("closes")
    close.to_parquet(folder / "close.parquet")
    gq.Panel.of(close).to_parquet(folder / "panel.parquet")
    import polars

    found = {
        "wide": close,
        "by field": {"close": close},
        "tidy": close.rename_axis("symbol", axis=1).stack().rename("price").reset_index(),
        "Parquet": folder / "close.parquet",
        "a panel's Parquet": folder / "panel.parquet",
        "polars": polars.from_pandas(close.reset_index()),
    }
    for name, prices in found.items():
        panel = gq.Panel.of(prices)
        assert panel.assets == tuple(close.columns), name
        np.testing.assert_array_equal(panel.close, close.to_numpy(), err_msg=name)
        assert (panel.index == close.index).all(), name
        assert not panel.extra_fields(), name


def test_a_panel_goes_to_parquet_and_back(tmp_path):
    frames = tables(3, 30, 3, "America/New_York")
    frames["close"].iloc[4, 1] = np.nan
    more = {"splits": frames["close"] * 0 + 1.0, "dividends": frames["close"] * 0.0}
    panel = gq.Panel.from_frames(
        **frames,
        **{k: v.fillna(1.0 if k == "splits" else 0.0) for k, v in more.items()},
        allow_halts=True,
    )
    panel.to_parquet(tmp_path / "panel.parquet")
    again = gq.Panel.read(tmp_path / "panel.parquet")
    assert (
        again.allow_halts and again.assets == panel.assets and again.timezone == "America/New_York"
    )
    for name in ("close", *panel.extra_fields()):
        np.testing.assert_array_equal(getattr(again, name), getattr(panel, name))


def test_one_tickers_series_and_fields(tmp_path):
    frames = tables(5, 20, 1)
    ticker = frames["close"].columns[0]
    one = pd.DataFrame({SPELLED[name]: frame[ticker] for name, frame in frames.items()})
    one.to_csv(tmp_path / "MSFT.csv")
    same(gq.Panel.of(one, asset=ticker), frames, "fields")
    same(
        gq.Panel.of(one.rename_axis("Price", axis=1), asset=ticker),
        frames,
        "fields, as a tool names them",
    )
    assert gq.Panel.of(tmp_path / "MSFT.csv").assets == ("MSFT",)
    assert gq.Panel.of(frames["close"][ticker]).assets == (ticker,)
    assert gq.Panel.of(frames["close"][ticker].rename(None)).assets == ("asset",)


YAHOO = """Date,Open,High,Low,Close,Adj Close,Volume
2024-01-02,10,12,9,11,5.5,100
2024-01-03,11,13,10,12,6.0,200
"""


def test_an_adjusted_close_scales_all_prices_unless_it_is_left_out(tmp_path):
    (tmp_path / "X.csv").write_text(YAHOO)
    panel = gq.Panel.read(tmp_path / "X.csv")
    assert panel.adjusted is True and "adjusted for splits and dividends" in repr(panel)
    assert (
        panel.close[:, 0].tolist() == [5.5, 6.0]
        and panel.open[:, 0].tolist() == [5.0, 5.5]
        and panel.volume[:, 0].tolist() == [100, 200]
    )
    plain = gq.Panel.read(tmp_path / "X.csv", adjusted=False)
    assert (
        plain.adjusted is False
        and plain.close[:, 0].tolist() == [11.0, 12.0]
        and "not adjusted" in repr(plain)
    )
    paid = pd.read_csv(io.StringIO(YAHOO)).assign(
        Dividends=[0.0, 0.5], **{"Stock Splits": [0.0, 0.0], "Capital Gains": [0.25, 0.0]}
    )
    known = gq.Panel.of(paid)
    assert known.adjusted is False and known.close[:, 0].tolist() == [11.0, 12.0]
    assert known.dividends[:, 0].tolist() == [0.25, 0.5] and known.splits[:, 0].tolist() == [
        1.0,
        1.0,
    ]


NASDAQ = (
    "Date,Close/Last,Volume,Open,High,Low\n"
    '01/31/2024,"$1,012.50","200","$1,011.00","$1,013.00","$1,010.00"\n'
    "01/30/2024,$990.25,100,$991,$995.10,$989\n"
)


def test_dollars_thousands_and_the_newest_first(tmp_path):
    (tmp_path / "N.csv").write_text(NASDAQ)
    panel = gq.Panel.read(tmp_path / "N.csv")
    assert (
        panel.close[:, 0].tolist() == [990.25, 1012.5]
        and str(panel.index[0].date()) == "2024-01-30"
    )


def test_what_was_taken_is_shown():
    frames = tables(1, 60, 2, "Asia/Tokyo", "30min")
    panel = gq.Panel.of(leveled(frames, "fields"))
    text = repr(panel)
    for part in (
        "2 assets",
        "open, high, low, close, volume",
        "60 bars",
        "30 minutes",
        "time zone Asia/Tokyo",
    ):
        assert part in text and part in panel._repr_html_(), text


WIDE = pd.DataFrame(
    {"A": [10.0, 11.0, 12.0], "B": [20.0, 21.0, 22.0]}, pd.bdate_range("2024-01-01", periods=3)
)
TIDY = WIDE.rename_axis("ticker", axis=1).rename_axis("date").stack().rename("close").reset_index()
REFUSED = {
    "a strange column beside fields": (
        WIDE.set_axis(["Close", "RSI"], axis=1),
        "column 'RSI' is no field of prices",
    ),
    "a misspelt field": (
        WIDE.assign(C=1.0).set_axis(["Close", "Volum", "High"], axis=1),
        "did you mean 'volume'",
    ),
    "fields without a close": (WIDE.set_axis(["Open", "High"], axis=1), "without its close"),
    "returns": (WIDE.pct_change().iloc[1:] * [1.0, -1.0], "these are returns, not prices"),
    "truth values": (WIDE > 11.0, "holds True and False"),
    "words": (WIDE.assign(A=["x", "y", "z"]), "prices must be numbers: .*'x'"),
    "no dates": (WIDE.reset_index(drop=True), "the index must hold dates"),
    "three levels": (
        WIDE.set_axis(pd.MultiIndex.from_tuples([("Close", "A", 1), ("Close", "B", 1)]), axis=1),
        "3 levels",
    ),
    "levels without fields": (
        WIDE.set_axis(pd.MultiIndex.from_tuples([("x", "A"), ("x", "B")]), axis=1),
        "one must hold fields",
    ),
    "a date twice for a ticker": (pd.concat([TIDY, TIDY[:1]]), "has A at 2024-01-01.* twice"),
    "a tidy table without closes": (
        TIDY.rename(columns={"close": "volume"}),
        "needs a column of closes",
    ),
    "a tidy table with a sector": (
        TIDY.assign(sector="tech"),
        "column 'sector' is no field of prices",
    ),
    "a tidy table without dates": (TIDY.drop(columns="date"), "needs one of dates"),
    "a missing ticker": (
        TIDY.assign(ticker=TIDY["ticker"].where(TIDY.index > 0)),
        r"ticker\[0\] is missing",
    ),
    "a missing date of a ticker": (
        TIDY.drop(index=3),
        "allow_halts=True takes a missing price for a halt",
    ),
    "a dict of tickers, one without volume": (
        {
            "A": WIDE.set_axis(["close", "volume"], axis=1),
            "B": WIDE[["A"]].set_axis(["close"], axis=1),
        },
        "volume: there is none of B",
    ),
    "two closes": (
        WIDE.set_axis(["Close", "Last"], axis=1),
        "the columns 'Close' and 'Last' are both the close",
    ),
    "a split that the prices do not show": (
        WIDE[["A"]].set_axis(["Close"], axis=1).assign(**{"Stock Splits": [0.0, 2.0, 0.0]}),
        "adjusted for it already",
    ),
    "two time zones": (
        {"A": WIDE[["A"]].tz_localize("UTC"), "B": WIDE[["B"]]},
        "the time zone UTC, prices\\['B'\\] None",
    ),
    "a day of either month": (
        WIDE.reset_index(names="Date").assign(Date=["03/01/2024", "04/01/2024", "05/01/2024"]),
        "dayfirst=True",
    ),
    "a comma for a point": (WIDE.assign(A=["10,5", "11,5", "12,5"]), "prices must be numbers"),
    "an open beside an adjusted close alone": (
        WIDE.set_axis(["Open", "Adj Close"], axis=1),
        "needs the close as it was traded",
    ),
    "an empty mapping": ({}, "mapping is empty"),
    "an array": (WIDE.to_numpy(), "has no dates"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_clearly_prices_is_refused(name):
    prices, match = REFUSED[name]
    with pytest.raises(GpuquantError, match=match):
        gq.Panel.of(prices)


def test_tickers_called_as_fields_are_closes_where_it_is_said():
    frame = WIDE.set_axis(["OPEN", "LOW"], axis=1)
    with pytest.raises(DataError, match=r"Panel.from_frames\(close=frame\)"):
        gq.Panel.of(frame)
    assert gq.Panel.from_frames(close=frame).assets == ("OPEN", "LOW")
    assert gq.Panel.of(WIDE.set_axis(["LOW", "HD"], axis=1)).assets == ("LOW", "HD")


def test_dates_by_day_and_numbers_names_and_tickers_of_digits(tmp_path):
    (tmp_path / "de.csv").write_text(
        "Datum;Close\n".replace("Datum", "Date")
        + "01.02.2024;1.001,5\n02.02.2024;1.002,5\n05.02.2024;999,25\n"
    )
    panel = gq.Panel.read(tmp_path / "de.csv")
    assert (
        panel.close[:, 0].tolist() == [1001.5, 1002.5, 999.25]
        and str(panel.index[0].date()) == "2024-02-01"
    )
    (tmp_path / "kr.csv").write_text(
        "date,ticker,close\n20240102,005930,70000\n20240102,NA,9\n20240103,005930,71000\n"
        "20240103,NA,8\n"
    )
    panel = gq.Panel.read(tmp_path / "kr.csv")
    assert panel.assets == ("005930", "NA") and panel.close[1].tolist() == [71000.0, 8.0]
    assert gq.Panel.of(WIDE.set_axis([20240101, 20240102, 20240103])).bars == 3
    assert gq.Panel.of(WIDE.set_axis(["茅台", "index"], axis=1).astype(int)).assets == (
        "茅台",
        "index",
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_since_1970_are_utc(unit):
    moments = WIDE.index.to_numpy().astype(f"datetime64[{unit}]").astype(np.int64)
    for prices in (WIDE.set_axis(moments), WIDE.reset_index(drop=True).assign(open_time=moments)):
        panel = gq.Panel.of(prices)
        assert (
            panel.timezone == "UTC"
            and (panel.dates == WIDE.index.to_numpy()).all()
            and panel.assets == ("A", "B")
        )


def test_days_and_times_of_day_in_two_columns(tmp_path):
    (tmp_path / "terminal.csv").write_text(
        "<DATE>\t<TIME>\t<OPEN>\t<CLOSE>\n2024.01.02\t09:30:00\t10\t11\n"
        "2024.01.02\t09:31:00\t11\t12\n"
    )
    panel = gq.Panel.read(tmp_path / "terminal.csv")
    assert [str(moment) for moment in panel.index] == ["2024-01-02 09:30:00", "2024-01-02 09:31:00"]
    assert panel.open[:, 0].tolist() == [10.0, 11.0] and panel.close[:, 0].tolist() == [11.0, 12.0]


def test_a_download_tools_own_csv(tmp_path):
    frames = tables(8, 20, 2)
    wide = leveled(frames, "fields")
    wide.to_csv(tmp_path / "download.csv")
    same(gq.Panel.read(tmp_path / "download.csv"), frames, "two levels in a CSV")


def test_halts_of_a_panel_that_was_read():
    panel = gq.Panel.of(WIDE)
    assert gq.Panel.of(panel, allow_halts=True).allow_halts and not gq.Panel.of(panel).allow_halts
    with pytest.raises(GpuquantError, match="has been read already"):
        gq.Panel.of(panel, adjusted=True)
