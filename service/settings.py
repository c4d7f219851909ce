"""What can be set about the service: by flag, by environment (ATTTRACK_*), by file or by default, in that order."""

import ipaddress
import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliSuppress,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from edge.pipeline.config import INPUT_SIZE, SHIPPED_PAIR, LaneSettings, parse_size
from edge.sources.decoding import Wanted
from engines.signature import size_name
from service.cameras.addresses import AddressPolicy
from service.cameras.url_policy import UrlPolicy
from service.lane_fields import lane_settings, with_lane_fields
from service.logs import LogFormat
from service.proxy import is_prefix
from service.store import FILE_NAME

Scheme = Literal["rtsp", "rtsps", "http", "https", "synthetic"]
SHORTEST_KEY = 32
"""Characters of a key that the environment or a file gives; those that the service makes are longer."""
_PROJECT = Path(__file__).resolve().parent.parent


@with_lane_fields("defaulted")
class Settings(BaseSettings):
    """All settings of one service; checked when it starts. Those of a lane are its defaults for new streams."""

    model_config = SettingsConfigDict(
        env_prefix="ATTTRACK_", extra="forbid", validate_default=True, frozen=True, hide_input_in_errors=True
    )

    config: Path | None = Field(default=None, description="TOML file with settings, each as NAME = VALUE")

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")

    models: Path = Field(default=_PROJECT / "models", description="directory with the model files")
    pair: str = Field(default=SHIPPED_PAIR, description="name of the teacher and student pair")
    size: str = Field(default=size_name(INPUT_SIZE), pattern=r"^\d+x\d+$", description="network input, WIDTHxHEIGHT")
    teacher_size: str | None = Field(
        default=None, pattern=r"^\d+x\d+$", description="the teacher's input, where it is not that of `size`"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where the networks run")
    plans_dir: Path | None = Field(
        default=None, description="folder of TensorRT plans; unset: atttrack/plans in the user's cache"
    )
    build_plans: Literal["off", "fp32", "fp16", "int8"] = Field(
        default="off",
        description="precision in which plans that a GPU lacks are built, in the background, while ONNX Runtime serves",
    )
    decode: Wanted = Field(
        default="auto",
        description="what decodes video: cpu, gpu (its video unit, a process per camera), gpu-direct (the same without "
        "a copy to the host or a process of its own: see docs/GPU.md), gstreamer (a Jetson's video unit), or the best",
    )

    demo: bool = Field(default=False, description="start with three drawn scenes as cameras")
    cameras: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="URLs to start with; repeat the flag, or separate by commas"
    )
    schemes: Annotated[list[Scheme], NoDecode] = Field(
        default=["rtsp", "rtsps", "synthetic"],
        description="URL schemes that may be posted; http and https are for Motion JPEG",
    )
    media_dir: Path | None = Field(
        default=None, description="allow files below this directory as streams; unset: no files"
    )
    allow_loopback: bool = Field(default=False, description="allow cameras on this machine (tests, demo)")
    state_dir: Path | None = Field(
        default=None,
        description="folder of what outlives a restart: streams, counts, keys; unset: ~/.local/state/atttrack, "
        "and with --demo nothing is kept",
    )
    timeline_days: float = Field(
        default=7.0, gt=0, le=3660, description="days for which people over time and zone events are kept"
    )
    stills_mb: float = Field(
        default=500.0,
        ge=0,
        description="most megabytes of the stills of all streams together; the oldest go first",
    )
    adapt_share: float = Field(
        default=0.25,
        ge=0.01,
        le=1,
        description="share of the processors for students that learn, at the lowest priority",
    )
    adapt_every_min: float = Field(
        default=60.0,
        gt=0,
        le=10_080,
        description="minutes that a stream with `adapt` gathers before a round of learning",
    )
    adapt_minutes: float = Field(default=30.0, gt=0, le=1440, description="minutes that a round of learning may take")
    adapt_mb: float = Field(
        default=64.0,
        ge=8,
        le=4096,
        description="most megabytes of pictures to learn from, of each stream or group, in memory",
    )
    max_streams: int = Field(default=16, ge=1, le=256, description="most streams at a time")

    api_key: CliSuppress[SecretStr | None] = Field(
        default=None,
        min_length=SHORTEST_KEY,
        description="key with scope admin to begin with; by environment or file only",
    )
    api_key_file: Path | None = Field(default=None, description="file with the key of scope admin to begin with")
    tls_cert: Path | None = Field(default=None, description="certificate chain (PEM): serve https and wss")
    tls_key: Path | None = Field(default=None, description="its private key (PEM), without a pass phrase")
    origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="pages besides this service's own that may call it, as https://host:port"
    )
    root_path: str = Field(
        default="",
        description="path below which a proxy shows this service, as /cams; unset: as X-Forwarded-Prefix says",
    )
    trusted_proxies: Annotated[list[IPvAnyNetwork], NoDecode] = Field(
        default_factory=list, description="proxies whose X-Forwarded-For is believed, as 10.0.0.5/32; unset: none"
    )
    camera_networks: Annotated[list[IPvAnyNetwork], NoDecode] = Field(
        default_factory=list, description="networks that cameras may be in, as 10.0.5.0/24; unset: all that may be"
    )
    allow_private: bool = Field(default=True, description="allow cameras in private networks, such as 192.168.0.0/16")
    requests_per_s: float = Field(default=500.0, gt=0, description="most requests per second of one key")
    max_subscribers: int = Field(default=500, ge=1, description="most connections that follow one stream")
    max_connections: int = Field(default=1000, ge=1, description="most connections that one key keeps open")

    subscriber_queue: int = Field(
        default=64, ge=1, description="messages kept for a slow WebSocket before the oldest drops"
    )
    history: int = Field(
        default=1000, ge=1, description="newest messages kept of each stream, to resume from, look back at and export"
    )
    history_mb: float = Field(default=8.0, gt=0, description="of these, no more than so many megabytes of each stream")
    sinks: CliSuppress[Annotated[list[SecretStr], NoDecode]] = Field(
        default_factory=list,
        description="brokers that get every track message, separated by commas: mqtt://, redis://, nats:// or kafka://",
    )
    video_fps: float = Field(default=25.0, gt=0, le=120, description="most pictures per second in /video")
    video_width: int = Field(default=1280, ge=64, le=7680, description="/video is scaled down to this width")
    jpeg_quality: int = Field(default=80, ge=10, le=100, description="of /video and /frame.jpg")

    shutdown_grace_s: float = Field(
        default=5.0, ge=0, description="seconds for subscribers to take what is queued at the end"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="how much to log")
    log_format: LogFormat | None = Field(
        default=None, description="one JSON object per line, or text; unset: text on a terminal, JSON elsewhere"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Say who is asked for a value, in that order; flags come before all of these."""
        return init_settings, env_settings, SettingsFile(settings_cls)

    @field_validator("cameras", "schemes", "origins", "camera_networks", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """'a,b' and ['a,b', 'c'] both are lists."""
        parts = [value] if isinstance(value, str) else value
        return [item for part in parts for item in part.split(",") if item] if isinstance(parts, list) else value

    @field_validator("sinks", mode="before")
    @classmethod
    def _split_sinks(cls, value: object) -> object:
        """A comma ends a URL only where another one follows; there may be lists inside."""
        return [url for url in re.split(r",(?=[a-z+]+://)", value) if url] if isinstance(value, str) else value

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/\s@?#]+", origin):
                raise ValueError("an origin looks like https://host or https://host:port, without a path")
        return value

    @field_validator("root_path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not is_prefix(path):
            raise ValueError("a root path looks like /cams or /site/cams: letters, digits and -._~ between slashes")
        return path

    @field_validator("api_key_file")
    @classmethod
    def _holds_a_key(cls, value: Path | None) -> Path | None:
        if value is not None and (not value.is_file() or len(value.read_text().strip()) < SHORTEST_KEY):
            raise ValueError(f"{value} is no file with a key of {SHORTEST_KEY} characters or more")
        return value

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together; give both or none")
        return self

    @model_validator(mode="after")
    def _surfaces_meet_networks(self) -> Self:
        if self.decode == "gpu-direct" and self.device == "cpu":
            raise ValueError("decode = gpu-direct leaves pictures on the GPU, where device = cpu has no networks")
        return self

    @field_validator("media_dir")
    @classmethod
    def _is_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"{value} is not a directory")
        return value

    @property
    def lane(self) -> LaneSettings:
        """What a stream has that asks for nothing else."""
        return lane_settings(self)

    @property
    def store_path(self) -> Path | None:
        """The file for `service.store.Store`; None: memory alone."""
        if self.state_dir is None and self.demo:
            return None
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"  # the XDG base directories
        return (self.state_dir or Path(home) / "atttrack") / FILE_NAME

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the network input."""
        return parse_size(self.size)

    @property
    def teacher_input_size(self) -> tuple[int, int] | None:
        """The teacher's, where it is another."""
        return None if self.teacher_size is None else parse_size(self.teacher_size)

    @property
    def url_policy(self) -> UrlPolicy:
        """What may be posted."""
        addresses = AddressPolicy(self.allow_loopback, self.allow_private, tuple(self.camera_networks))
        return UrlPolicy(frozenset(self.schemes), self.media_dir, addresses)

    @property
    def bound_to_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def bootstrap_key(self) -> str | None:
        """The key of `api_key` or `api_key_file`; reads the file."""
        if self.api_key_file is not None:
            return self.api_key_file.read_text().strip()
        return self.api_key.get_secret_value() if self.api_key else None


class SettingsFile(PydanticBaseSettingsSource):
    """Settings from the TOML file that --config or ATTTRACK_CONFIG names; after flags and environment."""

    def __call__(self) -> dict[str, Any]:
        """Return what the file sets; nothing where no file is named. Raises SettingsError with one line per mistake."""
        path = self.current_state.get("config")
        return {} if path is None else read_settings_file(Path(path))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One field, as the base wants; `__call__` returns all at once and does not ask here."""
        return self().get(field_name), field_name, False


def read_settings_file(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file. Raises SettingsError with one line per mistake."""
    if not path.is_file():
        raise SettingsError(f"cannot read the settings file {path}: there is no such file")
    try:
        values: dict[str, Any] = TomlConfigSettingsSource(Settings, path).toml_data
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except ValueError as error:  # broken TOML, or no text at all
        raise SettingsError(f"{path} is no TOML: {error}") from None
    allowed = sorted(set(Settings.model_fields) - {"config"})
    if unknown := [name for name in values if name not in allowed]:
        raise SettingsError("\n".join(f"{path}: there is no setting {near_miss(name, allowed)}" for name in unknown))
    return values


def near_miss(name: str, known: Collection[str], prefix: str = "") -> str:
    """Return "'prot'; did you mean 'port'?", or the name alone where nothing is like it."""
    close = get_close_matches(name, known, n=1)
    return f"'{prefix}{name}'" + (f"; did you mean '{prefix}{close[0]}'?" if close else "")
