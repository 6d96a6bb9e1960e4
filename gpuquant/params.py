"""The habits of scikit-learn for frozen records: parameters by name, also of what a record holds.

`learner__training__steps` names the `steps` of the `training` of the `learner`. A record does not
change: `set_params` gives a new one.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from typing import Any, Self

from gpuquant.errors import unknown


class Tunable:
    """The base of a dataclass whose parameters have names; scikit-learn's `clone` takes it."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every parameter by its name; with `deep` also those of what they hold."""
        return params_of(self, deep)

    def set_params(self, **params: Any) -> Self:
        """A new record with these parameters."""
        result: Self = with_params(self, params)
        return result


def params_of(value: Any, deep: bool) -> dict[str, Any]:
    """The parameters of a record, an estimator or a network."""
    own = _own(value)
    if not deep:
        return own
    result = dict(own)
    for name, inner in own.items():
        result |= {f"{name}__{key}": one for key, one in params_of(inner, True).items()}
    return result


def with_params(value: Any, params: dict[str, Any]) -> Any:
    """A new record, estimator or network with other parameters."""
    own, changed = _own(value), dict[str, Any]()
    inner: dict[str, dict[str, Any]] = {}
    for name, new in params.items():
        head, _, tail = name.partition("__")
        if head not in own:
            raise unknown(f"parameter of {type(value).__name__}", head, own)
        if tail:
            inner.setdefault(head, {})[tail] = new
        else:
            changed[head] = new
    for head, some in inner.items():
        changed[head] = with_params(changed.get(head, own[head]), some)
    if not changed:
        return value
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **changed)  # type: ignore[type-var]
    if hasattr(value, "set_params"):
        return copy.deepcopy(value).set_params(**changed)
    return type(value)(**{**own, **changed})


def _own(value: Any) -> dict[str, Any]:
    if isinstance(value, type):
        return {}
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    if hasattr(value, "get_params"):
        return dict(value.get_params(deep=False))
    if hasattr(value, "build"):  # a network that is made for its window and its features
        names = inspect.signature(type(value)).parameters
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    return {}
