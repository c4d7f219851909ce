"""What the API says about streams: the bodies of POST and PATCH, and the answer of GET."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from engines.signature import PEOPLE
from service.adaptation.schema import AdaptationView
from service.ids import Id
from service.lane_fields import with_lane_fields
from service.zones.zone import Zones

StreamPhase = Literal["pending", "connecting", "running", "degraded", "reconnecting", "failed", "stopped"]
"""As `edge.sources.base.Phase`; but a stream whose source has ended is stopped."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Note = Annotated[str, StringConstraints(max_length=200)]
StillsDays = Annotated[float, Field(ge=0, le=366, allow_inf_nan=False)]

_ADAPT = (
    "Whether the student learns this camera from the teacher while it runs; pictures to learn from stay in memory. "
    "docs/ADAPT.md has the rest."
)
_ADAPT_GROUP = "Streams of one group learn one student together; null: a student of its own."
_STILLS = "Days for which a picture is kept of what happens in the zones; 0: no pictures."


class NewCredentials(BaseModel):
    """User name and password of a camera. Write-only: no answer, message or log ever has them."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=256, examples=["viewer"])
    password: SecretStr = Field(max_length=256, examples=["secret"])

    @field_validator("password")
    @classmethod
    def _is_text(cls, value: SecretStr) -> SecretStr:
        try:
            value.get_secret_value().encode()
        except UnicodeEncodeError:
            raise ValueError("has half a character (a lone surrogate)") from None
        return value


@with_lane_fields("optional")
class NewStream(BaseModel):
    """A stream to add; `url` is enough."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "synthetic://?people=8&seed=1"}, {"url": "rtsp://192.168.1.20/live"}]},
    )

    url: str = Field(description="rtsp://, rtsps:// or synthetic://; files only where the service allows them")
    id: Id | None = Field(default=None, description="Your own id; without it the service makes one.")
    name: Name | None = Field(default=None, description="For people; the id if absent.")
    note: Note = Field(default="", description="One line for people: what this camera shows.")
    zones: Zones = Field(default=(), description="Areas and lines to count in.")
    stills_days: StillsDays = Field(default=0, description=_STILLS)
    adapt: bool = Field(default=False, description=_ADAPT)
    adapt_group: Id | None = Field(default=None, description=_ADAPT_GROUP)
    credentials: NewCredentials | None = None


@with_lane_fields("optional")
class StreamPatch(BaseModel):
    """JSON merge patch (RFC 7396) of a stream: what is left out stays, null stands for the service's default.

    `zones` and `credentials` are replaced as a whole.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"k": 3}, {"name": None, "zones": []}]})

    name: Name | None = Field(default=None, description="null: the id.")
    note: Note | None = Field(default=None, description="null: none.")
    zones: Zones | None = Field(default=None, description="null: none.")
    stills_days: StillsDays | None = Field(default=None, description=_STILLS)
    adapt: bool | None = Field(default=None, description=f"{_ADAPT} null: it does not.")
    adapt_group: Id | None = Field(default=None, description=_ADAPT_GROUP)
    url: str = Field(default="", description="Another address: the source is opened anew and identities start anew.")
    credentials: NewCredentials | None = Field(default=None, description="null: none. Opens the source anew.")


class StateView(BaseModel):
    """What the stream is doing, and why."""

    phase: StreamPhase = Field(
        description="pending: not begun yet. connecting: the first attempt. running: frames are tracked. degraded: "
        "they are, but see `cause`. reconnecting: frames failed to come, it goes on trying. failed: given up; PATCH "
        "its `url` to try again. stopped: the source came to its end."
    )
    since: float = Field(description="Unix time of the change to this phase.")
    cause: str | None = Field(
        default=None,
        description="Stable code: connection_failed, auth_failed, tls_certificate, tls_handshake, timeout, not_found, "
        "codec_unsupported, no_video, frozen_picture, corrupt_video, overloaded, ended, "
        "ends_early, transport_refused, waiting_for_key_picture, pipeline_error, and those of POST /streams; in a "
        "cluster no_room, node_away, nats_away, too.",
    )
    message: str | None = Field(default=None, description="The cause for people.")
    attempts: int = Field(default=0, description="Connections that failed since the last frame.")
    next_retry: float | None = Field(default=None, description="Unix time of the next attempt, while reconnecting.")


class StatsView(BaseModel):
    """Live numbers over the last three seconds; totals since the stream was added."""

    fps: float = Field(description="Frames tracked per second.")
    frame_age_p50_ms: float | None = Field(description="From capture to tracks.")
    frame_age_p95_ms: float | None
    people: int = Field(description="In the newest frame; of all classes.")
    frames: int = Field(description="Frames tracked, total.")
    dropped: int = Field(description="Frames replaced by newer ones before they were tracked, total.")
    width: int | None = Field(description="Of the source picture, pixels.")
    height: int | None
    subscribers: int = Field(description="WebSocket clients now.")


@with_lane_fields("always")
class StreamView(BaseModel):
    """A stream as GET shows it."""

    id: str
    name: str
    note: str
    url: str = Field(description="Without user, password and secret query values.")
    has_credentials: bool
    zones: Zones
    stills_days: float
    adapt: bool
    adapt_group: str | None
    adaptation: AdaptationView | None = Field(
        default=None, exclude_if=lambda view: view is None, description="What that does; left out without `adapt`."
    )
    classes: tuple[str, ...] = Field(
        default=PEOPLE,
        exclude_if=lambda classes: classes == PEOPLE,
        description="What the networks see here; left out where that is people alone.",
    )
    created_at: float = Field(description="Unix time.")
    state: StateView
    stats: StatsView


class StreamList(BaseModel):
    """All streams, oldest first."""

    streams: list[StreamView]
    notice: str | None = Field(default=None, description="What the owner of the service should know, for people.")
