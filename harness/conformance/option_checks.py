"""What is asked of a model's options: defaults of types that can be written, and bad values refused in a line."""

from __future__ import annotations

import warnings
from dataclasses import fields

from ..checkpoint import model_options
from ..errors import HarnessError, one_line
from ..options import config_class, describe_options, make_config
from ..selector import options_in
from ..sizing import count_on_meta
from ..specs import ModelSpec
from .result import CheckFailed


def check_options(spec: ModelSpec, vocab_size: int) -> str:
    """The names of a model's options, each of which refuses what it cannot be. Raises CheckFailed."""
    kind = config_class(spec)
    config = make_config(spec, {})
    model_options(spec, config)
    for preset in getattr(kind, "PRESETS", {}):
        count_on_meta(spec, make_config(spec, {}, preset), vocab_size)
    for text in spec.tunable:
        _builds(spec, vocab_size, text)
    refused = 0
    for f in fields(kind):
        for text in ("no such value", "0", "-1"):
            if not isinstance(getattr(config, f.name), int | float) and text != "no such value":
                continue
            refused += _refuses(spec, vocab_size, f.name, text)
    names = ", ".join(name for name, _, _ in describe_options(kind)) or "none"
    return f"{names}; {refused} bad values refused in a line"


def _builds(spec: ModelSpec, vocab_size: int, text: str) -> None:
    """Raise CheckFailed where a search could not try these options."""
    try:
        count_on_meta(spec, make_config(spec, options_in(text)), vocab_size)
    except Exception as error:
        raise CheckFailed(f"tunable names {text}, which is refused: {one_line(error)}") from None


def _refuses(spec: ModelSpec, vocab_size: int, name: str, text: str) -> bool:
    """Whether an option's value is refused, by the config or with a ValueError by the model. Else it must build."""
    try:
        config = make_config(spec, {name: text})
    except HarnessError as error:
        if "\n" in str(error):
            raise CheckFailed(f"{name}={text} is refused in several lines") from None
        return True
    try:
        with warnings.catch_warnings(action="ignore"):
            count_on_meta(spec, config, vocab_size)
    except (HarnessError, ValueError):
        return True
    except Exception as error:
        raise CheckFailed(f"{name}={text} is accepted, and then building raises {one_line(error)}") from None
    return False
