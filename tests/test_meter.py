"""Joules of the host and of the GPU, each where it can be read, on counters made here."""

import sys
from types import SimpleNamespace

import pytest

from gpuquant import meter
from gpuquant.device import cuda
from gpuquant.device.device import Device
from gpuquant.errors import InputError
from gpuquant.meter import Meter


@pytest.fixture
def counters(tmp_path, monkeypatch):
    """Two processors whose counters begin anew at 1,000 J, one of whose parts does not count."""
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_energy_range_uj").write_text("1000000000")
    monkeypatch.setattr(meter, "RAPL", tmp_path)

    def put(first, second):
        for name, joules in (("0", first), ("1", second), ("0:0", 5.0)):
            (tmp_path / f"intel-rapl:{name}" / "energy_uj").write_text(str(int(joules * 1e6)))

    put(100.0, 990.0)
    return put


@pytest.fixture
def nvml(monkeypatch):
    """A GPU that has used 7 J, and 2 J more at each look."""
    used = iter(range(7_000, 100_000, 2_000))
    monkeypatch.setitem(
        sys.modules,
        "pynvml",
        SimpleNamespace(
            __spec__=SimpleNamespace(),
            NVMLError=RuntimeError,
            nvmlInit=lambda: None,
            nvmlDeviceGetHandleByPciBusId=lambda bus: {b"0000:65:00.0": "the GPU"}[bus],
            nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(used),
        ),
    )
    monkeypatch.setattr(cuda, "bus", lambda index: "0000:65:00.0")


def test_the_host_alone(counters):
    with Meter(Device("cpu")) as one:
        counters(130.0, 15.0)  # the second began anew
    assert one.joules == pytest.approx(30.0 + 25.0) and one.source == "rapl"
    assert one.gpu is None and one.host == one.joules


def test_a_gpu_and_its_host(counters, nvml):
    with Meter(Device("cuda")) as one:
        counters(101.0, 991.0)
    assert (one.host, one.gpu) == (pytest.approx(2.0), pytest.approx(2.0))
    assert one.source == "rapl + nvml"
    figures = one.meta()
    assert figures["joules"] == pytest.approx(4.0) == figures["joules_host"] + figures["joules_gpu"]


def test_what_cannot_be_read_is_none_and_said(tmp_path, monkeypatch, nvml):
    monkeypatch.setattr(meter, "RAPL", tmp_path / "nothing")
    with Meter(Device("cuda")) as one:
        pass
    assert one.host is None and one.joules == pytest.approx(2.0) and one.source == "nvml"
    with Meter() as one:
        pass
    assert one.joules is None and one.source == "unreadable" and one.seconds > 0.0


def test_a_counter_that_goes_is_no_figure(counters, tmp_path):
    with Meter() as one:
        (tmp_path / "intel-rapl:1" / "energy_uj").write_text("not a number")
    assert one.joules is None and one.source == "unreadable"


def test_what_work_costs_by_the_callers_rates(counters):
    with Meter(Device("cpu")) as one:
        counters(460.0, 990.0)
    used = one.usage()
    assert (used.joules, used.gpu, used.device) == (pytest.approx(360.0), None, "cpu")
    rates = meter.Rates(per_hour=3600.0, per_kwh=10_000.0, grams_per_kwh=1e6)
    cost = used.cost(rates)
    assert cost["money"] == pytest.approx(used.seconds + 1.0)
    assert cost["co2_grams"] == pytest.approx(100.0)


def test_energy_that_cannot_be_read_costs_nobody_knows_what():
    used = meter.Usage(3600.0, None, None, "unreadable", "cpu")
    assert used.cost(meter.Rates(per_hour=2.0)) == {"money": 2.0, "co2_grams": 0.0}
    unknown = used.cost(meter.Rates(per_hour=2.0, per_kwh=0.3, grams_per_kwh=300.0))
    assert unknown == {"money": None, "co2_grams": None}
    with pytest.raises(InputError, match=r"Rates per_kwh = -1: must be finite and >= 0"):
        meter.Rates(per_kwh=-1)


def test_a_counter_that_may_have_gone_round_twice_is_not_believed(counters, monkeypatch):
    """At 500 W a counter of 1,000 J may go round in two seconds; looks in between keep the sum."""
    times = iter([0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 2.5])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(meter, "OFTEN", 0.1)
    with Meter(Device("cpu")) as one:
        counters(600.0, 990.0)
        one.look()
        counters(100.0, 990.0)  # began anew
        one.look()
        counters(300.0, 990.0)
    assert one.joules == pytest.approx(500.0 + 500.0 + 200.0)
    times = iter([0.0, 10.0, 10.0])
    with Meter(Device("cpu")) as one:
        counters(300.0, 990.0)
    assert one.joules is None and one.source == "unreadable"


def test_the_whole_platform_is_not_counted_beside_its_processors(counters, tmp_path):
    meter._packages.cache_clear()
    (tmp_path / "intel-rapl:1" / "name").write_text("psys\n")
    with Meter(Device("cpu")) as one:
        counters(150.0, 995.0)
    assert one.joules == pytest.approx(50.0)
    meter._packages.cache_clear()
