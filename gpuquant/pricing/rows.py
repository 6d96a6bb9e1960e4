"""The rows of a book on their way into batches: read, checked and sorted by product and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuquant.data.arrow import Words
from gpuquant.data.choices import loose, spellings
from gpuquant.data.columns import defaults, domains
from gpuquant.data.domains import Domain
from gpuquant.data.market import Market
from gpuquant.errors import unknown
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.schema import section

SMILE = (
    "priced at the one volatility of its level: the smile's slope, and other levels on the way, "
    "are left out; LocalVolatility takes the whole surface"
)


@dataclass(frozen=True)
class _Rows:
    """A book in its market while it is sorted; rows that fall out leave a message."""

    book: Contracts
    market: Market
    messages: np.ndarray
    maturity: np.ndarray
    underlying: Words
    streams: np.ndarray
    read: dict[str, np.ndarray | None] = field(default_factory=dict)

    def check_kinds(self, payoff: type[Payoff], model: type[Model]) -> None:
        """Raise an error for a column whose values all have the wrong type: that is not the fault
        of one row.
        """
        for name, domain in {**domains(payoff), **domains(model)}.items():
            self.book.text(name, "") if domain.words else None if domain.listed else self._numbers(
                name
            )

    def _numbers(self, name: str) -> np.ndarray | None:
        """A column of numbers, read once."""
        if name not in self.read:
            self.read[name] = self.book.numbers(name)
        return self.read[name]

    def lost(self, row: int, why: str) -> None:
        """A row that fails by itself."""
        self.messages[row] = self.messages[row] or why

    def sort(
        self, payoff: type[Payoff], model: type[Model], result: list[Batch], rows: np.ndarray
    ) -> None:
        """Add the batches of these rows to those that were found: all of them, or none where
        something goes wrong.
        """
        result += list(self.batches(payoff, model, rows))

    def _left_out(
        self, payoff: type[Payoff], model: type[Model], rows: np.ndarray
    ) -> np.ndarray | None:
        """A note for each row whose volatility is read from a smile of which it needs more."""
        column = model.vega_column
        if payoff.vanilla or column not in domains(model) or domains(model)[column].listed:
            return None
        smiles = self.market.smiles(column, self.underlying.words, section(model))
        own = self._own(column, domains(model)[column], {}, rows)
        read = smiles[self.underlying.codes[rows]] & np.isnan(own)
        return np.where(read, SMILE, "").astype(object) if read.any() else None

    def batches(
        self, payoff: type[Payoff], model: type[Model], rows: np.ndarray
    ) -> Iterator[Batch]:
        """The good ones among `rows`, all of one payoff and one model."""
        rows = self._moved_by_scenario(model, rows)
        if not rows.size:
            return
        columns = {"maturity": self.maturity[rows]}
        for name, domain in domains(payoff).items():
            if name != "maturity":
                columns[name] = self._own(name, domain, defaults(payoff), rows)
        codes = self.underlying.codes[rows]
        # a surface is read at the strike, or at the spot where a product has none
        level = self.market.lookup(
            "spot",
            self.underlying.words,
            "",
            np.full(len(rows), np.nan),
            columns["maturity"],
            codes,
        )
        strike = columns.get("strike", level)
        for name, domain in domains(model).items():
            if name in model.by_asset:
                columns[name] = self._of_assets(model, name, domain, rows, columns["maturity"])
                continue
            if domain.listed or domain.words:  # a market holds numbers
                columns[name] = self._own(name, domain, defaults(model), rows)
                continue
            own = self._own(name, domain, {}, rows)
            quoted = self.market.lookup(
                name, self.underlying.words, section(model), strike, columns["maturity"], codes
            )
            columns[name] = self._shocked(model, name, own, quoted, codes)
        if model.variance_columns and "volatility" in self.market.shocks:
            columns |= self._variances(model, columns, codes, rows)
        good = np.ones(len(rows), bool)
        for name, domain in {**domains(payoff), **domains(model)}.items():
            good &= self._check(columns[name], name, domain, rows)
        kept = np.flatnonzero(good & (self.messages[rows] == ""))
        if kept.size:
            columns = {name: value[kept] for name, value in columns.items()}
            dynamics = model.from_columns({k: columns[k] for k in domains(model)})
            batch = Batch(
                dynamics,
                payoff.from_columns({k: columns[k] for k in domains(payoff)}),
                rows[kept],
                self.streams[rows[kept]],
                self._left_out(payoff, model, rows[kept]),
            )
            for part in batch.split():
                wrong = part.refused()
                if wrong is None:
                    yield from part.derived()
                    continue
                self.messages[part.rows] = wrong
                if (wrong == "").any():
                    yield from part.take(np.flatnonzero(wrong == "")).derived()

    def _shocked(
        self, model: type[Model], name: str, own: np.ndarray, quoted: np.ndarray, codes: np.ndarray
    ) -> np.ndarray:
        """A model's column: the row's own value, the market's, or the default, moved by the
        market's scenario.
        """
        market, words = self.market, self.underlying.words
        value = np.where(np.isnan(own), quoted, market.shocked(own, name, words, codes))
        fallback = np.full(len(own), float(defaults(model).get(name, np.nan)))
        return np.where(np.isnan(value), market.shocked(fallback, name, words, codes), value)

    def _moved_by_scenario(self, model: type[Model], rows: np.ndarray) -> np.ndarray:
        """The rows to which every shock of the scenario applies. The other rows get a message,
        because a price without the shock would look right.
        """
        held = [name for name, domain in domains(model).items() if not domain.listed] + [
            "volatility"
        ] * bool(model.variance_columns)
        named = self._names(rows)
        for name in sorted(
            {"spot", "rate", "dividend_yield", "volatility"} & set(self.market.shocks)
        ):
            if name in held:
                continue
            lost = (
                rows
                if name not in model.by_asset.values()
                else rows[np.array([names is None for names in named], dtype=bool)]
            )
            hint = (
                ": name its assets in a column 'underlyings'"
                if name in model.by_asset.values()
                else ""
            )
            add_message(
                self.messages,
                np.isin(np.arange(len(self.book)), lost),
                (
                    f"the scenario moves {name}, which {model.__name__} does not hold as one "
                    f"number{hint}"
                ),
            )
            keep = ~np.isin(rows, lost)
            rows, named = rows[keep], named[keep]
        return rows

    def _names(self, rows: np.ndarray) -> np.ndarray:
        """The names of the assets of each row's basket, None where it has none."""
        names = self.book.columns.get("underlyings")
        return np.full(len(rows), None, dtype=object) if names is None else np.asarray(names[rows])

    def _of_assets(
        self, model: type[Model], name: str, domain: Domain, rows: np.ndarray, maturity: np.ndarray
    ) -> np.ndarray:
        """A column with a number for each asset: the row's own list, or the market's by the
        names of the assets, moved by its scenario.
        """
        own, names = self._own(name, domain, defaults(model), rows), self._names(rows)
        if all(row is None for row in names):
            return own
        quoted = self.market.lists(model.by_asset[name], names, section(model), maturity)
        longest = max(own.shape[1], quoted.shape[1])
        own, quoted = (
            np.pad(v, ((0, 0), (0, longest - v.shape[1])), constant_values=np.nan)
            for v in (own, quoted)
        )
        given = np.isfinite(own).any(axis=1)
        for k in np.flatnonzero(~given & ~np.isin(rows, np.flatnonzero(self.messages != ""))):
            absent = [
                asset
                for asset, value in zip(names[k] or (), quoted[k], strict=False)
                if np.isnan(value)
            ]
            if absent and name not in defaults(model):
                self.messages[rows[k]] = (
                    f"{name}[{rows[k]}]: the market has no {model.by_asset[name]} of {absent[0]!r}"
                )
        shocked = np.array(
            [
                self._moved_list(model.by_asset[name], row, values)
                for row, values in zip(names, own, strict=True)
            ]
        )
        return np.where(given[:, None], shocked, quoted)

    def _moved_list(
        self, column: str, names: tuple[str, ...] | None, values: np.ndarray
    ) -> np.ndarray:
        """A row's own numbers, one for each of its assets or one for all, moved by the scenario."""
        if names is None or column not in self.market.shocks:
            return values
        words = [*names, *[""] * (len(values) - len(names))][: len(values)]
        return self.market.shocked(values, column, words, np.arange(len(values)))

    def _variances(
        self,
        model: type[Model],
        columns: Mapping[str, np.ndarray],
        codes: np.ndarray,
        rows: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """The variances of a model under a shock of volatility: today's volatility is shocked, and
        all variances are multiplied by the same factor.
        """
        today = columns[model.variance_columns[0]]
        volatility = np.sqrt(np.maximum(today, 0.0))
        moved = self.market.shocked(volatility, "volatility", self.underlying.words, codes)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = (
                np.where(
                    moved == volatility, 1.0, np.where(volatility > 0.0, moved / volatility, np.nan)
                )
                ** 2
            )
        unknown_share = np.isnan(factor) & ~np.isnan(today)
        reason = (
            f"{model.variance_columns[0]} is 0: a scenario of volatility moves all variances "
            "in proportion to it"
        )
        add_message(self.messages, np.isin(np.arange(len(self.book)), rows[unknown_share]), reason)
        return {
            name: np.where(moved >= 0.0, columns[name] * factor, -1.0)
            for name in model.variance_columns
        }

    def _own(
        self, name: str, domain: Domain, fallback: Mapping[str, Any], rows: np.ndarray
    ) -> np.ndarray:
        """The rows' own values of a column, the member's default where they have none, else NaN;
        unknown words are infinite.
        """
        value = self.book.columns.get(name)
        default = fallback.get(name, np.nan)
        if domain.words:
            table = spellings(domain)
            start = table[loose(default)] if isinstance(default, str) else default
            if value is None:
                return np.full(len(rows), start)
            words = self.book.text(name, "")
            codes = np.array([table.get(loose(word), np.inf) for word in words.words] + [start])
            return np.asarray(codes[words.codes[rows]])
        if domain.listed:
            lists = self.book.lists(name, rows)
            return np.full((len(rows), 1), np.nan) if lists is None else lists
        own = self._numbers(name)
        if own is None:
            return np.full(len(rows), float(default))
        return np.where(np.isnan(own[rows]), float(default), own[rows])

    def _check(self, values: np.ndarray, name: str, domain: Domain, rows: np.ndarray) -> np.ndarray:
        """A mask of the rows inside the domain; the others get a message."""
        wrong = domain.bad(values)
        for k in np.flatnonzero(wrong):
            row = rows[k]
            if self.messages[row]:
                continue
            own = self.book.columns.get(name)
            shown = (
                own.take(rows[k : k + 1]).array()[0]
                if isinstance(own, Words)
                else values[k].tolist()
            )
            if np.isnan(values[k]).all():
                self.messages[row] = (
                    f"{name}[{row}] is missing: {domain.rule}; give it in the row or in the market"
                )
            elif domain.words:
                self.messages[row] = (
                    f"{name}[{row}] = {shown!r}: {unknown(name, shown, domain.words)}"
                )
            else:
                self.messages[row] = f"{name}[{row}] = {shown!r}: {domain.rule}"
        return np.asarray(~wrong)


def add_message(messages: np.ndarray, mask: np.ndarray, text: str) -> None:
    """Give the rows of a mask a message, where they have none yet."""
    rows = np.flatnonzero(mask)
    rows = rows[messages[rows] == ""]
    messages[rows] = text


def _known(
    table: Mapping[str, Any], word: str | None, kind: str, messages: np.ndarray, rows: np.ndarray
) -> Any:
    """The member called `word`, or None with a message on its rows."""
    result = table.get(loose(word)) if word else None
    if result is None:
        text = (
            str(unknown(kind, word, (cls.__name__ for cls in table.values())))
            if word
            else f"{kind} is missing"
        )
        for row in rows:
            messages[row] = messages[row] or f"{kind}[{row}]: {text}"
    return result
