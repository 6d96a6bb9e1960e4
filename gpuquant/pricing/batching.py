"""Batches: the rows of any input, joined with the market and grouped so that one kernel can price
each group.

A row's own value has priority over the market's value, and the market's value over the member's
default. A row that cannot be priced gets a message with the column, its value and the allowed
values. Such a row does not affect the other rows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.data.choices import loose
from gpuquant.data.market import Market
from gpuquant.errors import InputError
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.isolate import isolate
from gpuquant.pricing.rows import _known, _Rows, add_message
from gpuquant.pricing.schema import check_names, models, payoffs


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
        rows = np.arange(n, dtype=np.int64)
        batch = Batch(model, contracts, rows, rows)
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
    result, messages = joined(contracts, market)
    return contracts, result, messages, False


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
            add_message(messages, exercise.codes == code, f"exercise = {word!r}: must be european")
    amounts = book.amounts()
    for row in np.flatnonzero(~np.isfinite(amounts)):
        messages[row] = f"quantity x multiplier [{row}] = {float(amounts[row])!r}: must be finite"
    model_code = np.where(model.codes < 0, len(model.words), model.codes)
    model_words = [*model.words, "black_scholes"]
    result: list[Batch] = []
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
                isolate(functools.partial(rows.sort, payoff, dynamics, result), both, rows.lost)
    return result, messages
