"""Flags: a field of an options class is a flag of the command, with its default, its words and its bounds."""

from dataclasses import fields

import pytest
import typer

from harness.cli import app
from harness.errors import UsageError
from harness.run.flags import RunOptions, TrainOptions, check, flags_of, spelled
from harness.version import __version__

COMMANDS = {"run": RunOptions, "train": TrainOptions}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_every_flag_with_its_default_and_its_words(name):
    parameters = {one.name: one for one in typer.main.get_command(app).commands[name].params}
    for field in fields(COMMANDS[name]):
        flag, parameter = flags_of(COMMANDS[name])[field.name], parameters[field.name]
        assert parameter.help == flag.help
        assert flag.argument or {spelled(field.name), *flag.names} & set(parameter.opts)
        given = parameter.default or None
        assert flag.argument or given in (field.default or None, [])


@pytest.mark.parametrize("options", [RunOptions(), TrainOptions("ssm")])
def test_what_is_out_of_bounds_or_no_choice_is_refused_by_the_name_of_its_flag(options):
    check(options)
    for name, flag in flags_of(type(options)).items():
        values = vars(options)
        if flag.choices:
            with pytest.raises(UsageError, match=f"^{spelled(name)} must be one of {flag.choices[0]}"):
                check(type(options)(**values | {name: "other"}))
        if flag.most is not None:
            with pytest.raises(UsageError, match=f"^{spelled(name)} must be between"):
                check(type(options)(**values | {name: flag.most + 1}))


def test_the_version_is_told(capsys):
    app(["--version"], standalone_mode=False)
    assert capsys.readouterr().out == f"qllm-harness {__version__}\n"
