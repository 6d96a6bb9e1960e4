"""Batches: the rows of any input sorted into what one kernel can price, joined with the market.

A row's own column wins over the market's value, which wins over the member's default. A row that
cannot be priced is set aside with a message that names column, value and what is allowed; the
others do not notice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.data.arrow import Words
from gpuquant.data.columns import Domain, counted, defaults, domains, loose, spellings
from gpuquant.data.market import Market
from gpuquant.errors import InputError, MemberError, unknown
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.expired import expired
from gpuquant.pricing.isolate import isolate
from gpuquant.pricing.schema import check_names, models, payoffs, section


@dataclass(frozen=True)
class Batch:
    """Rows that one kernel prices.

    Parameters
    ----------
    model, payoff : Model and Payoff
        Checked columns of length 1 or n.
    rows : int array, shape (n,)
        Their positions in the caller's order.
    streams : int64 array, shape (n,)
        Random stream of each.
    """

    model: Model
    payoff: Payoff
    rows: np.ndarray
    streams: np.ndarray

    @property
    def fixed(self) -> tuple[tuple[str, float], ...]:
        """The choices that are constants of the kernel."""
        found = []
        for member in (self.model, self.payoff):
            for name, domain in domains(type(member)).items():
                if domain.compile_time_constant:
                    found.append((name, float(getattr(member, name)[0])))
        return tuple(found)

    def together(self) -> SimpleNamespace:
        """The columns of model and payoff side by side, and how many `assets` the model has."""
        assets = self.model.assets
        count = dict(self.lengths)[assets] if isinstance(assets, str) else assets
        return SimpleNamespace(**{**self.model.columns(), **self.payoff.columns()}, assets=count)

    def refused(self) -> np.ndarray | None:
        """Per row, what does not go together in it, empty where nothing is wrong; None where
        nothing is wrong in any.
        """
        n = len(self.rows)
        wrong = fits(self.model, self.payoff, dict(self.lengths))
        if wrong:
            return np.full(n, wrong, dtype=object)
        return said_first(
            [
                *(member.refuse(self.together()) for member in (self.model, self.payoff)),
                self._infinite(),
            ],
            n,
        )

    def _infinite(self) -> np.ndarray | None:
        """Per row, that its price is infinite, where it pays a power of the price whose mean is."""
        order = self.payoff.moment(self.together())
        since = None if order is None else self.model.explosion(self.model, order)
        if order is None or since is None or not (since < self.payoff.maturity).any():
            return None
        n = len(self.rows)
        order, since, maturity = (
            np.broadcast_to(value, n) for value in (order, since, self.payoff.maturity)
        )
        said = [
            f"the price is infinite: the mean of S^{p:g} is, from {t:.3g} years on"
            if t < end
            else ""
            for p, t, end in zip(order, since, maturity, strict=True)
        ]
        return np.array(said, dtype=object)

    def warned(self) -> np.ndarray | None:
        """Per row, what is right but surprising in it, empty where nothing is; None where
        nothing is in any.
        """
        try:
            return said_first(
                [self.model.warn(self.model), self.payoff.warn(self.together())], len(self.rows)
            )
        except AttributeError as failure:
            raise MemberError(
                f"{type(self.payoff).__name__} under {type(self.model).__name__}: the "
                f"model has no {failure.name}"
            ) from failure

    @property
    def lengths(self) -> tuple[tuple[str, int], ...]:
        """How long the lists are that a kernel reads."""
        return tuple(
            (name, getattr(m, name).shape[1])
            for m in (self.model, self.payoff)
            for name, d in domains(type(m)).items()
            if d.listed and not d.host_only
        )

    @property
    def draws(self) -> int:
        """Normals and uniforms of one step."""
        long = dict(self.lengths)
        return sum(
            long[stated] if isinstance(stated, str) else stated
            for stated in (self.model.normals, self.model.uniforms)
        )

    def derived(self) -> Iterator[Batch]:
        """The same rows with the columns that follow from others; those that mature now apart,
        under prices that do not move.
        """
        now = np.flatnonzero(np.broadcast_to(self.payoff.maturity == 0.0, len(self.rows)))
        later = (
            self.take(np.flatnonzero(np.broadcast_to(self.payoff.maturity > 0.0, len(self.rows))))
            if len(now)
            else self
        )
        if len(later.rows):
            yield Batch(
                later.model.with_derived_columns(),
                later.payoff.with_derived_columns(),
                later.rows,
                later.streams,
            )
        if len(now):
            due = self.take(now)
            lasting = due.payoff.from_columns(
                {**due.payoff.columns(), "maturity": np.ones(1)}
            ).with_derived_columns()
            yield Batch(expired(due.model.with_derived_columns()), lasting, due.rows, due.streams)

    def split(self) -> Iterator[Batch]:
        """One batch for each set of fixed choices and lengths of lists."""
        n = len(self.rows)
        codes = []
        for member in (self.model, self.payoff):
            for name, domain in domains(type(member)).items():
                if domain.compile_time_constant:
                    codes.append(np.broadcast_to(getattr(member, name), n))
                elif domain.listed and not (domain.host_only or domain.derived):
                    codes.append(np.broadcast_to(counted(getattr(member, name)), n))
        if not codes or all(np.ptp(c) == 0 for c in codes):
            wide = any(
                getattr(m, name).shape[1] > counted(getattr(m, name)).max()
                for m in (self.model, self.payoff)
                for name, d in domains(type(m)).items()
                if d.listed
            )
            yield (
                self.take(np.arange(n)) if wide else self
            )  # a frame's lists are as wide as its longest
            return
        kinds, inverse = np.unique(np.stack(codes), axis=1, return_inverse=True)
        for k in range(kinds.shape[1]):
            yield self.take(np.flatnonzero(inverse.ravel() == k))

    def take(self, which: np.ndarray) -> Batch:
        """The batch of these of its rows."""
        return Batch(
            self.model.take(which), self.payoff.take(which), self.rows[which], self.streams[which]
        )


def said_first(said: list[np.ndarray | None], n: int) -> np.ndarray | None:
    """The first sentence there is for each row, shape (n,); None where there is none for any."""
    found = [np.broadcast_to(one, n).astype(object) for one in said if one is not None]
    return (
        functools.reduce(lambda first, second: np.where(first == "", second, first), found)
        if found
        else None
    )


def fits(model: Any, payoff: Any, lengths: Mapping[str, int]) -> str:
    """Why a payoff is not on as many assets as a model has, or nothing; of members or their
    classes.
    """
    assets = lengths[model.assets] if isinstance(model.assets, str) else model.assets
    if payoff.assets == assets or (payoff.assets == 0 and assets > 1):
        return ""
    names = [(one if isinstance(one, type) else type(one)).__name__ for one in (payoff, model)]
    return (
        f"{names[0]} is on {payoff.assets or 'several'} asset{'s' * (payoff.assets != 1)}, "
        f"{names[1]} has {assets} here"
    )


def batches_of(
    contracts: Any, model: Model | None, market: Any
) -> tuple[Contracts | None, list[Batch], np.ndarray, bool]:
    """The rows of any kind of input in batches, and whether the input was one plain contract."""
    if isinstance(contracts, Payoff):
        if not isinstance(model, Model):
            raise InputError(
                f"model = {model!r}: a payoff is priced under a model, such as "
                "gpuquant.models.BlackScholes(...)"
            )
        n = max(contracts.rows, model.rows)
        for member in (contracts, model):
            if member.rows not in (1, n):
                raise InputError(
                    f"{type(member).__name__} has {member.rows} rows where the other has "
                    f"{n}: lengths must be equal or 1"
                )
        batch = Batch(model, contracts, np.arange(n), np.arange(n, dtype=np.int64))
        parts = list(batch.split())
        for part in parts:
            wrong = part.refused()
            if wrong is not None and (wrong != "").any():
                k = int(np.flatnonzero(wrong != "")[0])
                raise InputError(f"{type(contracts).__name__} row {part.rows[k]}: {wrong[k]}")
        return (
            None,
            [due for part in parts for due in part.derived()],
            np.broadcast_to(np.array("", dtype=object), n),
            contracts.scalar and model.scalar,
        )
    if model is not None:
        raise InputError("model = ...: a book takes its models from its column 'model'")
    if isinstance(contracts, str | Path):
        contracts = Contracts.read(contracts)
    elif not isinstance(contracts, Contracts):
        if hasattr(contracts, "__arrow_c_stream__") and not hasattr(contracts, "index"):
            import pyarrow as pa

            contracts = Contracts.from_arrow(pa.table(contracts))
        elif not hasattr(contracts, "columns") or not hasattr(contracts, "index"):
            raise InputError(
                f"contracts = {type(contracts).__name__}: must be a payoff, a frame, "
                "Contracts or the path of a file"
            )
        contracts = (
            contracts if isinstance(contracts, Contracts) else Contracts.from_frame(contracts)
        )
    if market is None or isinstance(market, Mapping):
        market = Market(market or {})
    elif not isinstance(market, Market):
        market = Market.read(market)
    found, messages = joined(contracts, market)
    return contracts, found, messages, False


def joined(book: Contracts, market: Market) -> tuple[list[Batch], np.ndarray]:
    """The priceable rows of a book in batches, and per row a message where it is not priceable
    (empty elsewhere).
    """
    messages = np.full(len(book), "", dtype=object)
    check_names(market)
    rows = _Rows(
        book,
        market,
        messages,
        book.maturities(market.asof, messages),
        book.text("underlying", ""),
        book.streams(messages),
    )
    product, model, exercise = (
        book.text("product", ""),
        book.text("model", "black_scholes"),
        book.text("exercise", "european"),
    )
    for code, word in enumerate(exercise.words):
        if loose(word) != "european":
            _note(messages, exercise.codes == code, f"exercise = {word!r}: must be european")
    amounts = book.amounts()
    for row in np.flatnonzero(~np.isfinite(amounts)):
        messages[row] = f"quantity x multiplier [{row}] = {float(amounts[row])!r}: must be finite"
    model_code = np.where(model.codes < 0, len(model.words), model.codes)
    model_words = [*model.words, "black_scholes"]
    found: list[Batch] = []
    for p, product_word in enumerate([*product.words, None]):
        of_product = np.flatnonzero(product.codes == (p if product_word is not None else -1))
        if not of_product.size:
            continue
        payoff = _known(payoffs(), product_word, "product", messages, of_product)
        for m in np.unique(model_code[of_product]):
            both = of_product[model_code[of_product] == m]
            dynamics = _known(models(), model_words[m], "model", messages, both)
            both = both[messages[both] == ""]
            if payoff is not None and dynamics is not None and both.size:
                rows.check_kinds(payoff, dynamics)
                isolate(functools.partial(rows.sort, payoff, dynamics, found), both, rows.lost)
    return found, messages


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
        """Refuse a column that holds another kind of thing throughout: that is no fault of one
        row.
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
        self, payoff: type[Payoff], model: type[Model], found: list[Batch], rows: np.ndarray
    ) -> None:
        """Add the batches of these rows to those that were found: all of them, or none where
        something goes wrong.
        """
        found += list(self.batches(payoff, model, rows))

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
        """The rows that every move of the scenario reaches; for a price that does not move would
        look right.
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
            _note(
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
        """The variances of a model under a scenario of volatility: today's volatility moves as
        it says, and all variances in proportion.
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
        still = np.isnan(factor) & ~np.isnan(today)
        said = (
            f"{model.variance_columns[0]} is 0: a scenario of volatility moves all variances "
            "in proportion to it"
        )
        _note(self.messages, np.isin(np.arange(len(self.book)), rows[still]), said)
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


def _note(messages: np.ndarray, mask: np.ndarray, text: str) -> None:
    rows = np.flatnonzero(mask)
    rows = rows[messages[rows] == ""]
    messages[rows] = text


def _known(
    table: Mapping[str, Any], word: str | None, kind: str, messages: np.ndarray, rows: np.ndarray
) -> Any:
    """The member called `word`, or None with a message on its rows."""
    found = table.get(loose(word)) if word else None
    if found is None:
        text = (
            str(unknown(kind, word, (cls.__name__ for cls in table.values())))
            if word
            else f"{kind} is missing"
        )
        for row in rows:
            messages[row] = messages[row] or f"{kind}[{row}]: {text}"
    return found
