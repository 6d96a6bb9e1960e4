"""The `gpuquant` command: price, describe, schema, demo, doctor. Each imports what it needs when
it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gpuquant import disk
from gpuquant._version import __version__
from gpuquant.errors import GpuquantError


def _price(a: argparse.Namespace) -> int:
    from gpuquant.pricing.engine import price

    if Path(a.output).suffix != ".parquet":
        print(f"gpuquant: output {a.output}: must end in .parquet", file=sys.stderr)
        return 2
    disk.ready(a.output, "output")
    priced = price(
        a.contracts,
        market=a.market,
        greeks=a.greeks,
        target_error=a.target_error,
        engine=a.engine,
        paths=a.paths,
        steps=a.steps,
        device=a.device,
        seed=a.seed,
        precision=a.precision,
        draws=a.draws,
        units=a.units,
        partial=a.partial,
    )
    disk.rescued(a.output, priced.to_parquet)
    print(f"{priced.summary()}\nwritten to {a.output}")
    return 0 if not priced.failed.size else 1


def _describe(a: argparse.Namespace) -> int:
    from gpuquant.pricing.describe import describe

    print(
        describe(
            a.contracts,
            market=a.market,
            compare=a.compare,
            engine=a.engine,
            paths=a.paths,
            steps=a.steps,
            greeks=a.greeks,
            target_error=a.target_error,
            precision=a.precision,
            price_per_hour=a.price_per_hour,
        )
    )
    return 0


def _schema(a: argparse.Namespace) -> int:
    from gpuquant.pricing.results import RESULT_COLUMNS
    from gpuquant.pricing.schema import schema

    for name, home, rule, meaning in schema():
        print(f"{name:<18}{home:<24}{rule:<56}{meaning}")
    print(f"\nresults: {', '.join(RESULT_COLUMNS)}")
    return 0


def _demo(a: argparse.Namespace) -> int:
    from gpuquant.demo import demo

    demo(Path(a.output), device=a.device, small=a.small)
    return 0


def _doctor(a: argparse.Namespace) -> int:
    from gpuquant import diagnostics
    from gpuquant.compiler import cache
    from gpuquant.device.device import available

    if a.clear_cache:
        print(f"removed {cache.clear()} files from {cache.folder()[0] or 'no folder'}")
        return 0
    report = diagnostics.checkup()
    tests = [diagnostics.self_test(kind) for kind in available()]
    print("\n".join([*(text for _, text in tests), str(report)]))
    return 0 if all(fine for fine, _ in tests) else 1


def _pricing_arguments(parser: argparse.ArgumentParser) -> None:
    from gpuquant.pricing.request import DEFAULT_PATHS, ENGINES

    parser.add_argument(
        "contracts", help="Parquet or CSV, one contract a row; `gpuquant schema` prints the columns"
    )
    parser.add_argument("--market", help="TOML with spots, rates and volatilities")
    parser.add_argument(
        "--greeks",
        action="store_true",
        help="delta, gamma, vega, rho and theta with their standard errors",
    )
    parser.add_argument("--engine", default="auto", help=", ".join(ENGINES))
    parser.add_argument(
        "--paths",
        type=int,
        default=DEFAULT_PATHS,
        help=f"per simulated row (default {DEFAULT_PATHS})",
    )
    parser.add_argument("--target-error", type=float, help="one standard error of each price")
    parser.add_argument("--steps", type=int, help="time steps of a row (default: the model's)")
    parser.add_argument("--precision", default="mixed", help="single, mixed or double")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="gpuquant",
        description="Pricing, back-tests and trained signals on CPU cores and GPUs.",
    )
    top.add_argument("--version", action="version", version=f"gpuquant {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    price = commands.add_parser("price", help="price a contract file")
    _pricing_arguments(price)
    price.add_argument("--device", default="auto")
    price.add_argument("--seed", type=int, default=0)
    price.add_argument("--draws", default="random", help="random or sobol")
    price.add_argument("--units", default="raw", help="raw or desk (per 1 %% and per day)")
    price.add_argument("--partial", action="store_true", help="let totals skip rows that failed")
    price.add_argument("-o", "--output", default="priced.parquet")
    price.set_defaults(run=_price)
    describe = commands.add_parser(
        "describe", help="engines, memory, time, joules and money before running"
    )
    _pricing_arguments(describe)
    describe.add_argument("--compare", default="cpu", help="devices, such as cpu,cuda")
    describe.add_argument("--price-per-hour", type=float, default=0.0, help="of the machine")
    describe.set_defaults(run=_describe)
    commands.add_parser("schema", help="the columns of a contract file").set_defaults(run=_schema)
    demo = commands.add_parser(
        "demo", help="a signal trained, back-tested and reported on real prices, and a book priced"
    )
    demo.add_argument("-o", "--output", default="out/demo")
    demo.add_argument("--device", default="auto")
    demo.add_argument("--small", action="store_true", help="a few seconds' worth, for tests")
    demo.set_defaults(run=_demo)
    doctor = commands.add_parser("doctor", help="versions, devices, cache and a self-test")
    doctor.add_argument("--clear-cache", action="store_true")
    doctor.set_defaults(run=_doctor)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; an error of ours is one line on standard error and exit status 2."""
    a = parser().parse_args(arguments)
    try:
        return int(a.run(a))
    except GpuquantError as failure:
        print(f"gpuquant: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gpuquant: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
