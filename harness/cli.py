"""The command line: its commands, and what it does without one. What is heavy is imported by the command it is for."""

from __future__ import annotations

from typing import Annotated

import typer

from .commands.audit import audit
from .commands.check import check
from .commands.claim import claim
from .commands.claims import claims, reproduce
from .commands.compare import compare
from .commands.convert import convert
from .commands.doctor import doctor
from .commands.export import export
from .commands.gguf import gguf_export, gguf_import
from .commands.lists import corpora, plugins, suites
from .commands.lm_eval import lm_eval
from .commands.lr import lr
from .commands.merge import merge
from .commands.new import new
from .commands.plan import plan
from .commands.power import power
from .commands.report import report
from .commands.rescore import rescore
from .commands.run import run
from .commands.show import show
from .commands.site import site
from .commands.submit import submit
from .commands.train import generate, train, watch
from .version import __version__

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


for command in (
    run, plugins, suites, corpora, new, doctor,
    audit, check, claim, claims, compare, convert, export, gguf_export, gguf_import, generate, lm_eval, lr, merge, plan,
    power, report, reproduce, rescore, show, site, submit, train, watch,
):
    app.command()(command)
