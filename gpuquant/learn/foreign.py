"""Estimators of other libraries in a file, by skops where it is installed. Pickle is not used: what
a file may hold is checked by skops, and by the caller's list for what skops does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gpuquant import disk
from gpuquant.errors import DataError, InputError

HARMLESS = {"collections.OrderedDict"}  # which skops does not trust by itself


def save(estimators: list[list[Any]], path: Path) -> None:
    """Write lists of estimators.

    Raises
    ------
    InputError
        skops is not installed, or cannot write one of them. The message names its class.
    """
    names = ", ".join(sorted({_called(one) for some in estimators for one in some}))
    try:
        from skops import io
    except ImportError as failure:
        raise InputError(
            f"{names} cannot be saved: estimators of other libraries need the package skops, "
            "pip install skops"
        ) from failure
    try:
        packed = io.dumps(estimators)
    except Exception as failure:  # whatever another library's state makes of it
        raise InputError(f"{names} cannot be saved by skops: {failure}") from failure
    disk.write(path, packed)


def load(path: Path, allow: Iterable[str]) -> list[list[Any]]:
    """The lists of estimators in a file.

    Parameters
    ----------
    path : path
    allow : iterable of str
        Classes and functions, by their full names, besides those that skops trusts.

    Raises
    ------
    DataError
        The file is damaged, or holds others. The message names them.
    """
    try:
        from skops import io
    except ImportError as failure:
        raise DataError(f"{path} needs the package skops, pip install skops") from failure
    data = path.read_bytes()
    try:
        untrusted = set(io.get_untrusted_types(data=data)) - HARMLESS
    except Exception as failure:  # a damaged file can raise any error
        raise DataError(f"{path} is damaged: {failure}") from failure
    unknown = sorted(untrusted - set(allow))
    if unknown:
        raise DataError(
            f"{path} holds {', '.join(unknown)}: not among the classes that may be loaded; allow "
            "them by allow=[...]"
        )
    result = io.loads(data, trusted=sorted(untrusted | HARMLESS))
    if not isinstance(result, list) or not all(
        isinstance(some, list) and all(hasattr(one, "predict") for one in some) for some in result
    ):
        raise DataError(f"{path}: must hold lists of estimators")
    return result


def _called(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"
