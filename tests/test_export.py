"""Exporters write every finished cell through the hook, only where asked for; a missing package is told at once.

Each is tried with the real package where that is installed, and with one that writes down what it is told.
"""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from conftest import PATIENCE_S, PRETENDED, environment
from typer.testing import CliRunner

from harness import __main__ as entry
from harness.cli import app
from harness.errors import PluginError, UsageError
from harness.export import EXPORTERS, make_exporters, scalars
from harness.store import CellResult, Row


def result(cell_id="x", **failure):
    common = {"suite": "quality", "plugin": "a", "cell_id": cell_id, "seq_len": 64}
    rows = [Row(**common, metric="learning_curve", phase="train", value=value, bytes_seen=seen)
            for seen, value in ((100, 3.0), (200, 2.0))]
    rows += [Row(**common, metric="trial@0.01", value=1.5), Row(**common, metric="none", **failure)]
    cell = {"id": cell_id, "suite": "quality", "plugin": "a", "options": {"k": "v/w"}, "corpus": "c", "seq_len": 64,
            "seed": 1, "protocol": {}, "checkpoint": ""}
    return CellResult(cell, rows, {"curve": [[50, 4.0], [100, 3.5]]})


FAILED = {"status": "oom", "reason": "9 GB"}


def test_curves_go_over_bytes_and_other_numbers_over_length():
    found = [(s.name, s.value, s.step, s.curve) for s in scalars(result(**FAILED))]
    assert found == [
        ("quality/learning_curve/train", 3.0, 100, True), ("quality/learning_curve/train", 2.0, 200, True),
        ("quality/trial@0.01", 1.5, 64, False),
        ("quality/training_loss", 4.0, 50, True), ("quality/training_loss", 3.5, 100, True)]


def fake(monkeypatch, name, **members):
    """A package of this name with these members."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
    for member, value in members.items():
        setattr(sys.modules[name], member, value)
    return sys.modules[name]


def test_tensorboard_gets_a_run_per_plugin_and_seed(monkeypatch, tmp_path):
    made = {}

    class Writer(list):
        def __init__(self, place):
            made[place] = self

        def add_scalar(self, *scalar):
            self.append(scalar)

        def flush(self):
            self.append("flushed")

    fake(monkeypatch, "tensorboard.summary", Writer=Writer)
    exporter, = make_exporters(["tensorboard"])
    exporter.harness_cell_finished(result("x"), tmp_path)
    exporter.harness_cell_finished(result("y"), tmp_path)
    (place, written), = made.items()
    assert place == str(tmp_path / "export/tensorboard/a,k=v_w/seed1")
    assert written[:2] == [("quality/learning_curve/train", 3.0, 100), ("quality/learning_curve/train", 2.0, 200)]
    assert written.count("flushed") == 2


def test_wandb_gets_an_offline_run_per_cell(monkeypatch, tmp_path):
    runs = []

    def init(**asked):
        run = SimpleNamespace(asked=asked, summary={}, logged=[], ended=None)
        run.log, run.finish = run.logged.append, lambda exit_code: setattr(run, "ended", exit_code)
        runs.append(run)
        return run

    fake(monkeypatch, "wandb", init=init, Settings=lambda **named: named)
    exporter, = make_exporters(["wandb"])
    exporter.harness_cell_finished(result("x"), tmp_path)
    exporter.harness_cell_finished(result("y", **FAILED), tmp_path)
    assert [run.asked["mode"] for run in runs] == ["offline", "offline"]
    assert runs[0].asked["dir"] == str(tmp_path / "export/wandb")
    assert (tmp_path / "export/wandb").is_dir()
    assert runs[0].asked["config"]["id"] == "x"
    assert runs[0].logged[1] == {"quality/learning_curve/train": 2.0, "bytes_seen": 200}
    assert runs[0].summary["quality/trial@0.01"] == 1.5
    assert [(run.ended, run.summary["trouble"]) for run in runs] == [(0, ""), (1, "oom: 9 GB")]


def test_mlflow_gets_a_run_per_cell_with_names_that_it_allows(monkeypatch, tmp_path):
    calls = []

    class Client:
        def __init__(self, tracking_uri):
            self.store = tracking_uri

        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            calls.append(("experiment", name, self.store))
            return "1"

        def create_run(self, experiment, run_name):
            return SimpleNamespace(info=SimpleNamespace(run_id="r"))

        def log_batch(self, run, metrics=(), params=(), tags=()):
            calls.extend([*metrics, *params, *tags])

        def set_terminated(self, run, status):
            calls.append(status)

    entities = fake(monkeypatch, "mlflow.entities")
    sys.modules["mlflow"].MlflowClient = Client
    entities.Metric = entities.Param = entities.RunTag = lambda *fields: fields
    exporter, = make_exporters(["mlflow"])
    exporter.harness_cell_finished(result("x", **FAILED), tmp_path)
    assert calls[0] == ("experiment", tmp_path.name, (tmp_path / "export/mlflow").as_uri())
    metrics = {call[0]: (call[1], call[3]) for call in calls[1:] if len(call) == 4 and isinstance(call, tuple)}
    assert metrics["quality/trial_0.01"] == (1.5, 64)
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in metrics)
    assert ("id", "x") in calls
    assert calls[-2:] == [("trouble", "oom: 9 GB"), "FAILED"]


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_real_package_takes_a_cell(name, tmp_path):
    if find_spec(EXPORTERS[name].package) is None:
        pytest.skip(f"{EXPORTERS[name].package} is not installed")
    exporter, = make_exporters([name])
    exporter.harness_cell_finished(result("x", **FAILED), tmp_path)
    assert [path for path in (tmp_path / "export" / name).rglob("*") if path.is_file()]


INSIDE = """
import os, sys, socket
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_export import FAILED, result
from harness.export import make_exporters, reader_lines

def refuse(*asked, **more):
    print("LOOKED UP", asked, flush=True)
    raise OSError("no network in this test")

connect = socket.socket.connect
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
socket.socket.connect = lambda self, place: connect(self, place) if isinstance(place, str | bytes) else refuse(place)
directory = Path(sys.argv[2])
directory.mkdir()
exporters = make_exporters([sys.argv[1]])
for one in (result("x", **FAILED), result("y")):
    exporters[0].harness_cell_finished(one, directory)
print(*reader_lines(exporters, directory), sep="\\n")
"""
READ = {                                    # exporter -> what its reader shows, with no page or terminal to draw on
    "tensorboard": (r"tensorboard --logdir (.*)", [sys.executable, "-m", "tensorboard.main", "--inspect", "--logdir"],
                    "quality/learning_curve/train"),
    "mlflow": (r"MLFLOW_DISABLE_TELEMETRY=true MLFLOW_ALLOW_FILE_STORE=true .*?(file:\S+)(?: mlflow .*)?",
               [sys.executable, "-m", "mlflow", "experiments", "search"], "my run"),
    "wandb": (r"wandb (?:leet|sync --dry-run) (.*)", [sys.executable, "-m", "wandb", "sync", "--dry-run"],
              "Would sync 2 run(s)"),
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_real_package_leaves_everything_inside_and_is_read_back(name, tmp_path):
    """With an empty home and no network: no file elsewhere, no host looked up, and the line that is told opens it."""
    if find_spec(EXPORTERS[name].package) is None:
        pytest.skip(f"{EXPORTERS[name].package} is not installed")
    home, scratch, here = (tmp_path / folder for folder in ("home", "scratch", "here"))
    for folder in (home, scratch, here):
        folder.mkdir()
    kept = {key: value for key, value in environment().items()          # telemetry spares what looks like a test
            if not key.startswith(("WANDB", "MLFLOW", "XDG", "DO_NOT_TRACK", "PYTEST", "CI", "GITHUB"))}
    variables = {**kept, "HOME": str(home), "TMPDIR": str(scratch)}
    directory = tmp_path / "my run"
    done = subprocess.run([sys.executable, "-c", INSIDE, name, str(directory), str(Path(__file__).parent)], cwd=here,
                          env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "LOOKED UP" not in done.stdout
    assert [path for folder in (home, here) for path in folder.rglob("*")] == []
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    assert [path for path in directory.rglob("*") if path.is_file() and path.parts[-2] != "export"]
    pattern, command, words = READ[name]
    line = done.stdout.splitlines()[-1]
    place = shlex.split(re.fullmatch(f"open with: {pattern}", line)[1])[0]
    asked = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": place} if name == "mlflow" else {}
    given = {"mlflow": [], "tensorboard": [place], "wandb": sorted(map(str, Path(place).glob("offline-run-*")))}[name]
    read = subprocess.run([*command, *given], env={**variables, **asked, "COLUMNS": "200"}, capture_output=True,
                          text=True, check=False, timeout=PATIENCE_S)
    assert words in read.stdout + read.stderr


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_missing_package_is_one_line_before_anything_runs(name, monkeypatch, tmp_path):
    package = EXPORTERS[name].package
    for absent in (package, EXPORTERS[name].module):
        monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(PluginError, match=f"--export {name} needs the package {package}: pip install {package}"):
        make_exporters([name])
    left = CliRunner().invoke(app, ["run", "--suite", "poke", "--plugins", "toy", "--export", name,
                                    "--out", str(tmp_path / "run")])
    assert left.exception.exit_code == 3
    assert not (tmp_path / "run").exists()


def test_an_unknown_exporter_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="unknown exporter 'tensorbord'; did you mean 'tensorboard'"):
        make_exporters(["tensorbord"])


def test_a_run_exports_its_cells_only_where_asked_to(toy, plugin, monkeypatch, tmp_path, capsys):
    written = []

    class Writer:
        def __init__(self, place):
            written.append(place)
            Path(place).mkdir(parents=True)

        def add_scalar(self, *scalar):
            written.append(scalar)

        def flush(self):
            pass

    fake(monkeypatch, "tensorboard.summary", Writer=Writer)
    common = ["harness", "run", "--suite", "poke", "--plugins", "toy", "-p", str(toy), "--device", "cpu",
              "-p", str(plugin("pretend.py", PRETENDED)), "--executor", "pretend"]
    for out, extra in (("plain", []), ("exported", ["--export", "tensorboard"])):
        assert written == []
        monkeypatch.setattr(sys, "argv", [*common, "--out", str(tmp_path / out), *extra])
        with pytest.raises(SystemExit):
            entry.main()
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("open with: ")]
        assert told == [f"open with: tensorboard --logdir {tmp_path}/exported/export/tensorboard"] * bool(extra)
    assert written == [str(tmp_path / "exported/export/tensorboard/toy/seed0"), ("poke/m", 7.5, 0)]
