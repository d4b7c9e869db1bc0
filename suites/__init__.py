"""The suites that come with the harness. A suite plans cells and composes what the workbench offers; no torch here."""

from harness import Suite, hookimpl


@hookimpl
def harness_suites() -> list[Suite]:
    from . import anatomy, audit, circuit, counts, kernels, memory, perplexity, recall, scaling, throughput

    modules = (perplexity, memory, throughput, scaling, recall, circuit, kernels, audit, counts, anatomy)
    return [module.suite for module in modules]
