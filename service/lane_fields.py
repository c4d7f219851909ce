"""The settings of a lane, written flat where the service names them: in its own settings, in requests, in messages.

`edge.pipeline.config.LaneSettings` says which there are, of what type, within which limits, and what they mean.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, Field, create_model

from edge.pipeline.config import LaneSettings

Presence = Literal["always", "defaulted", "optional"]
Model = TypeVar("Model", bound=BaseModel)

LANE_FIELDS: tuple[str, ...] = tuple(one.name for one in fields(LaneSettings))


def with_lane_fields(presence: Presence) -> Callable[[type[Model]], type[Model]]:
    """Return a decorator that adds all settings of a lane to a model.

    always: they must be given. defaulted: by default they are those of `LaneSettings`. optional: None stands for
    whatever the service's settings say.
    """
    types = get_type_hints(LaneSettings)

    def described(name: str, metadata: Any, default: Any) -> tuple[Any, Any]:
        limits = {"description": metadata["about"], "ge": metadata["least"], "le": metadata["most"]}
        if presence == "always":
            return types[name], Field(**limits)
        if presence == "defaulted":
            return types[name], Field(default=default, **limits)
        limits["description"] += " null: the service's default."
        return types[name] | None, Field(default=None, **limits)

    def decorate(model: type[Model]) -> type[Model]:
        added: dict[str, Any] = {
            one.name: described(one.name, one.metadata, one.default) for one in fields(LaneSettings)
        }
        return create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added)

    return decorate


def as_fields(settings: LaneSettings) -> dict[str, Any]:
    """Return the settings by name."""
    return {name: getattr(settings, name) for name in LANE_FIELDS}


def lane_settings(model: BaseModel) -> LaneSettings:
    """Return the lane's settings of a model that has them all."""
    return LaneSettings(**{name: getattr(model, name) for name in LANE_FIELDS})


def asked_of_lane(model: BaseModel, defaults: LaneSettings) -> dict[str, Any]:
    """Return what a request says of a lane, by name: nothing of what it leaves out, the default where it says null."""
    asked = {name: getattr(model, name) for name in LANE_FIELDS if name in model.model_fields_set}
    return {name: getattr(defaults, name) if value is None else value for name, value in asked.items()}
