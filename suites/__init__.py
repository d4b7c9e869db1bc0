"""The suites that come with the harness. A suite plans cells and composes what the workbench offers; no torch here."""

from harness import Suite, hookimpl

if __name__ != "harness.suites":
    raise ImportError(f"import harness.suites in place of {__name__}: by two names each module would be loaded twice")


@hookimpl
def harness_suites() -> list[Suite]:
    from . import (
        abilities,
        anatomy,
        audit,
        circuit,
        counts,
        kernels,
        ladder,
        memory,
        perplexity,
        recall,
        scaling,
        throughput,
        transfer,
    )

    modules = (
        perplexity, ladder, memory, throughput, scaling, recall, abilities, circuit, kernels, audit, counts, anatomy,
        transfer)
    return [module.suite for module in modules]
