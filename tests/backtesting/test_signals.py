"""Signals become bytes, whatever the array they come in."""

import numpy as np
import pytest

from gpuquant.backtesting.kernels.build import NO_SIGNAL
from gpuquant.backtesting.signals import decode_signals, encode_signals
from gpuquant.device import Device

TWO = Device("cpu", threads=2)
SIGNALS = np.array([1.0, 0.0, -0.0, -1.0, np.nan])
ORDERS = {
    "rows": lambda x: x,
    "columns": np.asfortranarray,
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "read only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "out of step": lambda x: np.frombuffer(b"." + x.tobytes(), offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 257), (130, 20), (1000, 8)])
def test_each_signal_has_its_code(order, shape):
    signals = np.random.default_rng(sum(shape)).choice(SIGNALS, shape)
    codes, sound = encode_signals(order(signals), TWO)
    assert sound and codes.dtype == np.int8 and codes.T.flags.c_contiguous
    np.testing.assert_array_equal(
        codes[: shape[0]], np.where(np.isnan(signals), NO_SIGNAL, signals)
    )
    np.testing.assert_array_equal(decode_signals(codes[: shape[0]]), signals)


@pytest.mark.parametrize(
    "wrong", [0.5, 2.0, -2.0, np.inf, -np.inf, 1e300, 5e-324, np.nextafter(1.0, 2.0)]
)
@pytest.mark.parametrize("order", ["rows", "columns"])
def test_what_is_no_signal_is_found_wherever_it_is(order, wrong):
    draw = np.random.default_rng(8)
    for _ in range(20):
        shape = draw.integers(1, 300, 2)
        signals = draw.choice(SIGNALS, shape)
        at = tuple(draw.integers(0, shape))
        signals[at] = wrong
        assert not encode_signals(ORDERS[order](signals), TWO)[1], (shape, at)
