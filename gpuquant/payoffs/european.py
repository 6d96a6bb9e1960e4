"""European: a call or a put at maturity."""

from __future__ import annotations

from dataclasses import dataclass

from gpuquant.payoffs.base import Vanilla


@dataclass(frozen=True)
class European(Vanilla):
    """max(S_T - strike, 0) for a call, max(strike - S_T, 0) for a put.

    Parameters
    ----------
    option_type : Column, shape (n,)
        call or put.
    strike : Column, shape (n,)
        In currency units; > 0.
    maturity : Column, shape (n,)
        Years from today; 0 is now.

    References
    ----------
    Black and Scholes (1973); Black (1976).
    """
