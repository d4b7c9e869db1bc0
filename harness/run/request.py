"""What the flags of `harness run` mean: checked, resolved for this machine, made into a request. (no torch)"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from ..aliases import absolute
from ..errors import PluginError, UsageError, unknown
from ..executor import Executor
from ..quantities import parse_count, parse_counts, split
from ..registry import Registry
from ..selector import Selector, join_selectors, split_selectors, written
from ..specs import CorpusSpec
from .cells import Request
from .choices import check_options, choose
from .config_file import ConfigFile
from .executors import LocalExecutor
from .flags import RunOptions as RunOptions
from .flags import check
from .identity import text_digest, tokenizer_digest
from .worker import Setup

LEAST_MEMORY = 1 << 30
LEAST_BUDGET = 100
FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def with_config(options: RunOptions, config: ConfigFile | None, given: set[str]) -> RunOptions:
    """`options` with what a TOML file sets; what was `given` on the command line wins. Raises UsageError."""
    if config is None:
        return options
    known, hints = {f.name.replace("_", "-"): f.name for f in fields(options)}, get_type_hints(RunOptions)
    values: dict[str, Any] = {}
    for key, value in config.table.items():
        flag = key.replace("_", "-")
        if flag not in known:
            raise unknown(f"option in {config.path}", key, known)
        name = known[flag]
        if name not in given:
            if isinstance(value, list) and hints[name] is str:
                value = join_selectors(map(str, value), argument=name == "corpus")
            values[name] = _typed(value, hints[name], f"{key} in {config.path}")
    return replace(options, **values)


def _typed(value: Any, kind: Any, what: str) -> Any:
    """A TOML value as the flag of type `kind` would give it. Raises UsageError."""
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    if kind == tuple[str, ...]:
        return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    if kind is str and plain:
        return str(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and type(value) is int:
        return value
    if kind not in (str, bool, int) and plain and not isinstance(value, str):
        return float(value)
    names = {str: "text, a number or a list of them", bool: "true or false", int: "an integer"}
    raise UsageError(f"{what} must be {names.get(kind, 'a number')}, got {value!r}")


def make_request(registry: Registry, options: RunOptions, here: bool = True) -> Request:
    """Check every flag and build the request. Raises UsageError or PluginError before anything runs.

    `here` is whether this machine measures: then it must have the device.
    """
    check(options)
    if options.lr is not None and not 0 < options.lr < 100:
        raise UsageError(f"--lr must be between 0 and 100, got {options.lr}")
    plugins = split_selectors(options.plugins)
    if not plugins:
        raise UsageError("--plugins names no plugin; `harness plugins` lists them")
    suites = [registry.suite(name) for name in split(options.suite)]
    task_size = options.size if any(options.size in suite.sizes for suite in suites) else ""
    if options.tasks and not any(suite.sizes for suite in suites):
        raise UsageError(f"--tasks {options.tasks}: none of these suites has tasks; `harness suites` lists them")
    preset = "" if task_size else options.size
    if preset and options.state_bytes:
        raise UsageError("--size takes a published preset and --state-bytes solves for the width; use one of them")
    models = choose(registry, plugins)
    tokenizer_spec, tokenizer = registry.tokenizer(options.tokenizer)
    try:
        check_options(models, preset, str(tokenizer), registry.configs)
    except UsageError as error:
        of_tasks = dict.fromkeys(size for suite in suites for size in suite.sizes)
        if not (preset and of_tasks):
            raise
        raise UsageError(f"{error}; tasks have the sizes {' and '.join(of_tasks)}") from None
    device = resolve_device(options.device) if here else options.device
    corpora = []
    for text in split_selectors(options.corpus):
        if options.field and ":field=" not in text:
            text += f":field={written(options.field, ':')}"
        corpora.append(registry.corpus(text))
    texts = [(str(selector), _digest(registry, spec, selector)) for spec, selector in corpora]
    return Request(
        models=models, corpora=tuple(corpora), texts=tuple(texts), tokenizer=str(tokenizer),
        tokenizer_code=tokenizer_digest(tokenizer_spec, registry.configs),
        sizes=() if preset or options.state_bytes or not options.params else _sizes(options.params),
        state_bytes=parse_count(options.state_bytes, "--state-bytes") if options.state_bytes else 0,
        preset=preset, tasks=tuple(split(options.tasks)), task_size=task_size,
        seq_lens=parse_counts(options.seq_len, "--seq-len"), batch_size=options.batch_size, device=device,
        dtype=resolve_dtype(options.dtype, device), threads=options.threads, seeds=tuple(range(options.seeds)),
        budgets=_budgets(options.budget), lr=options.lr,
        rounds=options.rounds, unaudited=options.unaudited,
    )


def _digest(registry: Registry, spec: CorpusSpec, selector: Selector) -> str:
    """Of a corpus, read once for all requests of a command; files, which may change meanwhile, at every request."""
    if spec.argument == "PATH":
        return text_digest(spec, selector)
    if selector not in registry.texts:
        registry.texts[selector] = text_digest(spec, selector)
    return registry.texts[selector]


def _sizes(text: str) -> tuple[int, ...]:
    """Parameters to match, one size at least. Raises UsageError."""
    return parse_counts(text, "--params") or (parse_count(text, "--params"),)


def _budgets(text: str) -> tuple[int, ...]:
    """Bytes to train on, () for the suite's own. Raises UsageError where no trial of a learning rate would see any."""
    budgets = parse_counts(text, "--budget")
    if any(budget < LEAST_BUDGET for budget in budgets):
        raise UsageError(f"--budget must be at least {LEAST_BUDGET} bytes of text, got {text!r}")
    return budgets


def resolve_device(name: str) -> str:
    """ "auto" is cuda where a driver lists a GPU and torch has CUDA, without importing torch. Raises UsageError."""
    if name != "auto":
        if name == "cuda" and not gpu_listed():
            raise UsageError("--device cuda: no NVIDIA GPU is visible here; use --device cpu")
        return name
    return "cuda" if gpu_listed() and torch_has_cuda() else "cpu"


def gpu_listed() -> bool:
    command = shutil.which("nvidia-smi")
    if command is None:
        return False
    try:
        listing = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and "GPU 0" in listing.stdout


def torch_has_cuda() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "cpu" not in version("torch")
    except PackageNotFoundError:
        raise PluginError("torch is not installed: pip install qllm-harness") from None


def resolve_dtype(name: str, device: str) -> str:
    """ "auto" is bfloat16 autocast where the hardware multiplies bfloat16, float32 elsewhere."""
    if name != "auto":
        return name
    if device == "cuda":
        return "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if any(flag in flags for flag in FAST_BFLOAT16) else "float32"


def core_count() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Bytes that could be had now, 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return 0


def pick_executor(registry: Registry, options: RunOptions, device: str, local: Executor) -> Executor:
    """`local`, a Ray cluster, or what a plugin brings under this name. Raises UsageError, PluginError."""
    name = options.executor
    if options.address and name != "ray":
        raise UsageError(f"--address is of a Ray cluster: --executor ray, not {name}")
    if name == "local":
        return local
    if name == "ray":
        from .cluster import RayExecutor

        return RayExecutor(options, device, options.address)
    found: Executor | None = registry.manager.hook.harness_executor(name=name, local=local)
    if found is None:
        raise UsageError(f"unknown executor {name!r}; known: local, ray, and what plugins bring with harness_executor")
    return found


def make_executor(
    options: RunOptions, request: Request, files: Sequence[Path], directory: Path, notes: Sequence[str] = (),
) -> LocalExecutor:
    """The local executor for these flags; its log and the trainings that go on lie in `directory`.

    `notes` are told in every row of a sealed suite. A GPU is never shared, nor its host memory limited. Raises
    UsageError.
    """
    jobs = options.jobs or (1 if request.device == "cuda" else max(1, core_count() // options.threads))
    limit = parse_count(options.memory_limit, "--memory-limit") if options.memory_limit else available_memory()
    if options.memory_limit and limit < LEAST_MEMORY:
        raise UsageError(f"--memory-limit must leave room for PyTorch itself, 1GiB, got {options.memory_limit!r}")
    setup = Setup(
        tuple(str(absolute(file)) for file in files), options.threads, 0 if request.device == "cuda" else limit,
        str(directory / "worker.log"), tuple(notes), str(directory / "trunks"))
    return LocalExecutor(setup, jobs, options.timeout)
