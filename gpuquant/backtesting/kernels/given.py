"""The rules behind what a caller gives bar by bar, or as orders: they have no parameters."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.rules.base import Rule


@dataclass(frozen=True)
class Given(Rule):
    """The base of them."""

    abstract = True

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0


class Weights(Given):
    """Target shares of the equity, with shared cash."""

    abstract = True
    decides = "share"


class Amounts(Given):
    """Target units, with shared cash."""

    abstract = True
    decides = "units"


class Signals(Given):
    """Directions: each asset is an account that follows its own column."""

    abstract = True


class RestingOrders(Given):
    """Resting orders, with shared cash."""

    abstract = True


class EntrySignals(Given):
    """Entries and exits of each asset, which look at what it holds."""

    abstract = True

    @classmethod
    def sees_account(cls) -> bool:
        """They rest on what is held."""
        return True


SHARED = (Weights, Amounts, RestingOrders)  # one account for all assets
