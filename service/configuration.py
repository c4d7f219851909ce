"""How settings come together: flags, then environment, then file, then defaults."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from service.settings import Settings
from service.settings_file import near_miss, read_settings_file

PROGRAM = "python -m service"
EXAMPLES = f"""\
examples:
  {PROGRAM} --demo                        three drawn scenes as cameras; then open http://127.0.0.1:8000
  {PROGRAM} --cameras rtsp://192.168.1.20/live
  {PROGRAM} --media-dir ~/clips           then: curl -d '{{"url": "walk.mp4"}}' -H 'Content-Type: application/json' \\
                                                localhost:8000/streams
  ATTTRACK_PORT=9000 ATTTRACK_K=4 {PROGRAM}
  {PROGRAM} --config atttrack.toml        settings as NAME = VALUE, with _ where flags have -

commands:
  {PROGRAM} [serve]                       run the service; what follows are settings
  {PROGRAM} keys add|list|revoke          API keys, for all that may not be open to everybody
  {PROGRAM} doctor                        what of this machine works, and what does not
  {PROGRAM} config check|show|schema      settings: are they right, what are they and where from, what may they be

Precedence: flag, environment variable ATTTRACK_<NAME>, file (--config FILE or ATTTRACK_CONFIG), default.
"""
PREFIX = "ATTTRACK_"
OTHER_VARIABLES = {"DATA"}
"""ATTTRACK_* variables that are no settings: where tests and training find real sequences."""
NO_FLAG = {"api_key"}
"""A command line is there for all to read, by `ps`."""
BAD_SETTINGS = 2

Origin = Literal["flag", "environment", "file", "default"]


def read_settings(arguments: Sequence[str]) -> Settings:
    """Return the settings; exits with code 2 and one line per mistake."""
    try:
        return gather(arguments)
    except ValidationError as error:
        lines = "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        stop(BAD_SETTINGS, lines)
    except SettingsError as error:
        stop(BAD_SETTINGS, str(error))


def gather(arguments: Sequence[str]) -> Settings:
    """Return the settings. Raises SettingsError for an unknown name, ValidationError for a value that cannot be."""
    _check_names(arguments, os.environ)
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Track people in live video; web page at /, HTTP interface at /docs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
        Settings, root_parser=parser, cli_kebab_case=True, cli_implicit_flags=True, cli_hide_none_type=True
    )
    return CliApp.run(Settings, cli_args=list(arguments), cli_settings_source=flags)


def origins(settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Origin]:
    """Return where each setting came from; `settings` are those that `arguments` and `environment` made."""
    flags = {argument.partition("=")[0] for argument in arguments}
    variables = {name.upper() for name in environment}
    in_file = set(read_settings_file(settings.config, Settings.model_fields)) if settings.config else set()
    return {
        name: "flag"
        if flags & set(_flags(name))
        else "environment"
        if f"{PREFIX}{name.upper()}" in variables
        else "file"
        if name in in_file
        else "default"
        for name in Settings.model_fields
    }


def stop(code: int, message: str) -> NoReturn:
    """End the program, with a message on standard error."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    sys.exit(code)


def _check_names(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Flags and variables that nobody reads are mistakes."""
    names = sorted(Settings.model_fields)
    flags = [flag for name in names if name not in NO_FLAG for flag in _flags(name)]
    given = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    lines = [f"there is no flag {near_miss(flag, flags)}" for flag in given if flag not in (*flags, "--help")]
    lines += [
        f"there is no setting for the variable {near_miss(name, [n.upper() for n in names], PREFIX)}"
        for name in (name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX))
        if name not in OTHER_VARIABLES and name.lower() not in names
    ]
    if lines:
        raise SettingsError("\n".join(lines))


def _flags(name: str) -> tuple[str, ...]:
    """'media_dir' -> ('--media-dir', '--no-media-dir')."""
    kebab = name.replace("_", "-")
    return (f"--{kebab}", f"--no-{kebab}") if len(name) > 1 else (f"-{name}",)
