"""Records to JSON and back: frozen dataclasses and networks, by names on an allow-list. Nothing in
a file is imported or executed, and every value is checked.

A record is `{"record": "features.Momentum", "fields": {"window": 21}}`. Reading makes only classes
on the given list. An unknown field or a value of a wrong type is refused by name; the constructor
checks ranges.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant.errors import DataError, InputError

MOST = 1 << 24  # bytes of a file of records, which people could still read
DEEPEST = 32  # records within records
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def encode(value: Any, records: Mapping[str, type], foreign: list[Any] | None = None) -> Any:
    """A record, class, array or plain value as JSON holds it. An estimator of another library is
    added to `foreign`, where that is given, and the JSON holds its number there.

    Raises
    ------
    InputError
        Something that could not be read back: what it is, and where.
    """
    if isinstance(value, type):
        return {"class": _name(value, records)}
    if dataclasses.is_dataclass(value) or type(value) in records.values() or is_module(value):
        return {
            "record": _name(type(value), records),
            "fields": {
                name: encode(_attribute(value, name), records, foreign)
                for name in _fields(type(value))
            },
        }
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value.tolist()}
    if isinstance(value, list | tuple):
        return [encode(v, records, foreign) for v in value]
    if foreign is not None and hasattr(value, "fit") and hasattr(value, "predict"):
        foreign.append(value)
        return {"foreign": len(foreign) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"{type(value).__module__}.{type(value).__qualname__} cannot be saved: it is no "
        "record of gpuquant's, no dataclass and no nn.Module; keep it as its library says"
    )


def decode(
    value: Any,
    records: Mapping[str, type],
    path: str = "the file",
    depth: int = 0,
    foreign: Sequence[Any] = (),
) -> Any:
    """The inverse of `encode`.

    Raises
    ------
    DataError
        A class that is not among `records`, a field it lacks, a value of another type or out of its
        range: the message names the field.
    """
    if depth > DEEPEST:
        raise DataError(f"{path}: records lie more than {DEEPEST} deep")
    if isinstance(value, list):
        return [decode(v, records, f"{path}[{k}]", depth + 1, foreign) for k, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array"}:
        return _array(value["array"], path)
    if set(value) == {"foreign"}:
        if value["foreign"] not in range(len(foreign)):
            raise DataError(f"{path}: there is no estimator number {value['foreign']!r}")
        return foreign[value["foreign"]]
    if set(value) == {"class"}:
        return _find(value["class"], records, path)
    if set(value) != {"record", "fields"} or not isinstance(value["fields"], dict):
        raise DataError(
            f"{path}: must be a record, a class, an array or a plain value, got the names "
            f"{', '.join(map(str, value))}"
        )
    cls = _find(value["record"], records, path)
    known = _fields(cls)
    for name in value["fields"]:
        if name not in known:
            raise DataError(
                f"{path}: {value['record']} has no field {name!r} (known: {', '.join(known)})"
            )
    made = {
        name: decode(v, records, f"{path}.{name}", depth + 1, foreign)
        for name, v in value["fields"].items()
    }
    made = {
        name: tuple(v) if isinstance(v, list) and typing.get_origin(known[name]) is tuple else v
        for name, v in made.items()
    }
    for name, v in made.items():
        if not _fits(v, known[name]):
            raise DataError(f"{path}.{name} = {v!r}: must be {_type_text(known[name])}")
    try:
        return cls(**made)
    except Exception as failure:  # whatever a constructor makes of it
        raise DataError(f"{path}: {value['record']}: {failure}") from failure


def read_json(path: Path) -> Any:
    """The JSON in a file, in which doubled names are refused.

    Raises
    ------
    DataError
        It is too long, or no such JSON.
    """
    if path.stat().st_size > MOST:
        raise DataError(f"{path} has {path.stat().st_size} bytes: must have {MOST} at most")
    return parsed(path.read_bytes(), str(path))


def parsed(text: bytes | str, name: str) -> Any:
    """JSON, in which doubled names are refused."""

    def single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError(
                f"the name {next(n for n in names if names.count(n) > 1)!r} stands twice"
            )
        return dict(pairs)

    try:
        whole = text.decode() if isinstance(text, bytes) else text
        return json.loads(whole, object_pairs_hook=single)
    except (ValueError, RecursionError) as failure:
        raise DataError(f"{name}: {failure}") from failure


def fits_schema(value: Any, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A mapping with exactly the names of a schema, each of its type.

    Raises
    ------
    DataError
        It is none.
    """
    if not isinstance(value, dict) or set(value) != set(schema):
        result = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{path}: must have the names {', '.join(schema)}, got {result}")
    for name, hint in schema.items():
        if not _fits(value[name], hint):
            raise DataError(f"{path}: {name} = {value[name]!r}: must be {_type_text(hint)}")
    return value


def qualified(cls: type) -> str:
    """How a class of the caller's own is called in a file."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_module(value: Any) -> bool:
    """Whether a class or an object is a network: an `nn.Module`, told without importing torch."""
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def _attribute(value: Any, name: str) -> Any:
    """An argument of a constructor, which the object keeps under its name."""
    if not hasattr(value, name):
        raise InputError(
            f"{qualified(type(value))} cannot be saved: it does not keep its argument {name!r} as "
            f"an attribute; write self.{name} = {name} in __init__"
        )
    return getattr(value, name)


def _name(cls: type, records: Mapping[str, type]) -> str:
    for name, known in records.items():
        if known is cls:
            return name
    own = dataclasses.is_dataclass(cls) or is_module(cls)
    if own and not cls.__module__.startswith("gpuquant."):
        return qualified(cls)
    raise InputError(
        f"{qualified(cls)} cannot be saved: it is no record of gpuquant's, no dataclass and no "
        "nn.Module; keep it as its library says"
    )


def _find(name: Any, records: Mapping[str, type], path: str) -> type:
    result = records.get(name) if isinstance(name, str) else None
    if not isinstance(result, type):
        raise DataError(
            f"{path}: {name!r} is not among the classes that may be loaded; a class of "
            "your own is allowed by allow=[TheClass]"
        )
    return result


def _fields(cls: type) -> dict[str, Any]:
    """The fields of a record and their types; for a network, the constructor's arguments without
    `in_features`, which the learner supplies.
    """
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        return {
            f.name: hints.get(f.name, Any)
            for f in dataclasses.fields(cls)
            if f.init and not f.name.startswith("_")
        }
    hints = typing.get_type_hints(inspect.getattr_static(cls, "__init__"))
    return {
        name: hints.get(name, Any)
        for name, parameter in inspect.signature(cls).parameters.items()
        if name != "in_features" and parameter.kind not in VARIABLE
    }


def _array(value: Any, path: str) -> np.ndarray:
    try:
        result = (
            np.array(value)
            if not isinstance(value, list) or not any(isinstance(one, str) for one in value)
            else np.array(value, dtype=np.float64)
        )
    except (ValueError, OverflowError) as failure:
        raise DataError(f"{path}: {failure}") from failure
    if result.dtype.kind not in "biuf":
        raise DataError(f"{path}: an array must hold numbers, all of one length")
    return result


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as annotations state it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if hint is None or hint is type(None):
        return value is None
    if origin is typing.Literal:
        return value in arguments
    if origin is type:
        return isinstance(value, type) and issubclass(value, arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(
            _fits(k, arguments[0]) and _fits(v, arguments[1]) for k, v in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, list | tuple) and all(_fits(v, arguments[0]) for v in value)
    if origin is np.ndarray or hint is np.ndarray:
        return isinstance(value, np.ndarray)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _type_text(hint: Any) -> str:
    """A type in words."""
    return (
        hint.__name__
        if isinstance(hint, type) and not typing.get_args(hint)
        else str(hint).replace("typing.", "")
    )
