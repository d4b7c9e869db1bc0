"""The plugins that a run is about: selected, their options spelled one way and checked before anything runs. (no torch)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..checkpoint import open_checkpoint, trained_values
from ..configs import HERE, Configs
from ..errors import UsageError
from ..registry import Registry
from ..selector import Selector, options_in, parse_selector
from ..specs import ModelSpec, missing
from .cells import Choice
from .identity import model_digest, weights_digest


def choose(registry: Registry, selectors: Sequence[str]) -> tuple[Choice, ...]:
    """The selected plugins. Raises UsageError or PluginError."""
    choices = []
    for text in selectors:
        selector = parse_selector(text)
        spec = registry.model(selector)
        known = () if missing(spec) else tuple(registry.configs.names(spec))
        selector = _canonical(registry.configs, spec, selector)
        options = dict(selector.options)
        if selector.checkpoint:
            checkpoint = open_checkpoint(selector.checkpoint)
            if known and checkpoint.config.plugin == spec.name:
                trained_values(registry.configs, spec, checkpoint.config, selector.checkpoint)
            options = checkpoint.config.model
        code = model_digest(registry, spec, options)
        refused = _refused(registry.configs, spec, selector) if known and not selector.checkpoint else ()
        choices.append(Choice(spec, selector, code, weights_digest(selector.checkpoint), known, refused))
    labels = [choice.label for choice in choices]
    if len(set(labels)) != len(labels):
        raise UsageError(f"a plugin is selected twice in {', '.join(labels)}")
    return tuple(choices)


def _refused(configs: Configs, spec: ModelSpec, selector: Selector) -> tuple[str, ...]:
    """The sets of options to tune by that the config does not take beside those of the selector, which it takes."""
    own, refused = dict(selector.options), []
    for text in spec.tunable if own else ():
        try:
            configs.values(spec, own | options_in(text))
        except UsageError:
            refused.append(text)
    return tuple(refused)


def _canonical(configs: Configs, spec: ModelSpec, selector: Selector) -> Selector:
    """The selector with its options spelled one way. Raises UsageError for a wrong one."""
    if selector.checkpoint or missing(spec) or not selector.options:
        return selector
    return replace(selector, options=tuple(configs.spelled(spec, dict(selector.options)).items()))


def check_options(
    choices: Sequence[Choice], preset: str, tokenizer: str = "", configs: Configs = HERE,
) -> None:
    """Build every available plugin's config, so that a wrong option or size is told before anything runs.

    Trained weights bring their own size; they must be of this plugin, these options and this tokenizer.
    """
    for choice in choices:
        if choice.missing:
            continue
        if not choice.selector.checkpoint:
            configs.values(choice.spec, dict(choice.selector.options), preset)
            continue
        checkpoint = open_checkpoint(choice.selector.checkpoint)
        checkpoint.hold_to(choice.spec, choice.selector, configs)
        if tokenizer and checkpoint.config.tokenizer != tokenizer:
            raise UsageError(f"{checkpoint.name} was trained with --tokenizer {checkpoint.config.tokenizer}, "
                             f"not {tokenizer}")
