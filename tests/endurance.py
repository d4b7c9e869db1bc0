"""Runs that are killed at random instants: `python tests/endurance.py --kills 100 --seed 0`, or `make endurance`.

Again and again a small run, or two shards of it in one folder, is started on what it has so far, and one of its
processes is killed: the command, a worker, the server that forks workers, multiprocessing's resource tracker, or a
node, which is everything of one command at once. Then no finished cell may be lost or changed, no file corrupt and no
process left; once every cell is there, the table must be that of a run which nobody disturbed.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TOY, environment

from harness.reading import read_table
from harness.store import Store

TARGETS = ("command", "worker", "server", "tracker", "node")
MARK = "ENDURANCE_TRIAL"                    # in the environment of every process of a command: which one that is
PATIENCE_S = 180.0
ORPHANS_S = 60.0                            # a server that is importing torch sees the end of its run when it has


@dataclass
class Campaign:
    """`seeds` of two models in two suites; what happened is counted in `told`."""

    folder: Path
    random: random.Random
    seeds: int = 6
    longest: float = 3.0                    # seconds between two kills
    told: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.toy = shutil.copy(TOY, self.folder / "toy.py")
        self.flags = ["--suite", "poke,rounds", "--plugins", "toy,toy:dim=4", "--seeds", str(self.seeds), "--jobs", "2",
                      "--budget", "300", "--rounds", "4", "--device", "cpu", "--dtype", "float32", "--quiet", "--retry",
                      "-p", str(self.toy)]
        self.begun = 0

    def disturb(self, targets: Sequence[str], sharded: bool) -> None:
        """Start a run, kill processes of it one after the other as long as it lasts, and hold what is left to its
        promises."""
        out, commands = self.folder / f"run{self.told['completed']}", {}
        for shard in ("1/2", "2/2") if sharded else ("",):
            self.begun += 1
            name = f"{os.getpid()}-{self.begun}"
            commands[name] = self._start(out, shard, name)
        for target in targets:
            self._kill(target, self.random.choice(sorted(commands)), commands, out)
        for name, command in commands.items():
            assert command.wait(PATIENCE_S) in (0, 1, -signal.SIGKILL), command.args
            self._nobody_left(name)
        self._nothing_corrupt(out)
        if len(list(out.glob("cells/c*.json"))) == 4 * self.seeds:
            self.complete(out)

    def _kill(self, target: str, name: str, commands: dict[str, subprocess.Popen], out: Path) -> None:
        """Within some seconds of now or, mostly, of the first worker: before that a command only reads and plans."""
        command = commands[name]
        if self.random.random() < 0.8:
            while command.poll() is None and not found("worker", name, command.pid):
                time.sleep(0.02)
        end, victims = time.monotonic() + self.random.uniform(0, self.longest), list[int]()
        while command.poll() is None and (time.monotonic() < end or not (
                victims := found(target, name, command.pid))):
            time.sleep(0.01)
        if not victims:
            return
        before = {path: path.read_bytes() for path in out.glob("cells/c*.json")}
        for pid in victims:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.told[target] += 1
        if target in ("command", "node"):
            command.wait(ORPHANS_S)
            self._nobody_left(name)
        self._nothing_lost(out, before, any(other.poll() is None for other in commands.values()))

    def complete(self, out: Path | None = None) -> None:
        """Let the run go on undisturbed: its table is the one that it would have been at once."""
        out = out or self.folder / f"run{self.told['completed']}"
        last = self._start(out, "", "last")
        assert last.wait(PATIENCE_S) == 0
        table = read_table(out)
        rows = sorted((row.suite, row.options, row.seed, row.metric, row.status) for row in table.itertuples())
        assert rows == sorted((suite, options, seed, metric, "ok") for suite, metric in
                              (("poke", "pid"), ("rounds", "turns")) for options in ("", "dim=4")
                              for seed in range(self.seeds)), rows
        assert set(table[table.metric == "turns"].value) == {4.0}
        self.told["temporary files"] += len([path for path in out.rglob(".*") if path.name.startswith(".c")])
        self.told["completed"] += 1

    def _start(self, out: Path, shard: str, name: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "harness", "run", *self.flags, "--out", str(out),
             *(["--shard", shard] if shard else [])],
            env={**environment(), MARK: name}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def _nobody_left(self, name: str) -> None:
        end = time.monotonic() + ORPHANS_S
        while left := of_command(name):
            assert time.monotonic() < end, f"processes that outlived their command: {left}"
            time.sleep(0.1)

    def _nothing_lost(self, out: Path, before: dict[Path, bytes], others_work: bool) -> None:
        """What was there is there. A run that goes on may measure a timing group anew that was cut in two."""
        for path, content in before.items():
            assert path.exists(), f"{path} is lost"
            assert others_work or path.read_bytes() == content, f"{path} was changed"

    def _nothing_corrupt(self, out: Path) -> None:
        if out.exists():
            store = Store(out, create=False)
            store.manifest()
            self.told["rows of failures"] += sum(not result.ok for result in store.results())
            if (out / "table.parquet").exists():
                read_table(out)


def of_command(name: str) -> dict[int, str]:
    """The processes of a command and how they were called; zombies are gone."""
    mark, pids = f"{MARK}={name}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                pids[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    return pids


def found(target: str, name: str, command: int) -> list[int]:
    """The processes that are to be killed; a worker is a child of the server, one of them is taken."""
    everyone = of_command(name)
    called = {"server": "forkserver", "tracker": "resource_tracker"}
    if target == "node":
        return sorted(everyone)
    if target == "command":
        return [command] if command in everyone else []
    parents = {}
    for pid in everyone:
        with suppress(OSError):
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    if target in called:
        return [pid for pid in everyone if parents.get(pid) == command and called[target] in everyone[pid]][:1]
    servers = {pid for pid in everyone if parents.get(pid) == command and "forkserver" in everyone[pid]}
    return sorted(pid for pid in everyone if parents.get(pid) in servers)[:1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endurance-") as folder:
        campaign = Campaign(Path(folder), random.Random(wanted.seed))
        while sum(campaign.told[target] for target in TARGETS) < wanted.kills:
            campaign.disturb(campaign.random.choices(TARGETS, k=3), campaign.random.random() < 0.3)
            print(dict(campaign.told), flush=True)
        campaign.complete()
    print("no finished cell was lost or changed, no file corrupt, no process left:", dict(campaign.told))


if __name__ == "__main__":
    main()
