"""SettingsFile: settings from the TOML file that --config or ATTTRACK_CONFIG names."""

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource, SettingsError


class SettingsFile(PydanticBaseSettingsSource):
    """The source of settings that comes after flags and environment, which say where the file is."""

    def __call__(self) -> dict[str, Any]:
        """Return what the file sets; nothing where no file is named. Raises SettingsError with one line per mistake."""
        path = self.current_state.get("config")
        return {} if path is None else read_settings_file(Path(path), self.settings_cls.model_fields)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One field, as the base wants; `__call__` returns all at once and does not ask here."""
        return self().get(field_name), field_name, False


def read_settings_file(path: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the settings of a TOML file; `known` are all that may be set. Raises SettingsError."""
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}") from None
    allowed = sorted(set(known) - {"config"})
    if unknown := [name for name in values if name not in allowed]:
        raise SettingsError("\n".join(f"{path}: there is no setting {near_miss(name, allowed)}" for name in unknown))
    return values


def near_miss(name: str, known: Collection[str], prefix: str = "") -> str:
    """Return "'prot'; did you mean 'port'?", or the name alone where nothing is like it."""
    close = get_close_matches(name, known, n=1)
    return f"'{prefix}{name}'" + (f"; did you mean '{prefix}{close[0]}'?" if close else "")
