"""SLURM: the script says what was asked for, a task that is told to end is queued again, and nothing is done twice."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import typer
from conftest import PATIENCE_S, environment

from harness.cli import app
from harness.errors import PluginError, UsageError
from harness.run.flags import RunOptions, flags_as_written
from harness.run.slurm import array_of, parse_wishes, script, submitted

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
RUN = typer.main.get_command(app).commands["run"]
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""


@pytest.mark.parametrize("options", [
    RunOptions(), RunOptions(suite="memory", plugins="ssm,baseline:conv=4", params="30k,100k", seeds=3, lr=0.01),
    RunOptions(corpus='file:"a, b.txt"', retry=True, timeout=5.5, plugin_file=("a.py", "b c.py"), device="cuda"),
], ids=["default", "some", "quoted"])
def test_flags_come_again_through_the_command_line(options):
    context = RUN.make_context("run", flags_as_written(options))
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in context.params.items()}
    assert {name: found[name] for name in vars(options)} == vars(options)


@pytest.mark.parametrize(("numbers", "text"), [([1], "1"), ([1, 2, 3], "1-3"), ([2, 4, 5, 9], "2,4-5,9")])
def test_tasks_with_nothing_to_do_are_not_submitted(numbers, text):
    assert array_of(numbers) == text


def test_what_is_wished_for_takes_the_place_of_what_is_set():
    text = script(RunOptions(threads=2, jobs=3, device="cuda"), Path("/some/many"), [1], 4,
                  parse_wishes("--cpus-per-task=9 '--comment=two words' --time=1:00"))
    asked = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    assert [one for one in asked if one.startswith("cpus")] == ["cpus-per-task=9"]
    assert {"gres=gpu:1", "requeue", "comment='two words'", "time=1:00", "job-name=harness-many"} <= set(asked)
    assert "cpus-per-task=6" in script(RunOptions(threads=2, jobs=3), Path("x"), [1], 4, ())


@pytest.mark.parametrize("text", ["long", "--a b", "--a='"])
def test_a_wrong_wish_is_one_line(text):
    with pytest.raises(UsageError, match="--sbatch"):
        parse_wishes(text)


def test_without_slurm_one_line_says_so_and_nothing_is_left(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PluginError, match="sbatch is not installed here; --dry-run prints the script"):
        submitted("", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("arguments", "words"), [
    ((), "name the scheduler"), (("--slurm", "--shard", "1/2"), "say --parts"),
    (("--slurm", "--parts", "0"), "--parts"),
    (("--slurm", "--suite", "none"), "none"), (("--slurm", "--sbatch", "x"), "--sbatch takes options")])
def test_a_wrong_submission_names_the_mend(command, arguments, words):
    done = command("submit", "--suite", "counts", "--plugins", "ssm", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_a_task_that_is_told_to_end_asks_to_be_queued_again(toy, tmp_path):
    """By the shell alone: of a run whose first cell is finished and whose second hangs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scontrol").write_text(f'#!/bin/sh\necho "$@" > {shlex.quote(str(tmp_path / "asked"))}\n')
    (tmp_path / "bin/scontrol").chmod(0o755)
    options = RunOptions(suite="poke", plugins="toy,toy:fault=hang", plugin_file=(str(toy),), jobs=1,
                         out=str(tmp_path / "run"))
    variables = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_ID": "77"}
    task = subprocess.Popen(["bash", "-c", script(options, tmp_path / "run", [1], 1, ())],
                            env={**environment(), **variables}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            text=True, start_new_session=True)
    cells = tmp_path / "run/cells"
    try:
        within(60, lambda: cells.is_dir() and list(cells.glob("*.json")))
        task.send_signal(signal.SIGTERM)
        _, err = task.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):       # the run too, which the shell has started
            os.killpg(task.pid, signal.SIGKILL)
    assert task.returncode == 143
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    assert "every finished cell is kept, 1 left" in err and "harness: told to end" in err
    assert "Traceback" not in err
    assert len(list(cells.glob("*.json"))) == 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The variables of a cluster of this machine alone."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)} is not installed (Debian: slurm-wlm)")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(
        host=host, ports=ports, folder=folder, user=subprocess.run(["id", "-un"], capture_output=True, text=True,
        check=True).stdout.strip(), cores=os.cpu_count()))
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    log = (folder / "out.log").open("w")
    daemons = [subprocess.Popen([name, "-D", "-f", variables["SLURM_CONF"]], env={**os.environ, **variables},
                                stdout=log, stderr=log) for name in ("slurmctld", "slurmd")]
    try:
        try:
            within(30, lambda: "idle" in asked(variables, "sinfo", "-h", "-o", "%T"))
        except AssertionError:
            pytest.skip(f"slurmd does not start here: {(folder / 'out.log').read_text()[-300:]}")
        yield variables
        asked(variables, "scancel", "--me")
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)
        log.close()


def asked(variables, *words):
    done = subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    return done.stdout


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.2)


def test_an_array_measures_everything_once_and_again_nothing(cluster, command, toy, tmp_path):
    """A task is told to end in the middle: it waits in the queue again, and goes on with what is missing."""
    out = tmp_path / "run"
    run = ("submit", "--slurm", "-p", toy, "--suite", "poke", "--plugins", "toy,toy:dim=4,toy:dim=2,toy:dim=3",
           "--seeds", "2", "--budget", "1500", "--jobs", "1", "--parts", "2", "--out", out)
    done = command(*run, **cluster)
    assert done.returncode == 0, done.stderr
    job = re.search(r"Submitted batch job (\d+)", done.stdout)[1]
    assert "8 cells in 2 tasks" in done.stdout
    cells = out / "cells"
    within(60, lambda: len(list(cells.glob("*.json"))) >= 2)
    running = asked(cluster, "squeue", "-h", "-t", "R", "-o", "%i").split()
    asked(cluster, "scancel", "--signal=TERM", "--batch", running[0])
    within(30, lambda: running[0] in asked(cluster, "squeue", "-h", "-t", "PD", "-o", "%i").split())
    kept = {path: path.read_bytes() for path in cells.glob("*.json")}
    # A node refuses a job that it ended within the last second; left alone, SLURM waits for two minutes.
    asked(cluster, "scontrol", "update", f"jobid={running[0]}", "StartTime=now+3seconds")
    within(90, lambda: len(list(cells.glob("*.json"))) == 8 and not asked(cluster, "squeue", "-h").strip())
    logs = "".join(path.read_text() for path in sorted((out / "slurm").iterdir()))
    assert "told to end" in logs and "Traceback" not in logs
    assert {path: path.read_bytes() for path in kept} == kept
    assert job in next((out / "slurm").iterdir()).name
    assert command(*run, **cluster).stdout == f"nothing is missing in {out}\n"
