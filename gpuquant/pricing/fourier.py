"""Fourier prices, for a model with a known characteristic function and a payoff of the last price
with a known transform.

price = lognormal price + discount / pi * integral over u > 0 of Re[g(u) (phi(u - i/2) - phi_0(u -
i/2))], Lewis (2001). The control variate phi_0 is a lognormal with the model's own mean variance;
with it the integrand has no poles at u = +-i/2. The path of u is bent, by a hyperbolic sine, into
the half-plane where the integrand decays. On this path equal steps converge exponentially
(Boyarchenko and Levendorskii, 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.data.columns import cached
from gpuquant.errors import MemberError
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormal
from gpuquant.payoffs.base import Payoff, Vanilla
from gpuquant.pricing.differences import extrapolated
from gpuquant.pricing.kernels import fourier_loop

POINTS = 20  # points of the coarsest rule
FINEST = 9  # halvings of the step after which a row is given up
STRAIGHT = 0.1  # sin w below which the error decreases slowly
TURNS = 6.0  # radians per unit of x that the coarsest rules can resolve
MANY_TURNS = 1e3  # radians per unit of x where they cannot be computed
LEAST = 1e-15  # share of the amount at stake: the integral ends where the integrand is smaller
FIRST = 2.8  # x up to which phi_0 is not negligible: the integral does not end before
STRIDE = 0.5  # step of x in the search for the end of the integral
BEYOND = (0.15, 0.4, 0.7, 1.1, 1.6, 2.3)  # distances past the end: the integrand is tested there
SMALL = 1e-12  # upper limit of the integrand in that test
SLOW = 10.0  # x from which on a tail decays as a power: the integral ends at 1000 LEAST there
LAST = 17.0  # x at which the integral always ends
# A row has converged when a halving changes less than this share of the amount at stake. The next
# halving would change about the square of it.
ENOUGH = 1e-8
SLOWLY = 1e-4  # factor of ENOUGH where convergence is slow: a straight path, or too many turns
FEW = 32  # rows at once of options on a mean on arrays: points times dates complex numbers each
MANY = 4096  # the same in a kernel: their dates and weights
OF_MEAN = ("_mean", "_convexity", "_spread")
CHUNK = 1 << 15  # complex numbers of one block of arrays: 512 kB


def price(
    model: Model, payoff: Payoff, device: Any, greeks: tuple[str, ...] = ()
) -> np.ndarray | None:
    """Price and Greeks, shape (n, outputs), the Greeks by extrapolated central differences; None
    when the pair has no transform.
    """
    return extrapolated(model, payoff, device, greeks, values)


def values(
    model: type[Model], payoff: type[Payoff], columns: dict[str, Any], device: Any
) -> Any | None:
    """Prices, shape (n,), NaN where the integral does not converge; None when the pair has no
    transform. A row has the same bits in any company.
    """
    xp = device.xp
    n = max(len(value) for value in columns.values())
    rows = {
        name: xp.broadcast_to(value, (n,)) for name, value in columns.items() if value.ndim == 1
    }
    if payoff.log_mean is not Payoff.log_mean:
        return _means(model, payoff, columns, rows, device)
    if model.characteristic is Model.characteristic or payoff.transform is Payoff.transform:
        return None
    kernel = _kernel(model, payoff, tuple(rows), device)
    size = -(-n // device.threads) if kernel else CHUNK // POINTS
    out = xp.empty(n)

    def price_part(which: slice) -> None:
        with np.errstate(all="ignore"):  # what does not converge is NaN
            out[which] = _priced(
                model, payoff, {k: v[which] for k, v in rows.items()}, kernel, device
            )

    device.each(price_part, n, size)
    return out


def _means(
    model: type[Model],
    payoff: type[Payoff],
    columns: dict[str, Any],
    rows: dict[str, Any],
    device: Any,
) -> Any | None:
    """Prices of options on a geometric mean, shape (n,): vanilla options under the model of the
    mean. None where no row is one, or the model does not know the law.
    """
    n = len(rows["maturity"])
    out, known = device.xp.full(n, np.nan), []
    mean = _mean_of(model)
    kernel = _kernel(mean, Vanilla, (*rows, *OF_MEAN), device)
    size = min(-(-n // device.threads), MANY) if kernel else FEW

    def price_part(which: slice) -> None:
        some = {name: value[which] for name, value in rows.items()}
        own = {k: v if len(v) == 1 else v[which] for k, v in columns.items()}
        with np.errstate(all="ignore"):
            found = _of_mean(model, payoff, own, some, device)
            known.append(found is not None)
            if found is not None:
                out[which] = _priced(mean, Vanilla, {**some, **found}, kernel, device)

    device.each(price_part, n, size)
    return out if any(known) else None


def _of_mean(
    model: type[Model],
    payoff: type[Payoff],
    columns: dict[str, Any],
    rows: dict[str, Any],
    device: Any,
) -> dict[str, Any] | None:
    """What a row has besides if its payoff is an option on a geometric mean: `OF_MEAN`, which are
    the forward of the mean, how far the mean of its logarithm lies below that, and the variance of
    a lognormal beside it; and the years and weights of `Model.characteristic_of_sum`. None where no
    row is one, or the model does not know the law.
    """
    xp, n = device.xp, len(rows["maturity"])
    row = SimpleNamespace(**{"passed": xp.zeros(1), **columns})
    described = payoff.log_mean(row, xp)
    if described is None or xp.isnan(described[0]).all():
        return None
    constant, dates, weights = described
    dates, weights = (xp.broadcast_to(one, (n, one.shape[1])) for one in (dates, weights))
    left = xp.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    spans, lefts = xp.diff(dates, axis=1, prepend=0.0)[:, ::-1], left[:, ::-1]
    row = SimpleNamespace(**rows)
    mean = model.characteristic_of_sum(row, xp.full(n, -1j), spans, lefts, xp, device.special)
    if mean is None:
        return None
    wide = SimpleNamespace(**{name: value[:, None] for name, value in rows.items()})
    until = model.mean_variance(wide, dates, xp, device.special)
    variance = _summed(left * left * xp.diff(until, axis=1, prepend=0.0), xp)
    level = constant + _summed(weights * xp.log(model.forward(wide, dates, xp)), xp)
    convexity = xp.log(mean.real)
    return {
        **dict(zip(OF_MEAN, (xp.exp(level + convexity), convexity, variance), strict=True)),
        "_spans": spans,
        "_lefts": lefts,
    }


def _summed(values: Any, xp: Any) -> Any:
    """Sums over dates, from the first to the last: dates without weight change no bit."""
    return xp.cumsum(values, axis=-1)[..., -1]


@cached
def _mean_of(model: type[Model]) -> type[Model]:
    """The model whose price is the geometric mean of another's."""

    def characteristic(m: Any, z: Any, t: Any, xp: Any, special: Any) -> Any:
        total = model.characteristic_of_sum(m, z, m._spans, m._lefts, xp, special)
        return total * xp.exp(-1j * z * m._convexity)

    def forward(m: Any, t: Any, xp: Any) -> Any:
        return m._mean

    def control_variance(m: Any, t: Any, xp: Any, special: Any) -> Any:
        return m._spread

    functions = (characteristic, forward, control_variance)
    own = {one.__name__: staticmethod(one) for one in functions}
    return type("Mean", (model,), {"abstract": True, "mean_of": model, **own})


def _kernel(
    model: type[Model], payoff: type[Payoff], names: tuple[str, ...], device: Any
) -> fourier_loop.Kernel | None:
    """The kernel of a pair on `device`; None where its formulas are more than a kernel
    understands, for arrays understand them all.
    """
    kernel = cache(
        partial(fourier_loop.source, model, payoff, names)
    )  # looked up once for the many launches of an integral
    try:
        kernel(device.kind)
    except MemberError:
        return None
    return kernel


def _priced(
    model: type[Model],
    payoff: type[Payoff],
    columns: dict[str, Any],
    kernel: fourier_loop.Kernel | None,
    device: Any,
) -> Any:
    """Prices, shape (n,), NaN where the integral does not converge."""
    xp, row = device.xp, SimpleNamespace(**columns)
    t = row.maturity
    variance = model.control_variance(row, t, xp, device.special)
    forward = model.forward(row, t, xp)
    law = Lognormal.ending(forward, t, forward, variance, model.discount_factor(row, t, xp), xp)
    scale = 1.0 / xp.sqrt(variance)
    unit = (
        0.25 * xp.abs(payoff.transform(row, xp.zeros(len(t)), forward, xp)) + 1e-300
    )  # the amount at stake: sqrt(forward strike) of an option
    own = {
        "_forward": forward,
        "_unit": unit,
        "_variance": variance,
        "_scale": scale,
        "_bend": xp.zeros(len(t)) + model.analyticity_angle(row, xp),
        "_end": xp.ones(len(t)),
    }
    path = _Path(model, payoff, {**columns, **own}, xp.full(len(t), ENOUGH), kernel, device)
    first = xp.full(len(t), FIRST)
    up, down = path.size(first), path.with_(_bend=-own["_bend"]).size(first)
    # The radians by which the integrand turns per unit of x, from the ratio of its sizes on the
    # two paths. Far from the money the integrand turns fast.
    turns = xp.nan_to_num(
        xp.abs(xp.log(up / down))
        / (2.0 * xp.maximum(own["_bend"], 1e-2) * (math.cosh(FIRST) - 1.0)),
        nan=MANY_TURNS,
        posinf=MANY_TURNS,
    )
    path = path.with_(
        _bend=xp.where(up <= down, own["_bend"], -own["_bend"]),
        _scale=scale / xp.maximum(turns / TURNS, 1.0),
    )
    end = path.end()
    # The integrand is large again past its end: with jumps of one size it may only have paused.
    wild = sum(path.size(end + further) > SMALL for further in BEYOND) > 0
    path = path.with_(_bend=xp.where(wild, 0.0, path.columns["_bend"]), _end=end)
    if wild.any():
        path.columns["_end"][wild] = path.take(wild).end()
    slow = (xp.abs(path.columns["_bend"]) < STRAIGHT) | (turns > TURNS)
    path = replace(path, enough=xp.where(slow, SLOWLY * ENOUGH, ENOUGH))
    return (
        payoff.closed(row, law, xp, device.special)
        + law.discount * unit / math.pi * path.integral()
    )


@dataclass(frozen=True)
class _Path:
    """The integrand along the path of each row, in units of the amount at stake; columns of shape
    (n,), those of `fourier_loop.OWN` among them.

    `enough` is the change by a last halving after which a row has converged, shape (n,).

    u(-x) is -conj(u(x)), and the real part of the integrand is the same at both points: half of a
    path is enough. A path with the opposite bend has the same integral.
    """

    model: type[Model]
    payoff: type[Payoff]
    columns: dict[str, Any]
    enough: Any
    kernel: fourier_loop.Kernel | None
    device: Any

    def take(self, which: Any) -> _Path:
        """The paths of these rows."""
        return replace(
            self,
            columns={name: value[which] for name, value in self.columns.items()},
            enough=self.enough[which],
        )

    def with_(self, **columns: Any) -> _Path:
        """The same paths with other columns."""
        return replace(self, columns={**self.columns, **columns})

    def sums(self, points: int, offset: float) -> Any:
        """Sums over x = end (k + offset) / points, k = 0, 1, ...: of the integrand and of its
        size squared, shape (2, n).
        """
        if self.kernel:
            return fourier_loop.sums(self.kernel, self.columns, points, offset, self.device)
        xp, special = self.device.xp, self.device.special
        row = SimpleNamespace(**{name: value[:, None] for name, value in self.columns.items()})
        forward, variance = self.columns["_forward"][:, None], self.columns["_variance"][:, None]
        x = self.columns["_end"][:, None] * ((xp.arange(points) + offset) / points)
        u, slope = fourier_loop.bent(
            x, self.columns["_bend"][:, None], self.columns["_scale"][:, None], xp
        )
        phi: Any = self.model.characteristic(row, u - 0.5j, row.maturity, xp, special)
        base, weight = (
            fourier_loop.plain(u, variance, xp),
            self.payoff.transform(row, u, forward, xp) * slope / self.columns["_unit"][:, None],
        )
        size = (abs(phi) ** 2 + abs(base) ** 2) * abs(weight) ** 2
        return xp.stack([((phi - base) * weight).real.sum(axis=1), size.sum(axis=1)])

    def size(self, x: Any) -> Any:
        """How large the integrand may be at x, shape (n,); infinite where it is not a number."""
        return self.device.xp.nan_to_num(
            self.device.xp.sqrt(self.with_(_end=x).sums(1, 1.0)[1]), nan=math.inf
        )

    def end(self) -> Any:
        """Where the integrand has died away, shape (n,)."""
        xp = self.device.xp
        x = xp.full_like(self.columns["_end"], FIRST)
        alive, here = xp.arange(len(x)), FIRST
        while len(alive) and here < LAST:
            alive = alive[self.take(alive).size(x[alive]) > (LEAST if here < SLOW else 1e3 * LEAST)]
            here += STRIDE
            x[alive] = here
        return x

    def integral(self) -> Any:
        """The integral over 0 < x < end by the trapezoidal rule, shape (n,). The step is halved
        until the value has converged; NaN where it does not converge.
        """
        xp = self.device.xp
        path = self
        out, waiting = (
            xp.full(len(path.columns["_end"]), np.nan),
            xp.arange(len(path.columns["_end"])),
        )
        total = (path.sums(POINTS, 0.0)[0] - 0.5 * path.sums(1, 0.0)[0]) / POINTS
        for level in range(FINEST):
            points, end = POINTS << level, path.columns["_end"]
            finer = 0.5 * (total + path.sums(points, 0.5)[0] / points)
            converged = abs(finer - total) * end < path.enough
            out[waiting[converged]] = (finer * end)[converged]
            waiting, total, path = waiting[~converged], finer[~converged], path.take(~converged)
            if not len(waiting):
                break
        return out
