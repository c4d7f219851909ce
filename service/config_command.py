"""atttrack config check|show|schema: settings before they are used."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from service.configuration import PROGRAM, origins, read_settings
from service.logs import redacted
from service.settings import Settings


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code: 0 fine, 2 bad settings."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} config",
        description="check: say whether the settings are right. show: print them as a settings file, with where each "
        "came from. schema: print the JSON Schema of the file.",
        epilog="Flags of the service may follow, such as --config FILE. Examples: atttrack config check; "
        "atttrack config show --config atttrack.toml",
    )
    parser.add_argument("what", choices=["check", "show", "schema"])
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
