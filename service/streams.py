"""What the API says about streams: the body of POST /streams and the answer of GET."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from edge.modes import Mode

StreamId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Phase = Literal["connecting", "running", "reconnecting", "failed", "stopped"]


class NewCredentials(BaseModel):
    """User name and password of a camera. Write-only: no answer, message or log ever has them."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=256, examples=["viewer"])
    password: SecretStr = Field(max_length=256, examples=["secret"])


class NewStream(BaseModel):
    """A stream to add; `url` is enough."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "synthetic://?people=8&seed=1"}, {"url": "rtsp://192.168.1.20/live"}]},
    )

    url: str = Field(description="rtsp://, rtsps:// or synthetic://; files only where the service allows them")
    id: StreamId | None = Field(default=None, description="Your own id; without it the service makes one.")
    name: str | None = Field(default=None, max_length=100, description="For people; the id if absent.")
    k: int | None = Field(default=None, ge=1, le=100, description="Keyframe period; the service's default if absent.")
    mode: Mode | None = Field(
        default=None, description="How the networks share the work; has to be the one that this service runs."
    )
    credentials: NewCredentials | None = None


class StateView(BaseModel):
    """What the stream is doing, and why."""

    phase: Phase
    since: float = Field(description="Unix time of the change to this phase.")
    cause: str | None = Field(
        default=None, description="Stable code, such as connection_failed, auth_failed, timeout, no_video."
    )
    message: str | None = Field(default=None, description="The cause for people.")
    attempts: int = Field(default=0, description="Connections that failed since the last frame.")
    next_retry: float | None = Field(default=None, description="Unix time of the next attempt, while reconnecting.")


class StatsView(BaseModel):
    """Live numbers over the last three seconds; totals since the stream was added."""

    fps: float = Field(description="Frames tracked per second.")
    frame_age_p50_ms: float | None = Field(description="From capture to tracks.")
    frame_age_p95_ms: float | None
    people: int = Field(description="In the newest frame.")
    frames: int = Field(description="Frames tracked, total.")
    dropped: int = Field(description="Frames replaced by newer ones before they were tracked, total.")
    width: int | None = Field(description="Of the source picture, pixels.")
    height: int | None
    subscribers: int = Field(description="WebSocket clients now.")


class StreamView(BaseModel):
    """A stream as GET shows it."""

    id: str
    name: str
    url: str = Field(description="Without user, password and secret query values.")
    has_credentials: bool
    k: int
    mode: Mode
    created_at: float = Field(description="Unix time.")
    state: StateView
    stats: StatsView


class StreamList(BaseModel):
    """All streams, oldest first."""

    streams: list[StreamView]
