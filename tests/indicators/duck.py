"""An array in CuPy's place: NumPy's functions dispatch to it, and it refuses arrays of the host."""

import numpy as np


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Holds an array; operations with host arrays are a TypeError, as CuPy's are."""

    def __init__(self, array):
        self.array = np.asarray(array)

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)

    def __len__(self):
        return len(self.array)

    def __bool__(self):
        return bool(self.array)

    def __int__(self):
        return int(self.array)

    def __getitem__(self, key):
        return DeviceArray(self.array[_inside(key)])

    def __setitem__(self, key, value):
        self.array[_inside(key)] = _inside(value)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.array, name)
        return lambda *a, **k: _outside(method(*_inside(a), **_inside(k)))

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return _outside(getattr(ufunc, method)(*_inside(inputs), **_inside(options)))

    def __array_function__(self, function, types, arguments, options):
        if function.__name__ == "asarray":
            return DeviceArray(arguments[0])  # what goes up, as the caller says
        options = {name: value for name, value in options.items() if name != "like"}
        return _outside(function(*_inside(arguments), **_inside(options)))


def _inside(value):
    if isinstance(value, DeviceArray):
        return value.array
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host beside one of the device")
    if isinstance(value, tuple | list):
        return type(value)(map(_inside, value))
    if isinstance(value, dict):
        return {name: _inside(one) for name, one in value.items()}
    return value


def _outside(value):
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(value)
    return type(value)(map(_outside, value)) if isinstance(value, tuple | list) else value
