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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TOY, environment

from harness.reading import read_table
from harness.store import Store

TARGETS = ("command", "worker", "server", "tracker", "node")
MARK = "ENDURANCE_TRIAL"                    # in the environment of every process of a command: which one that is
PATIENCE_S = 180.0
ORPHANS_S = 20.0


@dataclass
class Campaign:
    """`seeds` of two models in two suites; what happened is counted in `told`."""

    folder: Path
    random: random.Random
    seeds: int = 6
    longest: float = 12.0                   # seconds after its start at which a command may be killed
    told: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.toy = shutil.copy(TOY, self.folder / "toy.py")
        self.flags = ["--suite", "poke,rounds", "--plugins", "toy,toy:dim=4", "--seeds", str(self.seeds), "--jobs", "2",
                      "--budget", "100", "--rounds", "4", "--device", "cpu", "--dtype", "float32", "--quiet", "--retry",
                      "-p", str(self.toy)]
        self.begun = 0

    def kill(self, target: str, sharded: bool) -> None:
        """Start what is to be disturbed, kill one process of it, and hold what is left to its promises."""
        out = self.folder / f"run{self.told['completed']}"
        commands = {}
        for shard in ("1/2", "2/2") if sharded else ("",):
            self.begun += 1
            name = f"{os.getpid()}-{self.begun}"
            commands[name] = self._start(out, shard, name)
        name = self.random.choice(sorted(commands))
        end = time.monotonic() + self.random.uniform(0.2, self.longest)
        while time.monotonic() < end and commands[name].poll() is None:
            time.sleep(0.02)
        victims = found(target, name, commands[name].pid)
        if not victims or commands[name].poll() is not None:
            self.told["too late"] += 1
        before = {path: path.read_bytes() for path in out.glob("cells/c*.json")}
        for pid in victims:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if target in ("command", "node") and victims:
            commands[name].wait(ORPHANS_S)
            self._nobody_left(name)
        self.told[target] += bool(victims)
        if victims:
            self._nothing_lost(out, before, sharded or target not in ("command", "node"))
        for other in commands.values():
            code = other.wait(PATIENCE_S)
            assert code in (0, 1, -signal.SIGKILL), (code, other.args)
        for one in commands:
            self._nobody_left(one)
        self._nothing_corrupt(out)
        if len(list(out.glob("cells/c*.json"))) == 4 * self.seeds:
            self.complete(out)

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
            campaign.kill(campaign.random.choice(TARGETS), campaign.random.random() < 0.3)
            print(dict(campaign.told), flush=True)
        campaign.complete()
    print("no finished cell was lost or changed, no file corrupt, no process left:", dict(campaign.told))


if __name__ == "__main__":
    main()
