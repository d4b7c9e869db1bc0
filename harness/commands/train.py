"""The commands around trained weights: train, watch, generate. They run in this process; torch comes when called."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HarnessError, UsageError
from ..run.flags import TrainOptions
from ..selector import split_selectors, unquoted
from .options import Device, PluginFiles, Quiet, Verbose, given, load_registry, with_flags

if TYPE_CHECKING:
    from ..bench.generate import Sampling
    from ..checkpoint import Checkpoint, RunConfig
    from ..registry import Registry
    from ..run.training import Job

RECENT_S = 30.0                         # a line of the log younger than this is worth a look at the GPU


@with_flags
def train(
    context: typer.Context,
    options: TrainOptions,
    out: Annotated[Path | None, typer.Option(help="Directory of the run; default: runs/PLUGIN.",
        metavar="PATH")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, exactly, or longer.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write scalars for TensorBoard.")] = False,
    plugin_file: PluginFiles = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train one model and keep its weights; Ctrl-C saves, --resume goes on. Under torchrun: data parallel.

    Example: harness train phasefield --minutes 2 --out runs/pf
    """
    from ..run.training import make_job, resumed

    registry = load_registry(plugin_file)
    directory = out or Path("runs") / re.sub(r"[^A-Za-z0-9+=._-]+", "-", options.plugin)[:100]
    config = None
    if resume:
        named = given(context)
        job, config = resumed(
            registry, directory, {name: value for name, value in vars(options).items() if name in named})
    else:
        job = make_job(registry, options)
    raise typer.Exit(_train(job, config, directory, tensorboard, quiet=quiet, verbose=verbose))


def _train(job: Job, config: RunConfig | None, directory: Path, tensorboard: bool, **told: bool) -> int:
    """Run a new job, or the one that `config` began. The exit code. Raises HarnessError where it diverged."""
    import torch

    from ..checkpoint import require_safetensors

    require_safetensors()
    from ..bench.distributed import device_of, joined
    from ..bench.training_run import TrainingRun
    from ..run.training import new_directory
    from ..run.training_log import Log
    from .live import Display

    if job.device == "cuda" and not torch.cuda.is_available():
        raise HarnessError("no usable CUDA device: torch.cuda.is_available() is false; use --device cpu")
    if job.options.threads:
        torch.set_num_threads(job.options.threads)
    job = replace(job, device=device_of(job.device))
    with (joined(job.device) as ranks, _stopping() as stop,
          Display(**told, terminal=None if ranks.first else False) as display):
        if config is None and ranks.first:
            new_directory(directory)
        log = Log(directory)
        listeners: list[Any] = [log, display]
        if tensorboard and ranks.first:
            from ..bench.tensorboard import tensorboard as writer

            listeners.append(writer(directory))
        try:
            run = TrainingRun(job, directory, ranks, listeners)
            if config is None:
                run.begin()
            else:
                run.resume(config)
            if run.position.share == 1:
                display.note(f"{directory} is finished; it goes on with a larger --bytes, --minutes or --epochs")
                return 0
            if job.longer and ranks.first:
                run.config.write(directory)
            if config is not None and ranks.first:
                log.rewind(run.position.step)
            outcome = run.run(lambda: bool(stop))
        except torch.OutOfMemoryError as error:
            raise HarnessError(f"out of memory: a smaller --batch-size or more --accumulate helps ({error})") from None
    if outcome == "diverged":
        raise HarnessError(f"training diverged at learning rate {job.options.lr:g}; set another with --lr. "
                           f"{directory} keeps the weights from before")
    if ranks.first:
        print(f"{directory}: " + (
            "--resume goes on" if outcome == "interrupted" else f"harness generate {directory} \"The \" --tokens 200"))
    return 130 if outcome == "interrupted" else 0


@contextlib.contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C or a polite kill asks to stop. The second Ctrl-C stops at once."""
    asked: list[int] = []

    def handler(number: int, _: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def watch(
    run: Annotated[Path, typer.Argument(help="Directory of a run that trains, or has trained.", metavar="RUN")],
    once: Annotated[bool, typer.Option("--once", help="Print where it stands and exit.")] = False,
) -> None:
    """Follow a training run from another terminal until it ends.

    Example: harness watch runs/pf
    """
    from ..run.training_log import follow, standing
    from .live import Display, gpu_use, summary

    if once:
        lines = summary(standing(run))
        use = gpu_use()
        print("\n".join([*lines, use] if use else lines))
        return
    outcome = ""
    with Display() as display:
        for event in follow(run):
            if event["event"] == "train" and time.time() - event.get("at", 0) < RECENT_S:
                event = {**event, "gpu": gpu_use()}
            display(event)
            outcome = event["event"]
    if outcome == "lost":
        raise typer.Exit(1)


def generate(
    checkpoint: Annotated[str, typer.Argument(help="Directory of a training run (its best weights) or a file of one.",
                                             metavar="CHECKPOINT")],
    prompt: Annotated[str, typer.Argument(help="The text to go on from.", metavar="PROMPT")] = "",
    tokens: Annotated[int, typer.Option(help="Tokens to generate, at most.", metavar="N")] = 200,
    preset: Annotated[str, typer.Option(help="conservative, balanced or creative; the flags below refine it.",
        metavar="PRESET")
                      ] = "balanced",
    temperature: Annotated[float | None, typer.Option(help="Divides the logits; 0 takes the likeliest token.",
        metavar="T")] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest tokens; 0 for all.", metavar="K")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the likeliest that reach p together.",
        metavar="P")] = None,
    min_p: Annotated[float | None, typer.Option(help="Drop what is less likely than this share of the likeliest.",
        metavar="P")
                     ] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="Above 1 makes tokens seen less likely.",
        metavar="X")] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.", min=0, max=(1 << 63) - 1, metavar="SEED")] = 0,
    compare: Annotated[str, typer.Option(help="Further checkpoints, separated by commas, for the same prompt.",
        metavar="CHECKPOINTS")] = "",
    device: Device = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.", metavar="N")] = 0,
    plugin_file: PluginFiles = None,
) -> None:
    """Go on from a prompt with trained weights, token by token.

    Example: harness generate runs/pf "The " --tokens 100
    """
    from ..checkpoint import open_checkpoint
    from ..run.request import resolve_device

    if tokens < 1:
        raise UsageError(f"--tokens must be at least 1, got {tokens}")
    registry = load_registry(plugin_file)
    checkpoints = [open_checkpoint(name) for name in (checkpoint, *map(unquoted, split_selectors(compare)))]
    place = resolve_device(device)
    import torch

    from ..bench.generate import make_sampling

    sampling = make_sampling(preset, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
                             repetition_penalty=repetition_penalty)
    if threads:
        torch.set_num_threads(threads)
    texts = [_continued(registry, one, prompt, tokens, sampling, seed, place) for one in checkpoints]
    if len(texts) == 1:
        print(prompt, end="", flush=True)
        for piece in texts[0]:
            print(piece, end="", flush=True)
        print()
        return
    _side_by_side([one.name for one in checkpoints], [prompt + "".join(text) for text in texts])


def _continued(
    registry: Registry, checkpoint: Checkpoint, prompt: str, tokens: int, sampling: Sampling, seed: int, device: str,
) -> Iterator[str]:
    """The text after `prompt` in pieces, as it is drawn. This call loads the weights, before the first piece is due."""
    from ..bench.generate import generate as draw
    from ..bench.generate import text_pieces
    from ..bench.restored import restore

    restored = restore(registry, checkpoint, device)
    tokenizer = restored.tokenizer
    start = [tokenizer.bos, *tokenizer.encode(prompt.encode("utf-8", "surrogateescape")).tolist()]
    return text_pieces(tokenizer, draw(restored.model, start, tokens, sampling, seed=seed, end=tokenizer.bos))


def _side_by_side(names: list[str], texts: list[str]) -> None:
    """One column a text on a terminal, one below the other elsewhere."""
    if not sys.stdout.isatty():
        print("\n\n".join(f"== {name} ==\n{text}" for name, text in zip(names, texts, strict=True)))
        return
    from rich.table import Table

    from ..console import make_console

    table = Table(*names)
    table.add_row(*texts)
    make_console().print(table)
