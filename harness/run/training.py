"""What the flags of `harness train` mean: checked, resolved for this machine, kept beside the weights. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..checkpoint import CONFIG, LAST, LOG, Checkpoint, RunConfig, read_config, read_learned
from ..errors import FileError, UsageError
from ..options import make_config
from ..quantities import parse_count
from ..registry import Registry
from ..selector import Selector, parse_selector
from ..specs import CorpusSpec, ModelSpec, TokenizerSpec, require
from ..untrusted import Malformed, held_to
from .flags import TrainOptions, check, spelled
from .request import resolve_device, resolve_dtype

OF_THE_MACHINE = ("device", "threads")                  # what a resumed run may have otherwise
BUDGET = ("bytes", "minutes", "epochs")                 # of which it may have more


@dataclass(frozen=True)
class Job:
    """Checked flags with the specs that they name. `budget_bytes` is 0 where none is set."""

    options: TrainOptions
    spec: ModelSpec
    selector: Selector
    corpus: tuple[CorpusSpec, Selector]
    tokenizer: tuple[TokenizerSpec, Selector]
    device: str
    params: int
    budget_bytes: int
    learned: Any = None                                 # by the tokenizer of the run that this goes on with
    trained: Mapping[str, str] | None = None            # the whole config of its model
    longer: bool = False                                # this goes on with a run of a smaller budget


def make_job(registry: Registry, options: TrainOptions) -> Job:
    """Check every flag. Raises UsageError, PluginError or FileError before anything runs."""
    check(options)
    if options.batch_size % options.accumulate:
        raise UsageError(f"--batch-size {options.batch_size} is not a multiple of --accumulate {options.accumulate}")
    if options.rule == "local" and options.accumulate > 1:
        raise UsageError("--accumulate sums gradients, which --rule local has none of")
    selector = parse_selector(options.plugin)
    if selector.checkpoint:
        raise UsageError(f"train takes a plugin, not the checkpoint {selector.checkpoint}; "
                         f"to go on with a run: --out {selector.checkpoint} --resume")
    spec = registry.model(selector)
    require(spec)
    make_config(spec, dict(selector.options), options.size)
    device = resolve_device(options.device)
    corpus = registry.corpus(options.corpus)
    options = replace(options, dtype=resolve_dtype(options.dtype, device), corpus=str(_absolute(*corpus)))
    try:
        "".join(value for value in asdict(options).values() if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name in {options.corpus!r} is not UTF-8, so {CONFIG} cannot keep it") from None
    return Job(
        options, spec, selector, registry.corpus(options.corpus), registry.tokenizer(options.tokenizer), device,
        params=0 if options.size else parse_count(options.params, "--params"),
        budget_bytes=parse_count(options.bytes, "--bytes") if options.bytes else 0)


def _absolute(spec: CorpusSpec, selector: Selector) -> Selector:
    """`selector` with its paths made absolute, so that a run can be resumed from any folder."""
    if spec.argument != "PATH":
        return selector

    def resolved(path: str) -> str:
        return str(Path(path).expanduser().resolve())

    options = tuple((key, resolved(text) if key == "heldout" else text) for key, text in selector.options)
    return replace(selector, argument=resolved(selector.argument), options=options)


def resumed(registry: Registry, directory: Path, given: Mapping[str, Any]) -> tuple[Job, RunConfig]:
    """The job of the run in `directory`, and its config. `given` are the flags on the command line.

    A budget among them takes the place of the run's. Raises UsageError where one of them contradicts the run or is a
    smaller budget, FileError where there is no run.
    """
    config = read_config(directory)
    try:
        trained = held_to(config.train, TrainOptions)
        for key in config.train.keys() - {f.name for f in fields(TrainOptions)}:
            raise Malformed(key, "is no flag of harness train")
    except Malformed as wrong:
        raise FileError(f"{directory / CONFIG} is not the config of a training run: train.{wrong}") from None
    machine = {key: value for key, value in given.items() if key in OF_THE_MACHINE}
    kept = make_job(registry, replace(trained, **machine))
    try:
        Checkpoint(str(directory), directory / LAST, config).hold_to(kept.spec, kept.selector)
    except UsageError as wrong:
        raise FileError(f"{directory / CONFIG} contradicts itself: {wrong}") from None
    unset = {key: getattr(TrainOptions, key) for key in BUDGET} if given.keys() & set(BUDGET) else {}
    asked = make_job(registry, replace(kept.options, **{**unset, **given}))
    for key, value in asdict(asked.options).items():
        if key not in (*OF_THE_MACHINE, *BUDGET) and value != getattr(kept.options, key):
            raise UsageError(f"{directory} runs with {spelled(key)} {getattr(kept.options, key)}, not {value}; "
                             "a run keeps its flags, start another with --out")
    longer = _limits(asked) != _limits(kept)
    if longer:
        for key, limit in _limits(asked).items():
            if 0 < limit < _limits(kept)[key]:
                raise UsageError(f"{directory} runs with {spelled(key)} {_limits(kept)[key]:g}; it goes on with more "
                                 f"than that, not with {limit:g}")
        kept, config = asked, replace(config, train=asdict(asked.options))
    learned = read_learned(directory, config)
    return replace(kept, learned=learned, trained=config.model, longer=longer), config


def _limits(job: Job) -> dict[str, float]:
    """The budget of a job; 0 is no limit, and without any other it is one epoch."""
    limits = {"bytes": job.budget_bytes, "minutes": job.options.minutes, "epochs": job.options.epochs}
    return limits if any(limits.values()) else {**limits, "epochs": 1}


def new_directory(directory: Path) -> None:
    """Make the directory of a new run. Raises FileError where it cannot be written or holds something already."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
        if CONFIG in found:
            raise FileError(f"{directory} holds a training run; go on with --resume, or name another with --out")
        if found:
            raise FileError(f"{directory} holds other files ({found[0]}); name a new directory with --out")
        (directory / LOG).touch()
        (directory / LOG).unlink()
    except OSError as error:
        raise FileError(f"cannot write to {directory}: {error.strerror}") from None
