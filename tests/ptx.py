"""The PTX of kernels, and what an assembler says of it; no GPU or driver is needed."""

import re

import pytest

from gpuquant.compiler import build
from gpuquant.compiler.types import Array
from gpuquant.pricing.kernels.build import source


def array(of, dimensions=1):
    """The type of an array whose rows lie one after the other."""
    return Array(of, (None,) * dimensions)


def pricing(which):
    """The types of the arguments of a pricing kernel."""
    precision = which.precision
    real, whole = "f32" if precision == "single" else "f64", array("i64")
    return (
        (whole, whole, whole, whole),
        (whole, whole, array("f64"), whole),
        (array(real), array("i64", 2), array(real), array("f64", 2)),
        (*(array(real, 2),) * 5, array("f64", 2)),
        (whole, "u32", "u32", "u32", array("u32", 3), array("f64", 3)),
        whole,
        array("f64", 2 if which.recorded else 3),
    )


def backtesting(kind):
    """The types of the arguments of a back-test's kernel."""
    line, table = array("f64"), array("f64", 2)
    targets = array("i8", 2) if kind.rule.__name__ == "Signals" else table
    return (
        ("i64", "i64", "i64", "i64", "f64"),
        (line, array("i64", 2)),
        (table, table, table, array("f64", 3), "i64", "i64"),
        (targets, table, table, line, line),
        (line, "i64", "f64", "f64", "u32", "u32"),
        ("bool", "i64", table, table, array("i64")),
        table,
    )


def of_pair(which):
    """The PTX of a pair's kernel."""
    return build.ptx(source(which, "cuda"), pricing(which)).decode()


def of_account(kind):
    """The PTX of a back-test's kernel."""
    return build.ptx(kind.source("cuda"), backtesting(kind)).decode()


def double_arithmetic(assembly):
    """How many instructions work with float64."""
    return len(
        re.findall(
            r"^\s+(?:@!?%p\d+ )?(?:fma|mul|add|sub|div|sqrt|rcp|neg)[.\w]*\.f64", assembly, re.M
        )
    )


def registers(assembly, capability=90):
    """Registers of a thread and bytes that it spills, of a kernel assembled for a compute
    capability.
    """
    nvjitlink = pytest.importorskip("cuda.bindings.nvjitlink")
    data = assembly.encode()
    options = [f"-arch=sm_{capability}", "-Xptxas=-v", "-verbose"]
    handle = nvjitlink.create(len(options), options)
    nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), "kernel")
    nvjitlink.complete(handle)
    log = bytearray(nvjitlink.get_info_log_size(handle))
    nvjitlink.get_info_log(handle, log)
    nvjitlink.destroy(handle)
    said = log.decode()
    return int(re.search(r"Used (\d+) registers", said)[1]), int(
        re.search(r"(\d+) bytes spill stores", said)[1]
    )
