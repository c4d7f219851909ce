"""What the API says about live adaptation."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Phase = Literal["gathering", "learning", "unavailable"]
Choice = Literal["shipped", "before"]
Verdict = Literal["better", "shipped", "not_better", "too_few", "failed"]


class Scores(BaseModel):
    """How far tracks agree with the teacher's own, were it to see every frame; 1 at best."""

    mota: float
    idf1: float


class RoundView(BaseModel):
    """What a round came to."""

    at: float = Field(description="Unix time of its end.")
    verdict: Verdict = Field(
        description="better: the new student is in force. shipped: the pair's own is again, it was better. not_better: "
        "all stays. too_few: too few people were seen to learn from. failed: see the service's log."
    )
    scores: dict[str, Scores] = Field(
        default_factory=dict,
        description="before: the student then in force; after: the new one; shipped: the pair's own, where it was "
        "another. All on frames that nothing was learnt from.",
    )
    learnt: int = Field(default=0, description="Frames learnt from.")
    compared: int = Field(default=0, description="Frames compared on.")
    sightings: int = Field(default=0, description="People in the frames learnt from, counted in each.")


class AdaptationView(BaseModel):
    """What live adaptation does for a stream and its group. Of a stream without `adapt` there is none."""

    phase: Phase = Field(description="unavailable: something that it needs is missing on this machine, see `doing`.")
    doing: str = Field(description="The same for people.")
    share: float | None = Field(default=None, description="Of the round under way that is done; while learning.")
    student: int = Field(description="The student in force: 0 is the pair's own, others count rounds.")
    before: int | None = Field(default=None, description="The one before it, which can be gone back to.")
    rounds: int = Field(description="Rounds so far.")
    next_round: float | None = Field(default=None, description="Unix time before which no round begins.")
    stretches: int = Field(description="Stretches of consecutive frames kept in memory.")
    sample_mb: float = Field(description="Their size, megabytes.")
    verdicts: dict[str, int] = Field(description="How many rounds came to which verdict, since the service began.")
    last: RoundView | None = Field(default=None, description="The last round.")


class StudentChoice(BaseModel):
    """Which student shall see a stream from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"student": "shipped"}]})

    student: Choice = Field(description="shipped: the pair's own. before: the one before the last change-over.")
