"""The environment: what is recorded, what makes its identity, and foreign load from /proc/stat."""

import copy
import hashlib
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from harness.run import digest
from harness.run import environment as module
from harness.run.environment import PACKAGES, environment, environment_id, foreign_load, installed_versions, together

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def facts():
    return environment()


def test_facts_are_those_of_this_machine_and_survive_json(facts):
    assert json.loads(json.dumps(facts)) == facts
    assert facts["python"] == platform.python_version()
    assert facts["packages"]["torch"] == version("torch")
    assert facts["cpu"]["cores"] >= 1 and facts["cpu"]["model"]
    assert facts["memory_bytes"] > 2**28


def test_it_imports_no_torch():
    code = "import sys, harness.run.environment as e; e.environment(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_identity_is_of_machine_and_versions_alone(facts):
    later = copy.deepcopy(facts)
    later["now"] = {"load_average": [9, 9, 9]}
    later["git"] = {"commit": "0" * 40, "dirty": True}
    assert environment_id(later) == environment_id(facts)
    for key, change in (("packages", {"torch": "0.1"}), ("cpu", {"model": "another"}), ("gpu", [{"name": "H200"}]),
                        ("memory_bytes", 1), ("python", "2.7"), ("platform", "else")):
        assert environment_id(facts | {key: change}) != environment_id(facts), key


def test_foreign_load_counts_others_and_neither_idle_nor_us(monkeypatch):
    """Of 100 ticks on two CPUs: 30 busy with others or stolen, 20 our own, 50 idle or waiting for a disk."""
    ticks = {"before": "cpu  1000 0 100 5000 50 0 0 0 77 0", "after": "cpu  1030 5 105 5040 60 2 3 5 99 0"}
    reads = iter(["before", "after"])
    monkeypatch.setattr(module.Path, "read_text", lambda self: ticks[next(reads)] + "\ncpu0 1 1 1 1\n")
    monkeypatch.setattr(module.os, "sysconf", lambda name: 100)
    clock = iter([4.0, 4.2])
    monkeypatch.setattr(module.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    assert foreign_load() == pytest.approx(0.3)


@linux
def test_foreign_load_sees_a_busy_neighbour_but_not_ourselves():
    cores = module.os.cpu_count() or 1
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        with_neighbour = foreign_load(0.5)
    finally:
        loop.kill()
        loop.wait()
    assert with_neighbour >= 0.5 / cores


def test_foreign_load_is_unknown_without_proc(monkeypatch):
    def absent(self):
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", absent)
    assert foreign_load() is None


def test_git_tells_commit_and_changes_of_a_checkout_only(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                       check=True, capture_output=True)

    assert module._git(tmp_path) == {}
    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    clean = module._git(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "file").write_text("2")
    assert module._git(tmp_path) == {"commit": clean["commit"], "dirty": True}
    (tmp_path / "inside").mkdir()
    assert module._git(tmp_path / "inside") == {}               # an environment installed within someone's checkout


def test_gpus_are_read_from_nvidia_smi(monkeypatch):
    line = "NVIDIA H200, 570.1, 143771 MiB, 700.00 W, 4 MiB, 0 %, 1980 MHz, 31"
    monkeypatch.setattr(module, "_output", lambda *command: f"{line}\n{line}" if command[0] == "nvidia-smi" else "")
    facts = environment()
    assert facts["gpu"] == 2 * [
        {"name": "NVIDIA H200", "driver_version": "570.1", "memory.total": "143771 MiB", "power.limit": "700.00 W"}]
    assert facts["now"]["gpu"][1]["clocks.sm"] == "1980 MHz"


def test_a_missing_failing_or_hanging_command_is_no_output():
    assert module._output("no-such-command-anywhere") == ""
    assert module._output(sys.executable, "-c", "raise SystemExit(3)") == ""
    assert module._output(sys.executable, "-c", "print(' yes ')") == "yes"


def test_fields_keep_the_first_of_each_key():
    assert module._fields("a : 1\nb: 2: 3\n\na : 9") == {"a": "1", "b": "2: 3"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that is called otherwise than its distribution, and that no one may import."""
    package, facts = tmp_path / "site-packages" / "odd_name", tmp_path / "site-packages" / "even_name-1.5.dist-info"
    for folder in (package, facts):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: even-name\nVersion: 1.5\n")
    (facts / "RECORD").write_text("odd_name/__init__.py,,\n")
    monkeypatch.syspath_prepend(package.parent)
    digest._distributions.cache_clear()
    yield
    digest._distributions.cache_clear()


def test_what_is_needed_has_the_version_of_what_brings_it_and_nothing_is_imported(installed):
    found = installed_versions(["odd_name", "pytest", "no_such_package", "", "odd_name.below"])
    assert {"even-name": "1.5", "pytest": version("pytest")}.items() <= found.items()
    assert not {"odd_name", "no_such_package", ""} & found.keys()
    assert "odd_name" not in sys.modules


def test_the_id_is_that_of_records_that_are_kept():
    """Ids of old runs are those of this list of packages; another would have all their times measured elsewhere."""
    assert hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:8] == "4e8d9b85"


def test_of_an_exchanged_package_both_versions_are_told():
    before, after = ({"packages": {"torch": "2", "xlstm": new}, "git": new} for new in ("1.0", "1.1"))
    both = together(before, after)
    assert both == {"packages": {"torch": "2", "xlstm": "1.0, 1.1"}, "git": "1.1"}
    assert together(both, after) == both and together({}, after) == after
    assert together(before, {"packages": {"torch": "2"}})["packages"] == before["packages"]
    assert together({}, {"python": "3"})["python"] == "3"                               # an older record has fewer
