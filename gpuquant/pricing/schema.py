"""The vocabulary of contracts and markets: every column, and every member by the names people
write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpuquant import family
from gpuquant.data.choices import loose
from gpuquant.data.columns import describe, domains
from gpuquant.data.market import Market
from gpuquant.errors import unknown
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff

OWN = {
    "id": "names the row; its random draws follow it",
    "product": "the payoff, as in gpuquant.payoffs",
    "model": "the dynamics, as in gpuquant.models; BlackScholes unless given",
    "exercise": "european",
    "underlying": "looked up in the market",
    "underlyings": (
        "names of a basket's assets, whose prices, yields and volatilities are looked up in "
        "the market"
    ),
    "currency": "of spot, strike and price",
    "quantity": "units held, negative when short; 1 unless given",
    "multiplier": "shares per unit; 1 unless given",
    "expiry": (
        "date of maturity, instead of years; counts from the market's asof, actual/365; a time of "
        "day counts where both have one"
    ),
}


def classes(base: type, package: str) -> dict[str, type]:
    """Members of a family by loose name."""
    return {loose(name): cls for name, cls in family.members(base, package).items()}


def models() -> dict[str, type[Model]]:
    """Every model by loose name, user-defined ones among them."""
    return classes(Model, "gpuquant.models")


def payoffs() -> dict[str, type[Payoff]]:
    """Every payoff by loose name, user-defined ones among them."""
    return classes(Payoff, "gpuquant.payoffs")


def schema() -> list[tuple[str, str, str, str]]:
    """Every contract column: (name, where it belongs, its rule, its meaning)."""
    rows = [(name, "contract", "", meaning) for name, meaning in OWN.items()]
    for kind, members in (("payoff", payoffs()), ("model", models())):
        for cls in members.values():
            for name, domain in domains(cls).items():
                if domain.derived:
                    continue
                rows.append(
                    (
                        name,
                        f"{kind} {cls.__name__}",
                        domain.rule,
                        describe(cls).get(name, ("", ""))[1],
                    )
                )
    return rows


def section(cls: type) -> str:
    """The name of a model's table in a market: `BlackScholes` is `black_scholes`, `SABR` is
    `sabr`.
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


def market_columns() -> set[str]:
    """Every value that a model reads from a market."""
    return {name for cls in models().values() for name in domains(cls)}


def check_names(market: Market) -> None:
    """Refuse a market value that no model reads, and name the nearest one. Otherwise a typing error
    would price a row on a default.
    """
    known = market_columns()
    sections = {section(cls) for cls in models().values()}
    for name, value in market.values.items():
        if not isinstance(value, Mapping):
            if name not in known:
                raise unknown("market value", name, known)
            continue
        for column, leaf in value.items():
            if isinstance(leaf, Mapping):
                if column not in sections:
                    raise unknown(f"model in market table {name!r}:", column, sections)
                absent = [inner for inner in leaf if inner not in known]
                if absent:
                    raise unknown(f"market value in {name}.{column}:", absent[0], known)
            elif column not in known:
                raise unknown(f"market value in table {name!r}:", column, known)
