"""The log of a training run, one JSON event a line: written as it goes, read from another terminal. (no torch)"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..checkpoint import LOG, read_config
from ..errors import FileError
from ..records import EVENTS, EventRecord
from ..store import finite
from ..untrusted import Malformed, bounded, held_to, parse_json, read_bounded
from ..writing import write_atomically

POLL_S = 0.3

Event = dict[str, Any]


class Log:
    """log.jsonl of a run: appended line by line, each whole on disk before the next. Raises FileError."""

    def __init__(self, directory: Path):
        self.path = directory / LOG

    def __call__(self, event: Event) -> None:
        line = json.dumps(finite({"at": round(time.time(), 3), **event})) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {error.strerror}") from None

    def events(self) -> list[Event]:
        """What is there by now; a line that is being written counts for the next call."""
        try:
            lines = read_bounded(self.path).splitlines(keepends=True)
            return [_event(line) for line in lines if line.endswith(b"\n")]
        except FileNotFoundError:
            return []
        except Malformed as wrong:
            raise FileError(f"{self.path} is corrupt: {wrong}") from None

    def rewind(self, step: int) -> None:
        """Drop what happened after `step`, which a resumed run does again."""
        kept = [event for event in self.events() if event.get("step", 0) <= step]
        write_atomically(self.path, "".join(json.dumps(event) + "\n" for event in kept))


def _event(line: bytes) -> Event:
    """Raises Malformed."""
    event = bounded(parse_json(line, dict[str, Any]))
    held_to(event, EVENTS.get(held_to(event, EventRecord)["event"], EventRecord))
    return event


def follow(directory: Path, poll: float = POLL_S) -> Iterator[Event]:
    """The events of a run as they come, until it ends. Raises FileError where there is no run.

    A run whose process died without a last line, on this machine, ends with an event "lost".
    """
    read_config(directory)
    log, told = Log(directory), 0
    while True:
        events = log.events()
        alive = _alive(events)
        told = min(told, len(events))                       # a resumed run may have dropped lines
        yield from events[told:]
        told = len(events)
        if events and events[-1]["event"] == "end":
            return
        if not alive and len(log.events()) == told:
            yield {"event": "lost", "step": events[-1].get("step", 0) if events else 0}
            return
        time.sleep(poll)


def standing(directory: Path) -> list[Event]:
    """The events of a run up to now, the last of them "lost" where it can get no further. Raises FileError."""
    read_config(directory)
    events = Log(directory).events()
    if events and events[-1]["event"] != "end" and not _alive(events):
        events.append({"event": "lost", "step": events[-1].get("step", 0)})
    return events


def _alive(events: list[Event]) -> bool:
    """Whether the process that wrote the log may write more."""
    start = next((event for event in reversed(events) if event["event"] == "start"), None)
    if start is None or start["host"] != platform.node():
        return True
    try:
        os.kill(start["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
