"""A ledger of everything that was tried, which the deflated Sharpe ratio reads.

One Parquet file, one row per trial: what was tried (a hash of its description), when, its out-of-sample Sharpe ratio per bar and
over how many bars. Trying the same thing twice counts once.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("when", "trial", "description", "sharpe", "bars")


@dataclass(frozen=True)
class Ledger:
    """Trials kept in a file.

    Parameters
    ----------
    path : path
        A Parquet file; made at the first trial.
    """

    path: str | Path

    def record(self, description: Any, returns: np.ndarray) -> str:
        """Add a trial and give its hash; `description` is anything JSON holds."""
        import pandas as pd

        text = json.dumps(description, sort_keys=True, default=str)
        trial = hashlib.sha256(text.encode()).hexdigest()[:16]
        row = {
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "trial": trial,
            "description": text,
            "sharpe": measures.sharpe(returns, 1.0),
            "bars": len(returns),
        }
        known = self.frame()
        new = pd.DataFrame([row], columns=list(COLUMNS))
        everything = new if known.empty else pd.concat([known, new], ignore_index=True)
        scratch = Path(self.path).with_suffix(".tmp")
        everything.to_parquet(scratch)
        scratch.replace(self.path)
        return trial

    def frame(self) -> pd.DataFrame:
        """Every trial, oldest first."""
        import pandas as pd

        return pd.read_parquet(self.path) if Path(self.path).exists() else pd.DataFrame(columns=list(COLUMNS))

    def trials(self) -> tuple[int, float]:
        """How many different things were tried, and the standard deviation of their Sharpe ratios per bar."""
        latest = self.frame().drop_duplicates("trial", keep="last")
        ratios = latest["sharpe"].to_numpy(float)
        return len(ratios), float(np.nanstd(ratios, ddof=1)) if len(ratios) > 1 else 0.0

    def deflated_sharpe(self, returns: np.ndarray) -> float:
        """Probability that the true Sharpe ratio beats the best that luck gives among the trials recorded."""
        return measures.deflated_sharpe(returns, *self.trials())
