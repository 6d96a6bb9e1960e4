"""The growing results of a pricing run, in the caller's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuquant.pricing.greeks import greek
from gpuquant.pricing.request import ENGINES, Task
from gpuquant.pricing.results import FAILED, OK, STATUS, WARNING

NAMED = ("", *ENGINES[1:])


class Table:
    """Values, errors, engine, status and message of every row; a row nobody prices has failed."""

    def __init__(self, n: int, task: Task) -> None:
        self.greeks = task.greeks
        self.implied = np.full((n if task.implied_vol else 0, 2), np.nan)
        shape = (n, task.outputs)
        self.values = np.full(shape, np.nan, order="F")  # by columns, as they are asked for
        self.errors = np.full(shape, np.nan, order="F")
        self.engine = np.zeros(n, np.int8)
        self.status = np.full(n, FAILED)
        self._message: np.ndarray | None = None
        self.paths = np.zeros(n, np.int64)

    @property
    def message(self) -> np.ndarray:
        """The message of each row; the array is made when the first message is."""
        if self._message is None:
            self._message = np.full(len(self.status), "", dtype=object)
        return self._message

    def put(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        errors: Any,
        engine: str,
        paths: Any,
        message: Any = None,
        warned: Any = None,
    ) -> None:
        """Record the results of rows. A price that is not finite fails with a message. A row with a
        message has status warning, unless `warned` says which rows have.
        """
        n = len(self.status)
        there: Any = slice(None) if len(rows) == n else rows  # a batch keeps the caller's order
        self.values[there], self.errors[there] = values, errors
        self.engine[there], self.paths[there] = NAMED.index(engine), paths
        fine = np.isfinite(values[:, 0])
        self.status[there] = OK
        if not fine.all():
            self.status[rows[~fine]] = FAILED
        if message is not None:
            self.message[rows] = message
            self.status[rows[fine & ((message != "") if warned is None else warned)]] = WARNING
        if fine.all() and values.shape[1] == 1:
            return
        self.message[rows[~fine]] = (
            "the price is not finite: a parameter is beyond what the arithmetic can hold"
        )
        self.values[rows[~fine]] = np.nan
        unknown_greek = fine & ~np.isfinite(values).all(axis=1)
        for k in np.flatnonzero(unknown_greek):
            lost = [
                name
                for name, value in zip(self.greeks, values[k, 1:], strict=True)
                if not np.isfinite(value)
            ]
            note = (
                f"{', '.join(lost)} undefined: this row has nothing that would move so, or it is "
                "zero, or the price has a kink; the assets of a basket have delta1, delta2, ..."
            )
            self.message[rows[k]] = (
                f"{self.message[rows[k]]}; {note}" if self.message[rows[k]] else note
            )
        self.status[rows[unknown_greek]] = WARNING
        self.values[rows[unknown_greek]] = np.where(
            np.isfinite(values[unknown_greek]), values[unknown_greek], np.nan
        )

    def note(self, rows: np.ndarray, text: str) -> None:
        """Warn of rows."""
        for row in rows.tolist():
            self.message[row] = f"{self.message[row]}; {text}" if self.message[row] else text
        self.status[rows] = WARNING

    def lose(self, rows: np.ndarray, k: int, why: str) -> None:
        """Record that the `k`-th of these rows has no price, and why."""
        row = rows[k]
        self.message[row] = why
        self.status[row] = FAILED
        self.values[row], self.errors[row] = np.nan, np.nan

    def fail(self, messages: np.ndarray) -> None:
        """Rows set aside before pricing."""
        bad = np.flatnonzero(messages != "")
        if bad.size:
            self.message[bad] = messages[bad]

    def columns(self, units: str) -> dict[str, np.ndarray]:
        """Result columns by name."""
        out = {"price": self.values[:, 0], "std_error": self.errors[:, 0]}
        for o in range(1, self.values.shape[1]):
            name = self.greeks[o - 1]
            factor = greek(name).desk if units == "desk" else 1.0
            for column, values in ((name, self.values), (f"{name}_std_error", self.errors)):
                out[column] = values[:, o] if factor == 1.0 else values[:, o] * factor
        if len(self.implied):
            out["implied_vol"], out["implied_vol_std_error"] = self.implied.T
        return {
            **out,
            "paths": self.paths,
            "engine": _words(self.engine, NAMED),
            "status": _words(self.status, STATUS.tolist()),
            "message": np.broadcast_to(np.array("", dtype=object), len(self.status))
            if self._message is None
            else self._message,
        }


def _words(codes: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """The word of each code, as objects; one in memory where all are the same."""
    if codes.min() == codes.max():
        return np.broadcast_to(np.array(words[int(codes[0])], dtype=object), codes.shape)
    return np.array(words, dtype=object)[codes]
