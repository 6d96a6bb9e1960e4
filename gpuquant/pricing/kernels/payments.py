"""What the paths of the path loop pay, less the control variate, and the sums over paths.

This module is kernel source, as `path_loop` is.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.compiler.reduction import Sums
from gpuquant.pricing.kernels.records import Path, Payment, Variant, flags


def worth_today(path: Path, worth):
    """The value today of 1 that a path pays at maturity; `worth` is that of every path where rates
    are known.
    """
    if flags.random_rates:
        worth = deflator(path.state)
    return worth


def payment_today(row, path: Path, worth):
    """What a path pays, at its value today."""
    amount = finish(row, 0, path.seen, log_spots(path.state))
    return worth_today(path, worth) * amount


def control_today(row, path: Path, worth):
    """What the control variate pays on a path, at its value today."""
    amount = control_finish(row, 0, path.seen_by_control, log_spots(path.state))
    return worth_today(path, worth) * amount


def add_payments(
    variant: Variant, paths: list[Path], payments: list[Payment], paid, v, weights, column
):
    """Add what the paths of variant `v` pay, at its worth today, and the slopes of this, to each
    output.
    """
    row = variant.row
    worth = discount(row, 0, row[MATURITY])
    for lane in lanes():
        store_paid(paid, 0, lane, parts(payment_today(row, paths[v, lane], worth)))
    for o in unrolled(OUTPUTS):
        for p in unrolled(PAID):
            weight = weights[o, column * PAID + p]
            if weight != 0.0:  # a variant outside a domain harms its own Greek alone
                for lane in lanes():
                    payments[o, lane].total += weight * paid[p, lane]


def subtract_control(
    variant: Variant, paths: list[Path], payments: list[Payment], paid, v, weights, column, betas, r
):
    """Subtract beta times what the control variate pays from each output."""
    row = variant.row
    worth = discount(row, 0, row[MATURITY])
    for lane in lanes():
        store_paid(paid, 0, lane, parts(control_today(row, paths[v, lane], worth)))
    for o in unrolled(OUTPUTS):
        for p in unrolled(PAID):
            weight = weights[o, column * PAID + p] * betas[r, o]
            if weight != 0.0:
                for lane in lanes():
                    payments[o, lane].total -= weight * paid[p, lane]


def add_block(payments: list[Payment], sums: list[Sums], block, lane0, count):
    """Add a block's payments to the sums, as differences from each lane's first payment. So no
    digits cancel, and a constant payoff has a standard error of exactly zero.
    """
    for o in unrolled(OUTPUTS):
        for lane in lanes():
            payment = payments[o, lane]
            live = 1.0 if block + lane0 + lane < count else 0.0  # 0.0 beyond the last path
            payment.pivot = payment.total if block == 0 else payment.pivot
            d = payment.total - payment.pivot if live > 0.0 else 0.0
            one = sums[o, lane]
            one.count += live
            one.mean += d  # until `centre_sums` the sum of differences
            one.squares += d * d
            one.cubes += d * d * d


def centre_sums(payments: list[Payment], sums: list[Sums], o):
    """Turn each lane's sums about its pivot into its mean and the sums about the mean."""
    for lane in lanes():
        one = sums[o, lane]
        m = max(one.count, 1.0)
        s = one.mean
        one.mean = payments[o, lane].pivot + s / m
        one.cubes += 2.0 * s * s * s / (m * m) - 3.0 * s * one.squares / m
        one.squares = max(one.squares - s * s / m, 0.0)
