"""Regression in CI: what is slower is found and what is not is not, and the Action runs commands that there are."""

import os
import shlex
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from synthetic import SUITES, group, run

from harness.evidence.comparison.compare import compare_runs
from harness.evidence.comparison.gate import apply_rule, parse_rule
from tools import commands

ACTION = ROOT / ".github" / "actions" / "regression"
STUB = """#!/bin/sh
printf '%s\\t' "$@" >> "$CALLS"
echo >> "$CALLS"
for word in "$@"; do case "$word" in base=*) cat "${word#base=}/model.py" >> "$CALLS.base"; esac; done
[ "$1" = "$FAILING" ] && exit "$CODE"
exit 0
"""


def alarms(times, slower, seed):
    """In how many of so many runs of two versions in one group a rule on the slower one holds."""
    generator, rule, held = np.random.default_rng(seed), parse_rule("scaling.step_time_s > 1.05"), 0
    for _ in range(times):
        results = group(generator, (128, 256), noise=0.02, plugins=(("base.mine", 1.0), ("head.mine", slower)),
                        machine=np.exp(generator.normal(0, 0.3)))
        both = run(*results)
        rows = compare_runs(both, both, SUITES, plugins=("base.mine", "head.mine"))
        assert all(row.how.startswith("paired by round") for row in rows)
        held += bool(apply_rule(rule, rows).held)
    return held


def test_ten_percent_is_found_under_a_drift_of_the_machine_and_the_same_is_not():
    assert alarms(20, 1.1, seed=0) == 20
    assert alarms(20, 1.0, seed=1) <= 1


def git(folder, *words):
    done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def measure(tmp_path):
    """The script, in a repository of two commits, with a stub of the command: (code, calls, stderr)."""
    project, programs, calls = tmp_path / "a project", tmp_path / "bin", tmp_path / "calls"
    project.mkdir()
    programs.mkdir()
    git(project, "init", "-q")
    for text in ("old", "new"):
        (project / "model.py").write_text(text)
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", text)
    (programs / "harness").write_text(STUB)
    (programs / "harness").chmod(0o755)

    def call(**variables):
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        given = {"MODEL": "mine:dim=16", "BASE": "HEAD~1", "CALLS": str(calls), "FAILING": "", **variables}
        done = subprocess.run(["bash", ACTION / "regression.sh"], cwd=project, text=True, capture_output=True,
                              env={**os.environ, "PATH": path, **given}, check=False)
        assert git(project, "worktree", "list").count("\n") == 0            # that of the base is gone
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, [line.split("\t")[:-1] for line in lines], done.stderr

    call.base, call.project = tmp_path / "calls.base", project
    return call


needs_script = pytest.mark.skipif(not ACTION.is_dir(), reason="the Action is not in this copy of the source")


@needs_script
def test_both_commits_are_timed_in_one_run_and_compared(measure):
    rules = ["throughput.tokens_per_s < 0.95", "throughput.tokens_per_s@train < 0.97"]
    code, calls, _ = measure(RULES="\n".join([*rules, ""]))
    assert code == 0 and measure.base.read_text() == "old"
    known = commands.commands()
    asked = [known[name].make_context(name, arguments).params for name, *arguments in calls]    # every flag exists
    timing, comparing = asked
    base, head = timing["plugin_file"]
    assert base.startswith("base=/") and head == f"head={measure.project}/."
    assert timing["plugins"] == comparing["plugins"] == "base.mine:dim=16,head.mine:dim=16"
    assert timing["suite"] == comparing["suite"] == "throughput" and comparing["runs"] == [timing["out"]]
    assert comparing["fail_on"] == rules


@needs_script
@pytest.mark.parametrize(("failing", "told", "code", "calls"), [
    ("compare", 1, 1, 2), ("compare", 5, 5, 2), ("run", 1, 0, 2), ("run", 3, 3, 1), ("run", 130, 130, 1)])
def test_its_exit_code_says_what_failed(measure, failing, told, code, calls):
    """A row that is not ok is left to the rules: where the base has that number, HEAD is worse."""
    found, lines, _ = measure(FAILING=failing, CODE=str(told))
    assert (found, len(lines)) == (code, calls)


@needs_script
@pytest.mark.parametrize(("name", "value", "words"), [
    ("MODEL", "", "MODEL names no model"), ("BASE", "", "BASE names no commit"),
    ("BASE", "nowhere", "no commit nowhere, here or at origin")])
def test_what_is_missing_is_told(measure, name, value, words):
    code, calls, told = measure(**{name: value})
    assert (code, calls) == (2, []) and words in told


@needs_script
def test_the_action_hands_every_input_to_the_script():
    yaml = pytest.importorskip("yaml")
    action, script = yaml.safe_load((ACTION / "action.yml").read_text()), (ACTION / "regression.sh").read_text()
    (step,) = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite" and step["shell"] == "bash"
    assert step["env"] == {name.upper(): f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    assert step["run"] == 'bash "$GITHUB_ACTION_PATH/regression.sh"'
    for name, given in action["inputs"].items():
        assert f"${{{name.upper()}:-" in script
        if name not in ("model", "base"):
            assert f"{name.upper()}=${{{name.upper()}:-{given['default']}}}" in script
    assert parse_rule(action["inputs"]["rules"]["default"]).suite == action["inputs"]["suite"]["default"]
    assert commands.commands()["run"].make_context("run", shlex.split(action["inputs"]["flags"]["default"]))
