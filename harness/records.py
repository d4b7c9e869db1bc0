"""The form of a cell, a manifest and a training log on disk: what must be there, of which type. (no torch)

Further keys are kept as they are: a plugin's hook may add facts to an environment, a suite to a protocol.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypedDict

from msgspec import Meta

from .untrusted import Count, Finite, Int64, Name

Machine = dict[str, dict[str, dict[str, Finite | None]]]        # limits: environment -> device -> name -> value


class ProtocolRecord(TypedDict, total=False):
    """The part of a suite's protocol that others read."""

    role: str
    budget_bytes: Count | None


class CellRecord(TypedDict, total=False):
    """A cell as `Cell.record()` writes it; editions before this one have fewer fields."""

    id: Required[Name]
    suite: Required[Name]
    plugin: Required[Name]
    options: dict[str, str]
    protocol: ProtocolRecord
    preset: str
    params: Count
    corpus: str
    tokenizer: str
    seq_len: Count
    batch_size: Count
    device: str
    dtype: str
    threads: Count
    seed: Int64
    group: str
    alone: bool
    control: bool
    needs: list[str]
    state_bytes: Count
    checkpoint: str
    weights: str
    code: str
    suite_code: str
    text: str
    tokenizer_code: str
    engine: Count


ABSENT: dict[str, Any] = {                          # what an edition that did not write a field stands for
    "options": {}, "protocol": {}, "preset": "", "params": 0, "corpus": "", "tokenizer": "", "seq_len": 0,
    "batch_size": 0, "device": "cpu", "dtype": "float32", "threads": 1, "seed": 0, "group": ""}


class CommandRecord(TypedDict, total=False):
    """One command line that wrote into a run."""

    at: str
    argv: Required[list[str]]
    config: dict[str, str]              # the file of --config: name, sha256, text
    notes: list[str]                    # of plugins' code that ran in the command itself


class ProcessorRecord(TypedDict, total=False):
    model: str
    cores: Count


class EnvironmentRecord(TypedDict, total=False):
    """What `harness.run.environment` tells of a machine."""

    python: str
    platform: str
    packages: dict[str, str]
    cpu: ProcessorRecord
    memory_bytes: Count | None
    gpu: list[dict[str, Any]]
    threads: dict[str, str]


class ManifestRecord(TypedDict, total=False):
    """What was asked for, where, and with which edition of the harness."""

    schema: Required[Count]
    harness: Required[str]
    run_id: Required[str]
    created: str
    commands: Required[list[CommandRecord]]
    environments: Required[dict[str, EnvironmentRecord]]
    limits: Required[Machine]
    planned: list[Name]                                     # ids of its cells, in the order of the tables
    merged: list[Name]                                      # ids of the runs that its cells were measured by


Status = Literal["ok", "oom", "timeout", "error", "audit_failed", "unsupported", "unavailable"]
Better = Literal["", "lower", "higher"]
Audited = Literal["", "yes", "no"]


class EventRecord(TypedDict, total=False):
    """A line of a training log: when, what, and at which step."""

    event: Required[Name]
    step: Required[Count]
    at: Finite


class StartRecord(EventRecord, total=False):
    pid: Required[Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]]         # 0 and less are signals to a whole group
    host: Required[str]
    plugin: Required[str]
    device: Required[str]
    dtype: Required[str]
    world: Required[Count]
    params: Required[Count]
    note: str


class TrainRecord(EventRecord, total=False):
    share: Required[Finite]
    bits_per_byte: Required[Finite | None]
    loss: Required[Finite | None]
    lr: Required[Finite]
    left_s: Required[Finite]
    tokens_per_s: Required[Finite | None]
    memory_bytes: Required[Count | None]
    gpu: str


class ValidationRecord(EventRecord, total=False):
    bits_per_byte: Required[Finite | None]
    best: Required[bool]


class EndRecord(EventRecord, total=False):
    outcome: Required[str]
    seconds: Required[Finite]
    best: Finite | None


EVENTS: dict[str, type[EventRecord]] = {
    "start": StartRecord, "train": TrainRecord, "validation": ValidationRecord, "end": EndRecord}
