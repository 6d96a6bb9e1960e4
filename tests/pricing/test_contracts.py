"""Contracts and markets: files, precedence, and what is said of every bad row."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import DataError, GpuquantError, InputError, NameUnknown
from gpuquant.pricing.contract_cells import stream_of

ROW = {
    "product": "european",
    "option_type": "call",
    "strike": 100.0,
    "maturity": 1.0,
    "spot": 100.0,
    "rate": 0.02,
    "volatility": 0.2,
}


def book(**changes):
    rows = {k: [v, v] for k, v in ROW.items()} | {k: [ROW.get(k, v), v] for k, v in changes.items()}
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volatility": -0.2}, r"volatility\[1\] = -0.2: must be finite and >= 0"),
        ({"volatility": math.nan}, r"volatility\[1\] is missing"),
        ({"volatility": math.inf}, r"volatility\[1\] = inf"),
        ({"spot": 0.0}, r"spot\[1\] = 0.0: must be finite and > 0"),
        ({"spot": -5.0}, r"spot\[1\] = -5.0"),
        ({"strike": math.nan}, r"strike\[1\] is missing"),
        ({"maturity": -1.0}, r"maturity\[1\] = -1.0"),
        (
            {"product": "europaen"},
            r"product\[1\]: unknown product 'europaen'; did you mean 'European'",
        ),
        (
            {"option_type": "cal"},
            r"option_type\[1\] = 'cal': unknown option_type 'cal'; did you mean 'call'",
        ),
        ({"model": "hestn"}, r"model\[1\]: unknown model 'hestn'; did you mean 'Heston'"),
        ({"exercise": "american"}, "must be european"),
    ],
)
def test_a_bad_row_is_named_and_harms_no_other(changes, words):
    name = next(iter(changes))
    frame = book(**changes)
    if name in ("model", "exercise"):
        frame.loc[0, name] = {"model": "black_scholes", "exercise": "european"}[name]
    found = gq.price(frame).frame
    assert list(found["status"]) == ["ok", "failed"]
    assert pd.Series([found["message"][1]]).str.contains(words)[0], found["message"][1]
    assert np.isnan(found["price"][1]) and found["price"][0] == pytest.approx(
        8.916037278572537, rel=1e-12
    )


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: gq.price(book(strik=1.0)),
            NameUnknown,
            "unknown contract column 'strik'; did you mean 'strike'",
        ),
        (lambda: gq.price(book().drop(columns="product")), InputError, "lack the column 'product'"),
        (
            lambda: gq.price(book().drop(columns="maturity")),
            InputError,
            "'maturity' .years. or 'expiry'",
        ),
        (lambda: gq.price(book().iloc[:0]), InputError, "empty"),
        (lambda: gq.price("absent.parquet"), DataError, "absent.parquet does not exist"),
        (lambda: gq.price(3), InputError, "must be a payoff, a frame"),
        (lambda: gq.price(book(), engine="fourier_magic"), NameUnknown, "unknown engine"),
        (lambda: gq.price(book(), precision="half"), NameUnknown, "unknown precision 'half'"),
        (lambda: gq.price(book(), paths=0), InputError, "paths = 0"),
        (lambda: gq.price(book(), steps=-1), InputError, "steps = -1"),
        (lambda: gq.price(book(), seed=-1), InputError, "seed = -1"),
        (lambda: gq.price(book(), seed=2**64), InputError, "seed = "),
        (lambda: gq.price(book(), target_error=-1.0), InputError, "target_error"),
        (lambda: gq.price(book(), target_error=[1.0]), InputError, "each of the 2 rows"),
        (lambda: gq.price(book(), units="pips"), InputError, "units = 'pips'"),
        (lambda: gq.price(book(), market="absent.toml"), DataError, "absent.toml does not exist"),
        (
            lambda: gq.price(gq.payoffs.European(option_type="call", strike=1.0, maturity=1.0)),
            InputError,
            "a payoff is priced under a model",
        ),
        (
            lambda: gq.payoffs.European(option_type="call", strike=[], maturity=1.0),
            InputError,
            "strike is empty",
        ),
        (
            lambda: gq.payoffs.European(option_type="call", strike="x", maturity=1.0),
            InputError,
            "strike = 'x'",
        ),
        (
            lambda: gq.payoffs.European(option_type="cll", strike=1.0, maturity=1.0),
            InputError,
            "did you mean 'call'",
        ),
        (
            lambda: gq.payoffs.European(
                option_type="call", strike=[1.0, 2.0], maturity=[1.0, 1.0, 1.0]
            ),
            InputError,
            "lengths must be equal",
        ),
        (
            lambda: gq.payoffs.Asian(option_type="call", strike=1.0, maturity=1.0, fixings=2.5),
            InputError,
            r"fixings\[0\] = 2.5: must be a whole number",
        ),
        (
            lambda: gq.models.BlackScholes(spot=[1.0, math.nan], rate=0.0, volatility=0.1),
            InputError,
            r"spot\[1\] = .*nan.*: must be finite and > 0",
        ),
        (
            lambda: gq.models.Heston(
                spot=1.0,
                rate=0.0,
                v0=0.1,
                kappa=1.0,
                long_variance=0.1,
                vol_of_vol=0.1,
                correlation=-1.5,
            ),
            InputError,
            r"within \[-1, 1\]",
        ),
        (
            lambda: gq.implied_volatility(
                price=-1.0, option_type="call", spot=1.0, strike=1.0, maturity=1.0, rate=0.0
            ),
            InputError,
            r"price\[0\] = .*-1.0",
        ),
        (
            lambda: gq.implied_volatility(
                price=[1.0, 1.0],
                option_type="call",
                spot=[1.0] * 3,
                strike=1.0,
                maturity=1.0,
                rate=0.0,
            ),
            InputError,
            "lengths must be equal",
        ),
    ],
)
def test_bad_arguments_are_errors_with_a_name(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert isinstance(caught.value, GpuquantError)


MARKET = """
asof = 2022-12-28
rate = 0.04
[AAPL]
spot = 126.04
dividend_yield = 0.006
volatility = "surface.parquet"
[AAPL.heston]
v0 = 0.09
kappa = 1.0
long_variance = 0.09
vol_of_vol = 0.3
correlation = -0.5
[MSFT]
spot = 234.0
volatility = 0.3
rate = 0.05
"""


@pytest.fixture
def market(tmp_path):
    (tmp_path / "market.toml").write_text(MARKET)
    nodes = pd.MultiIndex.from_product(
        [[0.5, 1.0], [100.0, 150.0]], names=["maturity", "strike"]
    ).to_frame(index=False)
    nodes["volatility"] = [0.40, 0.30, 0.36, 0.32]
    nodes.to_parquet(tmp_path / "surface.parquet")
    return tmp_path / "market.toml"


def test_a_row_wins_over_its_underlying_which_wins_over_the_market(market):
    rows = pd.DataFrame(
        {
            "product": "European",
            "model": ["BlackScholes", "black_scholes", "heston", None],
            "underlying": ["AAPL", "MSFT", "AAPL", "AAPL"],
            "option_type": "call",
            "strike": [125.0, 230.0, 125.0, 125.0],
            "maturity": [np.nan, 1.0, 1.0, 1.0],
            "expiry": [datetime.date(2023, 12, 28), None, None, None],
            "volatility": [np.nan, np.nan, np.nan, 0.5],
            "quantity": [2.0, -1.0, 1.0, np.nan],
            "multiplier": 100.0,
        },
        index=list("wxyz"),
    )
    found = gq.price(rows, market=market, paths=100_000, greeks=True)
    frame = found.frame
    assert list(frame.index) == list("wxyz") and list(frame["strike"]) == list(rows["strike"])
    assert (frame["status"] != "failed").all(), frame["message"].tolist()

    def european(spot, strike, rate, dividend, volatility):
        return gq.price(
            gq.payoffs.European(option_type="call", strike=strike, maturity=1.0),
            gq.models.BlackScholes(
                spot=spot, rate=rate, dividend_yield=dividend, volatility=volatility
            ),
        ).price

    assert frame["price"]["w"] == pytest.approx(
        european(126.04, 125.0, 0.04, 0.006, 0.34), rel=1e-12
    )  # half-way between 0.36 and 0.32
    assert frame["price"]["x"] == pytest.approx(european(234.0, 230.0, 0.05, 0.0, 0.3), rel=1e-12)
    assert frame["price"]["z"] == pytest.approx(
        european(126.04, 125.0, 0.04, 0.006, 0.5), rel=1e-12
    )
    assert frame["engine"]["y"] == "fourier"
    assert abs(frame["price"]["y"] - european(126.04, 125.0, 0.04, 0.006, 0.3)) < 1.0
    np.testing.assert_allclose(frame["value"], frame["price"] * [200, -100, 100, 100])
    assert found.total == pytest.approx(frame["value"].sum())


def test_an_expiry_in_the_past_is_a_failed_row(market):
    rows = pd.DataFrame(
        {
            "product": "european",
            "underlying": "MSFT",
            "option_type": "put",
            "strike": 200.0,
            "expiry": ["2022-12-27", "2022-12-28", "2023-06-28"],
        }
    )
    found = gq.price(rows, market=market).frame
    assert list(found["status"]) == ["failed", "ok", "ok"]
    assert found["message"][0] == "expiry[0] = 2022-12-27: is before 2022-12-28"
    assert found["price"][1] == 0.0  # it ends today, out of the money


def test_surface_is_linear_in_total_variance():
    from gpuquant.data.market import Surface

    surface = Surface(np.array([100.0]), np.array([0.5, 1.0]), np.array([[0.4], [0.3]]))
    between = surface.at(np.array([90.0]), np.array([0.75]))[0]
    assert between**2 * 0.75 == pytest.approx(0.5 * (0.4**2 * 0.5 + 0.3**2))
    assert surface.at(np.array([90.0]), np.array([9.0]))[0] == 0.3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate = nan", "market rate = nan"),
        ("rate = [1]", "a market value is a number"),
        ("rate = ", "market.toml"),
        ("asof = 3", "asof = 3"),
        ("[A]\nspot = true", "A.spot = True"),
    ],
)
def test_a_bad_market_is_named(tmp_path, text, words):
    path = tmp_path / "market.toml"
    path.write_text(text)
    with pytest.raises(GpuquantError, match=words):
        gq.Market.read(path)


def test_files_give_the_same_as_frames(tmp_path, market):
    rows = pd.DataFrame(
        {
            "id": ["a", "b"],
            "product": "asian",
            "underlying": "MSFT",
            "option_type": "call",
            "strike": [230.0, 240.0],
            "maturity": 1.0,
            "fixings": 4,
        }
    )
    rows.to_parquet(tmp_path / "book.parquet")
    rows.to_csv(tmp_path / "book.csv", index=False)
    prices = [
        gq.price(source, market=market, paths=5000).price
        for source in (
            rows,
            tmp_path / "book.parquet",
            tmp_path / "book.csv",
            gq.Contracts.from_frame(rows),
        )
    ]
    for other in prices[1:]:
        np.testing.assert_array_equal(prices[0], other)
    found = gq.price(tmp_path / "book.parquet", market=market, paths=5000)
    found.to_parquet(tmp_path / "priced.parquet")
    again = pd.read_parquet(tmp_path / "priced.parquet")
    np.testing.assert_array_equal(again["price"], found.price)
    assert list(again["id"]) == ["a", "b"]
    np.testing.assert_array_equal(
        gq.price(tmp_path / "priced.parquet", market=market, paths=5000).price, found.price
    )  # may be priced again


def test_text_ids_have_streams_of_their_own():
    assert len({stream_of(f"trade-{k}") for k in range(100_000)}) == 100_000
    assert min(stream_of(f"trade-{k}") for k in range(1000)) >= 2**51


def test_schema_names_every_column():
    from gpuquant.pricing.schema import schema

    names = {row[0] for row in schema()}
    assert {
        "id",
        "product",
        "strike",
        "fixings",
        "barrier_type",
        "v0",
        "intensity",
        "expiry",
        "quantity",
    } <= names


def test_columns_of_numbers_and_text_keep_their_gaps():
    pa = pytest.importorskip("pyarrow")
    from gpuquant.data.arrow import Words, numbers, table

    cases = [
        (pa.array([1, 2, 3]), [1, 2, 3]),
        (pa.array([1, 2, 3])[1:], [2, 3]),
        (pa.chunked_array([pa.array([1.5]), pa.array([None, 2.5])]), [1.5, np.nan, 2.5]),
        (pa.array([1, None, 3])[1:], [np.nan, 3]),
        (pa.array([True, None]), [1.0, np.nan]),
        (pa.array([True, False]), [True, False]),
        (pa.array([], pa.float64()), []),
    ]
    for column, expected in cases:
        np.testing.assert_array_equal(numbers(column), expected)
    words = Words.of(pa.array(["b", None, "", "a", "b"]))
    assert list(words.array()) == ["b", None, None, "a", "b"]
    sparse = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None, 0]), pa.array(["x", None, ""]))
    assert table({"w": Words.of(sparse)}).column("w").to_pylist() == ["x", None, None, None, "x"]
    assert table({"w": Words.of(pa.array([None, None], pa.string()))}).column("w").to_pylist() == [
        None,
        None,
    ]
    assert table({"w": np.array(["u", None, ""], dtype=object)}).column("w").to_pylist() == [
        "u",
        None,
        None,
    ]
    made = table(
        {
            "w": words,
            "x": np.array([1.0, np.nan] * 2 + [3.0]),
            "t": np.array(["u", "", "v", "u", "é"], dtype=object),
        }
    )
    assert made.column("w").to_pylist() == ["b", None, None, "a", "b"] and made.column(
        "t"
    ).to_pylist() == ["u", None, "v", "u", "é"]
    assert made.column("x").null_count == 0 and np.isnan(made.column("x")[1].as_py())


@pytest.mark.parametrize(
    "ids",
    [
        [7, None, 9],
        ["7", "", "9"],
        [7.0, np.nan, 9.0],
        pd.array([7, None, 9], dtype="Int64"),
        pd.array([7, None, 9], dtype="int64[pyarrow]"),
        ["7", None, 9],
    ],
)
def test_a_blank_id_follows_the_rows_position(market, ids):
    """Whatever holds the ids, a whole number is the same id; a row without one has its
    position's stream.
    """
    row = {
        "product": "european",
        "option_type": "call",
        "underlying": "AAPL",
        "strike": 100.0,
        "maturity": 0.5,
    }
    how = {"market": market, "paths": 500, "engine": "monte_carlo", "progress": False}
    found = gq.price(pd.DataFrame([row] * 3).assign(id=ids), **how)
    assert (
        found.price.tolist()
        == gq.price(pd.DataFrame([row] * 3).assign(id=[7, 1, 9]), **how).price.tolist()
    )
    assert len(set(found.price.tolist())) == 3


def test_ids_of_64_bits_have_streams_of_their_own(market):
    row = {
        "product": "european",
        "option_type": "call",
        "underlying": "AAPL",
        "strike": 100.0,
        "maturity": 0.5,
    }
    how = {"market": market, "paths": 200, "engine": "monte_carlo", "progress": False}
    ids = [2**53, 2**53 + 1, 2**62 + 1, 2**63 - 1, -1, -(2**63), 0, 51]
    found = gq.price(pd.DataFrame([row] * len(ids)).assign(id=ids), **how)
    assert len(set(found.price.tolist())) == len(ids) and found.frame["id"].tolist() == ids
    blank = gq.price(
        pd.DataFrame([row] * (len(ids) + 1)).assign(id=pd.array([*ids, None], dtype="Int64")), **how
    )
    assert blank.price[:-1].tolist() == found.price.tolist()
    unsigned = gq.price(
        pd.DataFrame([row] * 2).assign(id=np.array([2**64 - 1, 2**64 - 2], dtype=np.uint64)), **how
    ).price
    assert len({*unsigned.tolist(), *found.price.tolist()}) == len(ids) + 2
    assert (
        gq.price(pd.DataFrame([row]).assign(id=["007"]), **how).price[0]
        != gq.price(pd.DataFrame([row]).assign(id=[7]), **how).price[0]
    )
