"""The reference cases of `pricing.json` as contract rows: the one place that knows both
vocabularies.

`to_row(case)` gives the row, `column(case)` the result column that the case's number belongs to.
"""

import json
import math
from pathlib import Path

CASES = json.loads(Path(__file__).with_name("pricing.json").read_text())
WHOLE_DAYS = "testSpreadAndBasketBenchmarks"
MEASURES = {
    "price": "price",
    "fair_variance": "price",
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega",
    "rho": "rho",
    "theta": "theta",
    "dividendRho": "dividend_rho",
    "elasticity": "delta",  # times spot over price
    "delta1": "delta1",
    "delta2": "delta2",
    "gamma1": "gamma1",
    "gamma2": "gamma2",
    "implied_vol": "implied_vol",
}
MODELS = {
    "black_scholes": ("black_scholes", {"sigma": "volatility"}),
    "black_scholes_quanto": (
        "quanto_black_scholes",
        {
            "sigma": "volatility",
            "fx_sigma": "fx_volatility",
            "rho": "correlation",
            "r_fx": "foreign_rate",
        },
    ),
    "heston": (
        "heston",
        {
            "v0": "v0",
            "kappa": "kappa",
            "theta": "long_variance",
            "sigma": "vol_of_vol",
            "rho": "correlation",
        },
    ),
    "rough_heston": (
        "rough_heston",
        {
            "v0": "v0",
            "kappa": "kappa",
            "theta": "long_variance",
            "sigma": "vol_of_vol",
            "rho": "correlation",
            "hurst": "hurst",
        },
    ),
    "merton": (
        "merton",
        {
            "sigma": "volatility",
            "lambda": "intensity",
            "mu_j": "jump_mean",
            "sigma_j": "jump_volatility",
        },
    ),
    "bates": (
        "bates",
        {
            "v0": "v0",
            "kappa": "kappa",
            "theta": "long_variance",
            "sigma": "vol_of_vol",
            "rho": "correlation",
        }
        | {"lambda": "intensity", "mu_j": "jump_mean", "sigma_j": "jump_volatility"},
    ),
    "variance_gamma": (
        "variance_gamma",
        {"sigma": "volatility", "nu": "variance_rate", "theta": "drift"},
    ),
    "sabr": ("sabr", {"alpha": "alpha", "beta": "beta", "nu": "vol_of_vol", "rho": "correlation"}),
    "hull_white": ("hull_white", {"a": "kappa", "sigma": "rate_volatility"}),
    "cgmy": ("cgmy", {"C": "activity", "G": "left_decay", "M": "right_decay", "Y": "fineness"}),
}
SAME = (
    "barrier_type",
    "barrier",
    "monitoring",
    "lower",
    "upper",
    "cash",
    "payment",
    "pays",
    "running_extreme",
    "rebate",
    "moneyness",
)


def column(case):
    """The result column that holds a case's measure; None while there is none."""
    return MEASURES.get(case["measure"])


def to_row(case):
    """A case as a contract row: only columns that mean something for it."""
    model, names = MODELS.get(case["model"], (case["model"], {}))
    given = case["payoff_params"]
    row = {
        "id": case["id"],
        "model": model,
        "spot": case["S"],
        "strike": case["K"],
        "rate": case["r"],
        "dividend_yield": case["q"],
        "maturity": _maturity(case),
    }
    row |= {names[k]: v for k, v in case["model_params"].items() if k in names}
    row |= {k: given[k] for k in SAME if k in given}
    row |= {"option_type": given.get("type"), "exercise": given.get("exercise")}
    if case["model"] == "black_scholes_multi":
        row |= _assets(case)
    row |= PRODUCTS.get(case["payoff"], lambda case, given: {"product": case["payoff"]})(
        case, given
    )
    return {k: v for k, v in row.items() if v is not None}


def _maturity(case):
    """Years to the end. One of QuantLib's tests states them, and its prices are of whole days: 91
    of 365 for a quarter, 183 for a half, 548 for one and a half.
    """
    if WHOLE_DAYS in case["source"]:
        return math.floor(365.0 * case["T"] + 0.5) / 365.0
    return case["T"]


def _assets(case):
    given = case["model_params"]
    spots = list(case["S"]) if isinstance(case["S"], list) else [case["S"]] * len(given["sigma"])
    alike = 0.0 if given["rho"] == "identity" else given["rho"]
    matrix = (
        {"correlations": [x for row in alike for x in row]}
        if isinstance(alike, list)
        else {"correlation": float(alike)}
    )
    row = {
        "model": "multi_black_scholes",
        "spots": spots,
        "spot": None,
        "dividend_yields": list(given["q"]),
        "dividend_yield": None,
    }
    return row | {"volatilities": list(given["sigma"])} | matrix


def _vanilla(case, given):
    row = {"product": "european"}
    if "dividends" in given:
        row |= {"model": "dividend_black_scholes"} | {
            k: given[k] for k in ("dividends", "dividend_times", "dividend_model")
        }
    return row


def _barrier(case, given):
    timing = "hit" if str(given.get("rebate_timing", "")).startswith("at hit") else "maturity"
    dates = {"observations": given["monitoring_dates"]} if "monitoring_dates" in given else {}
    return {"product": "barrier", "rebate_timing": timing, **dates}


def _touch(product):
    def row(case, given):
        payment = (
            {"expiry": "maturity", "hit": "hit"}[given["payment"]]
            if product == "one_touch"
            else None
        )
        return {
            "product": product,
            "direction": given["barrier_side"],
            "payment": payment,
            "monitoring": given["monitoring"],
            "option_type": None,
            "strike": None,
        }

    return row


def _barrier_digital(pays):
    return lambda case, given: {"product": "barrier_digital", "pays": pays, "payment": None}


def _digital(pays):
    return lambda case, given: {"product": "digital", "pays": pays}


def _partial_barrier(case, given):
    window = (
        "crossing" if "B1" in given["window"] else "end" if "B2" in given["window"] else "start"
    )
    return {
        "product": "partial_barrier",
        "window": window,
        "window_time": given["t1"],
        "monitoring": None,
        "rebate": None,
    }


def _asian(average):
    def row(case, given):
        return {
            "product": "asian",
            "average": average,
            "averaging": given.get("averaging", "discrete"),
        } | {k: given[k] for k in ("fixing_times",) if k in given}

    return row


def _compound(case, given):
    return {
        "product": "compound",
        "option_type": given["mother_type"],
        "strike": given["mother_strike"],
        "maturity": case["T"],
        "exercise_time": given["mother_expiry"],
        "underlying_type": given["daughter_type"],
        "underlying_strike": given["daughter_strike"],
    }


def _chooser(case, given):
    # Haug's call ends at 0.5 and his put at 0.5833 years; QuantLib's test adds the choosing time to
    # both, and its engine takes it off again
    call, put = (given[name] - given["choosing_time"] for name in ("call_expiry", "put_expiry"))
    row = {
        "product": "chooser",
        "choice_time": given["choosing_time"],
        "maturity": call,
        "put_maturity": put,
    }
    return row | {
        "strike": given["call_strike"],
        "put_strike": given["put_strike"],
        "option_type": None,
    }


PRODUCTS = {
    "vanilla": _vanilla,
    "barrier": _barrier,
    "double_barrier": lambda case, given: {"product": "double_barrier"},
    "double_barrier_cash": lambda case, given: {
        "product": "double_touch",
        "monitoring": None,
        "strike": None,
    },
    "soft_barrier": lambda case, given: {"product": "soft_barrier", "monitoring": None},
    "partial_time_barrier": _partial_barrier,
    "asset_or_nothing": _digital("asset"),
    "cash_or_nothing": _digital("cash"),
    "one_touch": _touch("one_touch"),
    "no_touch": _touch("no_touch"),
    "cash_or_nothing_barrier": _barrier_digital("cash"),
    "asset_or_nothing_barrier": _barrier_digital("asset"),
    "lookback_fixed": lambda case, given: {"product": "lookback"},
    "lookback_floating": lambda case, given: {"product": "floating_lookback"},
    "lookback_partial_fixed": lambda case, given: {
        "product": "partial_lookback",
        "window_time": given["lookback_start"],
        "monitoring": None,
    },
    "lookback_partial_floating": lambda case, given: {
        "product": "partial_floating_lookback",
        "window_time": given["lookback_end"],
        "share": given["lambda"],
        "monitoring": None,
    },
    "asian_arithmetic": _asian("arithmetic"),
    "asian_geometric": _asian("geometric"),
    "forward_start": lambda case, given: {
        "product": "forward_start",
        "reset_time": given["reset_time"],
    },
    "compound": _compound,
    "complex_chooser": _chooser,
    "weighted_basket": lambda case, given: {"product": "basket", "weights": given["weights"]},
    "max_option": lambda case, given: {"product": "rainbow", "best": "highest"},
    "min_option": lambda case, given: {"product": "rainbow", "best": "lowest"},
    "max_call": lambda case, given: {"product": "rainbow", "best": "highest"},
    "exchange": lambda case, given: {
        "product": "exchange",
        "receive": given["quantities"][0],
        "give": given["quantities"][1],
    },
    "outside_barrier": lambda case, given: {"product": "outside_barrier"},
    "two_asset_correlation": lambda case, given: {
        "product": "two_asset_correlation",
        "trigger": given["strike1"],
        "strike": given["strike2"],
    },
    # an option on a zero-coupon bond is a European on the asset of a short-rate model
    "zero_bond_option": lambda case, given: {
        "product": "european",
        "bond_maturities": [given["bond_maturity"]],
    },
    "variance_swap": lambda case, given: {"product": "variance_swap"},
    "variance_option": lambda case, given: {"product": "variance_option"},
}
