"""Energy meters: counters add up over packages and wraps, and nothing is told where there is no counter."""

import pytest

from harness.bench import energy


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two packages and a part of one, which its package counts already."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    for folder, name, start in (("a", "package-0", 400), ("b", "package-1", 0), ("c", "core", 77)):
        (tmp_path / folder).mkdir()
        for file, text in (("name", name), ("max_energy_range_uj", 1000), ("energy_uj", start)):
            (tmp_path / folder / file).write_text(f"{text}\n")
    return lambda folder, value: (tmp_path / folder / "energy_uj").write_text(f"{value}\n")


def test_packages_add_up_and_a_wrap_is_made_good(packages):
    read = energy.meter("cpu")
    before = read()
    packages("a", 900)
    packages("b", 30)
    packages("c", 999)
    assert read() - before == pytest.approx(530e-6)
    packages("a", 100)                                      # past its range
    assert read() - before == pytest.approx(730e-6)


def test_without_counters_there_is_no_meter(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    assert energy.meter("cpu") is None
    found, reason = energy.method("cpu")
    assert not found and "has no package counter that may be read" in reason


def test_counters_that_may_not_be_read_are_none(packages, tmp_path):
    (tmp_path / "b" / "max_energy_range_uj").write_text("no number\n")
    assert energy.meter("cpu") is None


def test_without_the_library_a_gpu_has_no_meter(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(energy.ctypes, "CDLL", missing)
    assert energy.meter("cuda") is None
    assert energy.method("cuda") == (False, "libnvidia-ml.so.1 is missing or too old: libnvidia-ml.so.1")


class Library:
    """NVML with one GPU; `fails` names the function that gives an error."""

    def __init__(self, fails=""):
        self.fails, self.asked, self.millijoules = fails, b"", 5000

    def __getattr__(self, name):
        def call(*arguments):
            if name == "nvmlDeviceGetHandleByUUID":
                self.asked = arguments[0]
            if name == "nvmlDeviceGetTotalEnergyConsumption":
                arguments[1]._obj.value = self.millijoules
            return 3 * (name == self.fails)

        return call


@pytest.mark.parametrize("uuid", ["", "aa-bb"])
def test_the_counter_of_a_gpu_is_the_one_that_torch_uses(monkeypatch, uuid):
    library = Library()
    monkeypatch.setattr(energy.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(energy, "_own_gpu", lambda: f"GPU-{uuid}".encode() if uuid else b"")
    read = energy.meter("cuda")
    before = read()
    library.millijoules += 2500
    assert (read() - before, library.asked) == (2.5, f"GPU-{uuid}".encode() if uuid else b"")
    assert energy.method("cuda") == (True, "NVML, nvmlDeviceGetTotalEnergyConsumption")


@pytest.mark.parametrize(("fails", "reason"), [
    ("nvmlInit_v2", "NVML does not start (error 3)"),
    ("nvmlDeviceGetHandleByIndex_v2", "NVML does not know the GPU (error 3)"),
    ("nvmlDeviceGetTotalEnergyConsumption", "this GPU has no energy counter (NVML error 3)"),
])
def test_where_a_gpu_tells_no_energy_the_reason_is_told(monkeypatch, fails, reason):
    monkeypatch.setattr(energy.ctypes, "CDLL", lambda name: Library(fails))
    monkeypatch.setattr(energy, "_own_gpu", lambda: b"")
    assert (energy.meter("cuda"), energy.method("cuda")) == (None, (False, reason))
