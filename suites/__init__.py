"""The suites that come with the harness. A suite plans cells and composes what the workbench offers; no torch here."""

from harness import Suite, hookimpl


@hookimpl
def harness_suites() -> list[Suite]:
    from . import audit, circuit, kernels, memory, perplexity, recall, scaling, throughput

    return [module.suite for module in (perplexity, memory, throughput, scaling, recall, circuit, kernels, audit)]
