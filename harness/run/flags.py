"""The flags of `harness run`, `train` and `check`: name, type, default, help, and what each may be. (no torch)

A field of an options class is a flag of that name. The command line makes its signature from them, `check` refuses what
a flag may not be, and a TOML file sets them by name.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

from ..errors import UsageError


@dataclass(frozen=True)
class Flag:
    """What is known of a flag besides its name, type and default.

    `choices` are all it may be, `least` and `most` its bounds, () and None where there are none. `complete` says what a
    shell completes besides `choices`: "models", "suites", "corpora", "tokenizers" or nothing. `names` are its spellings
    where they are not the name of the field.
    """

    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    complete: str = ""
    names: tuple[str, ...] = ()
    metavar: str | None = None              # what help calls its value
    argument: bool = False                  # it stands on the command line without its name


def flags_of(options: type) -> dict[str, Flag]:
    """The flags of an options class by the names of their fields."""
    hints = get_type_hints(options, include_extras=True)
    return {name: next(one for one in hint.__metadata__ if isinstance(one, Flag)) for name, hint in hints.items()}


def spelled(name: str) -> str:
    """A field's name as the command line writes it: batch_size is --batch-size."""
    return "--" + name.replace("_", "-")


def check(options: Any) -> None:
    """Raise UsageError where a flag is none of its choices, or is out of its bounds."""
    flags = flags_of(type(options))
    for name, flag in flags.items():
        if flag.choices and getattr(options, name) not in flag.choices:
            raise UsageError(
                f"{spelled(name)} must be one of {', '.join(flag.choices)}, got {getattr(options, name)!r}")
    for name, flag in flags.items():
        value = getattr(options, name)
        if flag.least is not None and flag.most is not None and not flag.least <= value <= flag.most:
            raise UsageError(f"{spelled(name)} must be between {flag.least:,} and {flag.most:,}, got {value}")


def flags_as_written(options: Any) -> list[str]:
    """What of an options class differs from its defaults, as the command line has it."""
    words: list[str] = []
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        if isinstance(value, tuple):
            words += [word for one in value for word in (spelled(field.name), str(one))]
        else:
            words += [spelled(field.name)] if value is True else [spelled(field.name), str(value)]
    return words


SUITES = Flag("Suites to run, separated by commas.", complete="suites", metavar="NAMES")
PLUGINS = Flag("Plugins, separated by commas; NAME:KEY=VALUE sets options. What holds a comma stands in quotes.",
               complete="models", metavar="SELECTORS")
DEVICE = Flag("auto, cpu or cuda.", choices=("auto", "cpu", "cuda"), metavar="DEVICE")
DTYPE = Flag("auto, float32 or bfloat16 (autocast; parameters stay float32).", choices=("auto", "float32", "bfloat16"),
    metavar="TYPE")
TOKENIZER = Flag("bytes, gpt2, morphological[:roots=N], or symbols:size=N.", complete="tokenizers", metavar="SELECTOR")
PARAMS = Flag("Match every model to this many non-embedding parameters.", metavar="COUNT")
SIZE = Flag("Take this published preset instead of matching, e.g. tiny.", metavar="PRESET")
PLUGIN_FILE = Flag(
    "Load a plugin from this file, or from the project in this folder, with ALIAS=PATH as ALIAS.NAME; may be repeated.",
    names=("-p", "--plugin-file"), metavar="PATH")


@dataclass(frozen=True)
class RunOptions:
    """The flags that say what `harness run` measures, and how."""

    suite: Annotated[str, SUITES] = ""
    plugins: Annotated[str, PLUGINS] = ""
    out: Annotated[str, Flag("Results directory; the same command again resumes it.", metavar="PATH")] = ""
    corpus: Annotated[str, Flag(
        "Corpora, separated by commas: pydoc, markov, file:PATH, file:\"a,b.txt\", hf:NAME, ...",
        complete="corpora", metavar="SELECTORS")] = "pydoc"
    tokenizer: Annotated[str, TOKENIZER] = "bytes"
    field: Annotated[str, Flag("The text field of a file:PATH with JSON lines.", metavar="NAME")] = ""
    params: Annotated[str, Flag("Match every model to this many non-embedding parameters; default: the suite's own, "
        "300k for most.", metavar="COUNT")] = ""
    state_bytes: Annotated[str, Flag(
        "Match the models by the state of one sequence at the measured length instead, e.g. 16k.",
        metavar="BYTES")] = ""
    size: Annotated[str, Flag("Take this published preset instead of matching, e.g. tiny. Of a suite of tasks: quick "
        "or paper.", metavar="PRESET")] = ""
    tasks: Annotated[str, Flag("Tasks of a suite that has some, separated by commas; default: all of that size.",
        metavar="NAMES")] = ""
    seq_len: Annotated[str, Flag("Lengths in tokens, separated by commas; default: the suite's own.",
        metavar="LENGTHS")] = ""
    batch_size: Annotated[int, Flag("Sequences per batch; default: the suite's own.", least=0, most=1 << 30,
        metavar="N")] = 0
    budget: Annotated[str, Flag("Bytes of text a model is trained on.", metavar="BYTES")] = ""
    lr: Annotated[float | None, Flag("Learning rate for every model; skips the search.", metavar="RATE")] = None
    seeds: Annotated[int, Flag("How many seeds.", least=1, most=1000, metavar="N")] = 1
    rounds: Annotated[int, Flag(
        "Timed rounds per measurement; default: the suite's own.", least=0, most=10_000, metavar="N")] = 0
    unaudited: Annotated[bool, Flag("Also record, apart, the score of a model that failed its audit.")] = False
    device: Annotated[str, DEVICE] = "auto"
    dtype: Annotated[str, DTYPE] = "auto"
    threads: Annotated[int, Flag("Threads per worker.", least=1, most=1024, metavar="N")] = 1
    jobs: Annotated[int, Flag(
        "Untimed cells side by side; default: one per core, one on a GPU.", least=0, most=1024, metavar="N")] = 0
    timeout: Annotated[float, Flag("Seconds a cell may take.", least=1, most=10_000_000, metavar="SECONDS")] = 900.0
    memory_limit: Annotated[str, Flag(
        "Bytes a worker may hold with all that it starts; default: what is available now.", metavar="BYTES")] = ""
    executor: Annotated[str, Flag("local, ray, or what a plugin brings.", metavar="NAME")] = "local"
    address: Annotated[str, Flag("Of the Ray cluster; default: one of this machine alone.", metavar="ADDRESS")] = ""
    export: Annotated[str, Flag(
        "Also write finished cells for trackers, separated by commas: tensorboard, wandb, mlflow.",
        metavar="NAMES")] = ""
    retry: Annotated[bool, Flag("Measure failed cells again.")] = False
    shard: Annotated[str, Flag("Measure this part of the cells alone, e.g. 2/8; harness merge puts parts together.",
        metavar="I/N")] = ""
    cells: Annotated[str, Flag("Measure these cells alone, with what they need: ids, separated by commas.",
        metavar="IDS")] = ""
    plugin_file: Annotated[tuple[str, ...], PLUGIN_FILE] = ()


@dataclass(frozen=True)
class TrainOptions:
    """The flags that say what `harness train` trains, and how; they are kept beside the weights."""

    plugin: Annotated[str, Flag("A plugin; NAME:KEY=VALUE sets options.", complete="models", argument=True,
        metavar="SELECTOR")]
    corpus: Annotated[str, Flag("pydoc, markov, file:PATH, hf:NAME, ...", complete="corpora",
        metavar="SELECTOR")] = "pydoc"
    tokenizer: Annotated[str, TOKENIZER] = "bytes"
    bytes: Annotated[str, Flag("Bytes of text to train on, e.g. 10M.", metavar="BYTES")] = ""
    minutes: Annotated[float, Flag(
        "Minutes to train for; with --bytes, whichever ends first.", least=0, most=1e7, metavar="MINUTES")] = 0.0
    epochs: Annotated[float, Flag(
        "Passes over the training text; 1 without another limit.", least=0, most=1e7, metavar="EPOCHS")] = 0.0
    params: Annotated[str, Flag("Non-embedding parameters to solve the width for.", metavar="COUNT")] = "300k"
    size: Annotated[str, SIZE] = ""
    seq_len: Annotated[int, Flag("Length of a sequence in tokens.", least=1, most=1 << 24, metavar="N")] = 256
    batch_size: Annotated[int, Flag(
        "Sequences per update, over all processes and parts.", least=1, most=1 << 20, metavar="N")] = 16
    accumulate: Annotated[int, Flag(
        "Work a batch off in so many parts, to save memory.", least=1, most=1 << 20, metavar="N")] = 1
    fsdp: Annotated[bool, Flag(
        "Share weights, gradients and optimiser out among the processes of torchrun: for a model larger than a device."
    )] = False
    lr: Annotated[float, Flag("Peak of the learning rate.", least=1e-12, most=100, metavar="RATE")] = 3e-3
    warmup: Annotated[float, Flag(
        "Share of the run over which the rate rises; a cosine follows.", least=0, most=0.9, metavar="SHARE")] = 0.1
    clip: Annotated[float, Flag("Largest norm of the gradient.", least=1e-9, most=1e9, metavar="NORM")] = 1.0
    rule: Annotated[str, Flag(
        "backprop, or local: the model's own rule, without a backward pass.", choices=("backprop", "local"),
        metavar="RULE")
    ] = "backprop"
    dtype: Annotated[str, DTYPE] = "auto"
    device: Annotated[str, DEVICE] = "auto"
    threads: Annotated[int, Flag("CPU threads; 0 leaves it to torch.", least=0, most=1024, metavar="N")] = 0
    seed: Annotated[int, Flag("Of the weights and of the order of the text.", least=0, most=(1 << 63) - 1,
        metavar="SEED")] = 0


@dataclass(frozen=True)
class CheckOptions:
    """What `harness check` checks, and under which conditions."""

    plugin: Annotated[str, Flag(
        "A project's folder, a .py file, an installed package, or the name of a plugin or model.", argument=True,
        complete="models", metavar="PLUGIN")]
    seq_len: Annotated[str, Flag("Lengths to audit at, separated by commas.", metavar="LENGTHS")] = "17,64"
    device: Annotated[str, DEVICE] = "cpu"
    dtype: Annotated[str, DTYPE] = "float32"
