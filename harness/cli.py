"""The command line: parse, call, print. What is heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .commands.audit import audit
from .commands.check import check
from .commands.claims import claims, reproduce
from .commands.compare import compare
from .commands.gguf import gguf_export, gguf_import
from .commands.matrix import print_matrix
from .commands.options import (
    Device,
    Dtype,
    Json,
    Params,
    PluginFiles,
    Size,
    Tokenizer,
    complete_models,
    complete_suites,
    given,
    load_registry,
    print_json,
)
from .commands.report import report
from .commands.train import generate, train, watch
from .errors import PluginError, UsageError
from .quantities import split
from .version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import Registry
    from .specs import CorpusSpec, Spec, TokenizerSpec

app = typer.Typer(
    pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare language-model architectures: audited for leaks, matched in parameters, measured side by side.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"qllm-harness {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def run(
    context: typer.Context,
    suite: Annotated[str, typer.Option(
        help="Suites to run, separated by commas.", autocompletion=complete_suites)] = "",
    plugins: Annotated[str, typer.Option(
        help="Plugins, separated by commas; NAME:KEY=VALUE sets options.", autocompletion=complete_models)] = "",
    out: Annotated[Path | None, typer.Option(help="Results directory; the same command again resumes it.")] = None,
    corpus: Annotated[str, typer.Option(
        help="Corpora, separated by commas: pydoc, markov, file:PATH, hf:NAME, …")] = "pydoc",
    tokenizer: Tokenizer = "bytes",
    field: Annotated[str, typer.Option(help="The text field of a file:PATH with JSON lines.")] = "",
    params: Params = "300k",
    state_bytes: Annotated[str, typer.Option(
        help="Match the models by the state of one sequence at the measured length instead, e.g. 16k.")] = "",
    size: Size = "",
    seq_len: Annotated[str, typer.Option(
        help="Lengths in tokens, separated by commas; default: the suite's own.")] = "",
    batch_size: Annotated[int, typer.Option(help="Sequences per batch; default: the suite's own.")] = 0,
    budget: Annotated[str, typer.Option(help="Bytes of text a model is trained on.")] = "",
    lr: Annotated[float | None, typer.Option(help="Learning rate for every model; skips the search.")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 1,
    rounds: Annotated[int, typer.Option(help="Timed rounds per measurement; default: the suite's own.")] = 0,
    unaudited: Annotated[bool, typer.Option(
        help="Also record, apart, the score of a model that failed its audit.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Annotated[int, typer.Option(help="Threads per worker.")] = 1,
    jobs: Annotated[int, typer.Option(help="Untimed cells side by side; default: one per core, one on a GPU.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds a cell may take.")] = 900.0,
    memory_limit: Annotated[str, typer.Option(help="Bytes a worker may hold; default: what is available now.")] = "",
    executor: Annotated[str, typer.Option(help="local, or what a plugin brings.")] = "local",
    export: Annotated[str, typer.Option(
        help="Also write finished cells for trackers, separated by commas: tensorboard, wandb, mlflow.")] = "",
    retry: Annotated[bool, typer.Option(help="Measure failed cells again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the matrix and stop.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with these options under their own names.")] = None,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Run suites over plugins and write the tables."""
    from .export import make_exporters
    from .run import plan as planning
    from .run.request import RunOptions, make_request, with_config
    from .store import Store

    options = with_config(RunOptions(
        suite=suite, plugins=plugins, corpus=corpus, tokenizer=tokenizer, field=field, params=params, size=size,
        state_bytes=state_bytes,
        seq_len=seq_len, batch_size=batch_size, budget=budget, lr=lr, seeds=seeds, rounds=rounds, unaudited=unaudited,
        device=device, dtype=dtype, threads=threads, jobs=jobs, timeout=timeout, memory_limit=memory_limit,
        executor=executor, out=str(out or ""), export=export, retry=retry,
        plugin_file=tuple(map(str, plugin_file or ())),
    ), config, given(context))
    files = [Path(file) for file in options.plugin_file]
    registry = load_registry(files)
    for exporter in make_exporters(split(options.export)):
        registry.manager.register(exporter)
    names = split(options.suite)
    if not names:
        raise UsageError("--suite names no suite; `harness suites` lists them")
    if not split(options.corpus):
        raise UsageError("--corpus names no corpus; `harness corpora` lists them")
    for name in names:
        registry.suite(name)
    request = make_request(registry, options)
    directory = Path(options.out) if options.out else planning.default_directory(names, request.models)
    store = Store(directory, create=not dry_run) if not dry_run or directory.exists() else None
    planned = planning.make_plan(registry, names, request, store, options.retry)
    if dry_run or store is None:
        print_matrix(planned, directory, as_json)
        return
    raise typer.Exit(_execute(registry, planned, store, options, files, as_json))


def _execute(registry: Registry, planned: Any, store: Any, options: Any, files: list[Path], as_json: bool) -> int:
    from .commands.progress import Reporter
    from .run import plan as planning
    from .run.request import make_executor, pick_executor

    local = make_executor(options, planned.request, files, store.directory / "worker.log")
    executor = pick_executor(registry, options.executor, local)
    with Reporter(planned) as reporter:
        rows = planning.execute(
            planned, registry, store, executor, reporter.events, reporter.stop, ["harness", *sys.argv[1:]],
            reporter.note)
        stop = reporter.stop
    if as_json:
        print_json(rows)
    else:
        from .evidence.tables.console import print_report

        print_report(rows, planned.suites, store.directory)
    if stop.requested:
        left = len([c for c in planned.cells if store.read(c.id) is None])
        reporter.note(f"every finished cell is kept, {left} left; the same command resumes")
    return planning.exit_code(rows, stop)


@app.command()
def plugins(plugin_file: PluginFiles = None, as_json: Json = False, options: Annotated[bool, typer.Option(
    help="Show the options of every plugin.")] = False) -> None:
    """List the model plugins, and those that do not load."""
    from .specs import missing

    registry = load_registry(plugin_file)
    entries = [
        {"name": s.name, "family": s.family, "summary": s.summary, "source": s.source,
         "from": registry.origins[s.name], "unavailable": missing(s)} for s in registry.models.values()
    ]
    broken = [{"name": b.name, "broken": b.reason} for b in registry.broken.values()]
    if as_json:
        print(json.dumps(entries + broken, indent=1))
        return
    for entry in entries:
        print(f"{entry['name']:<14} {entry['family']:<10} {entry['summary']}")
        if entry["unavailable"]:
            print(f"{'':<14} unavailable: {entry['unavailable']}")
        if options and not entry["unavailable"]:
            _print_options(registry, entry["name"])
    for entry in broken:
        print(f"{entry['name']:<14} broken     {entry['broken']}")


def _print_options(registry: Registry, name: str) -> None:
    from .options import config_class, describe_options

    try:
        kind = config_class(registry.models[name])
    except PluginError as error:
        print(f"{'':<14}   {error}")
        return
    for key, words, default in describe_options(kind):
        print(f"{'':<14}   {key}={default:<14} {words}")
    for component in registry.components.values():
        if component.model == name:
            print(f"{'':<14}   {component.place} {component.name:<14} {component.summary}")
    presets = getattr(kind, "PRESETS", {})
    if presets:
        print(f"{'':<14}   --size {', '.join(presets)}")


@app.command()
def suites(plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the suites."""
    registry = load_registry(plugin_file)
    if as_json:
        entries = [{"name": s.name, "summary": s.summary, "timed": s.timed} for s in registry.suites.values()]
        print(json.dumps(entries, indent=1))
        return
    for suite in registry.suites.values():
        print(f"{suite.name:<14} {suite.summary}")


@app.command()
def corpora(plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the corpora and tokenizers."""
    from .specs import missing

    registry = load_registry(plugin_file)
    groups: dict[str, Mapping[str, CorpusSpec | TokenizerSpec]] = {
        "corpus": registry.corpora, "tokenizer": registry.tokenizers}
    entries = [
        {"kind": kind, "name": ":".join(filter(None, (s.name, getattr(s, "argument", "")))), "summary": s.summary,
         "unavailable": missing(s)} for kind, table in groups.items() for s in table.values()
    ]
    if as_json:
        print(json.dumps(entries, indent=1))
        return
    for entry in entries:
        print(f"{entry['kind']:<10} {entry['name']:<13} {entry['summary']}")
        if entry["unavailable"]:
            print(f"{'':<24} unavailable: {entry['unavailable']}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin, an identifier such as mymodel.")],
    directory: Annotated[Path | None, typer.Option(
        help="Where to put it; default: a folder of that name here.")] = None,
) -> None:
    """Write a new plugin: a package, its test and its pyproject."""
    from .conformance.scaffold import create

    if name in load_registry(None).models:
        raise UsageError(f"a plugin {name!r} is already registered; choose another name")
    for path in create(name, directory or Path(name)):
        print(path)
    where = shlex.quote(str(directory or Path(name)))
    print(f"try it: harness check {where} && harness run -p {where} --suite scaling --plugins {name},baseline")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what this machine has, what is missing, and which plugins do not load."""
    from .run.environment import environment
    from .specs import missing

    registry = load_registry(None)
    facts = environment()
    specs: list[Spec] = [*registry.models.values(), *registry.corpora.values(), *registry.tokenizers.values()]
    lacking = {s.name: missing(s) for s in specs if missing(s)}
    broken = {b.name: b.reason for b in registry.broken.values()}
    if as_json:
        print(json.dumps({"environment": facts, "unavailable": lacking, "broken": broken}, indent=1))
    else:
        for key, value in facts.items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v}" for k, v in value.items() if v)
            elif isinstance(value, list):
                value = ", ".join(map(str, value))
            print(f"{key:<16} {value if value not in ('', None) else '-'}")
        for title, table in (("unavailable", lacking), ("broken", broken)):
            for name, reason in table.items():
                print(f"{title:<16} {name}: {reason}")
    if broken:
        raise typer.Exit(3)


for command in (
    audit, check, claims, compare, gguf_export, gguf_import, generate, report, reproduce, train, watch,
):
    app.command()(command)
