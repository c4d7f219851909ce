"""How settings come together: flags, then environment, then file, then defaults; and `config`, which shows them."""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import SecretStr, ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from service.logs import redacted
from service.settings import Settings, near_miss, read_settings_file
from service.sinks.sinks import open_sink

PROGRAM = "atttrack"
SERVE = f"{PROGRAM} serve"
EXAMPLES = f"""\
examples:
  {SERVE} --demo                   three drawn scenes as cameras; then open http://127.0.0.1:8000
  {SERVE} --cameras rtsp://192.168.1.20/live
  {SERVE} --media-dir ~/clips      then: curl -d '{{"url": "walk.mp4"}}' -H 'Content-Type: application/json' \\
                                          localhost:8000/streams
  ATTTRACK_PORT=9000 ATTTRACK_K=4 {SERVE}
  {SERVE} --config atttrack.toml   settings as NAME = VALUE, with _ where flags have -

beside it:
  {PROGRAM} keys                           API keys, for all that may not be open to everybody
  {PROGRAM} doctor                         what of this machine works, and what does not
  {PROGRAM} config                         settings: are they right, what are they and where from, what may they be

Precedence: flag, environment variable ATTTRACK_<NAME>, file (--config FILE or ATTTRACK_CONFIG), default.
"""
_METAVARS = {
    "Path": "PATH",
    "str": "TEXT",
    "int": "N",
    "float": "X",
    "list[str]": "A,B",
    "list[IPvAnyNetwork]": "10.0.5.0/24",
}
"""Type of a setting as pydantic writes it -> as a usage line has it."""
PREFIX = "ATTTRACK_"
OTHER_VARIABLES = {"DATA", "NATS", "NATS_CA", "NATS_CERT", "NATS_KEY", "SITE", "NAME"}
"""ATTTRACK_* variables that are no settings: where tests and training find real sequences, and a cluster its server."""
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
    _check_secrets(arguments)
    parser = argparse.ArgumentParser(
        prog=SERVE,
        description="Track people in live video; web page at /, HTTP interface at /docs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
        Settings,
        root_parser=parser,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        add_argument_method=_add_flag,
    )
    settings = CliApp.run(Settings, cli_args=list(arguments), cli_settings_source=flags)
    for url in settings.sinks:
        try:
            open_sink(url.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"sinks: {error}") from None
    return settings


def _check_secrets(arguments: Sequence[str]) -> None:
    """Raise SettingsError for a camera's password on the command line, which everybody on the machine may read."""
    if any(re.search(r"rtsps?://[^/?#\s]*@", argument) for argument in arguments):
        told = "cameras: a command line is there for all to read; give cameras with a password by ATTTRACK_CAMERAS"
        raise SettingsError(f"{told}, by the file of --config, or by POST /streams")


def origins(settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Origin]:
    """Return where each setting came from; `settings` are those that `arguments` and `environment` made."""
    flags = {argument.partition("=")[0] for argument in arguments}
    variables = {name.upper() for name in environment}
    in_file = set(read_settings_file(settings.config)) if settings.config else set()
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


def examples(*commands: str) -> str:
    """The end of a help: commands of the program, each on a line of its own."""
    return "\n".join(["examples:", *(f"  {PROGRAM} {command}" for command in commands)])


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
    return (f"--{kebab}", f"--no-{kebab}") if len(name) > 1 else (f"--{name}", f"-{name}")


def _add_flag(group: argparse._ActionsContainer, *flags: str, **how: Any) -> argparse.Action:
    """Add a flag of pydantic's making, in this project's form: --k beside -k, and no Python in the help."""
    if "metavar" in how:
        choices = re.fullmatch(r"list\[\{(.+)\}\]", how["metavar"])
        how["metavar"] = choices[1] if choices else _METAVARS.get(how["metavar"], how["metavar"])
    for theirs in ("(default: null)", "(default factory: list)", "(default: )"):
        how["help"] = how["help"].replace(theirs, "(default: none)")
    how["help"] = re.sub(
        r"\[('.*')\]\)$", lambda found: found[1].replace("'", "").replace(", ", ",") + ")", how["help"]
    )
    longer = [f"-{flag}" for flag in flags if len(flag) == 2 and flag != "-h"]
    return group.add_argument(*longer, *flags, **how)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code: 0 fine, 2 bad settings."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} config",
        description="check: say whether the settings are right.\nshow: print them as a settings file, with where each "
        "came from.\nschema: print the JSON Schema of the file.",
        epilog=f"Flags of the service may follow, such as --config FILE.\n\n"
        f"{examples('config check', 'config show --config atttrack.toml', 'config schema')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["check", "show", "schema"], help="what to do, as said above")
    chosen, flags = parser.parse_known_args(arguments)
    if chosen.what == "schema":
        print(json.dumps(file_schema(), indent=2))
        return 0
    settings = read_settings(flags)
    if chosen.what == "show":
        print(show(settings, flags))
    else:
        print(f"the settings are right{f'; file: {settings.config}' if settings.config else ''}")
    return 0


def file_schema() -> dict[str, object]:
    """Return the JSON Schema of a settings file."""
    schema = Settings.model_json_schema()
    schema["properties"].pop("config")
    return schema


def show(settings: Settings, flags: Sequence[str]) -> str:
    """Return all settings as TOML, each with its origin; secrets are shown as ***."""
    origin = origins(settings, flags, os.environ)
    lines = ["# flag before environment before file before default"]
    for name in Settings.model_fields:
        if name != "config":
            value = getattr(settings, name)
            line = f"# {name} is not set" if value is None else f"{name} = {_toml(value)}"
            lines.append(f"{line}  # {origin[name]}")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, SecretStr):
        return '"***"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, str | Path):
        return json.dumps(redacted(str(value)))  # a JSON string is a TOML string
    return str(value).lower()
