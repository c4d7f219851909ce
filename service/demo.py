"""The scenes of `--demo`: three drawn cameras that two cores can follow while a browser shows them."""

from service.stream_schema import NewStream

SCENES = (
    NewStream(
        id="near",
        name="Near",
        note="A few people close by, who hide one another as they pass.",
        url="synthetic://?view=near&people=6&seed=3&width=960&height=540&fps=12&patient=1",
    ),
    NewStream(
        id="crowd",
        name="Far and crowded",
        note="Many small people on a wide square, seen from a roof.",
        url="synthetic://?view=far&people=24&seed=5&width=960&height=540&fps=6&patient=1",
    ),
    NewStream(
        id="fast",
        name="Fast",
        note="Runners at 10 frames a second: each is far from where the last frame had them.",
        url="synthetic://?view=fast&people=10&seed=11&width=960&height=540&fps=10&patient=1",
        k=4,
    ),
)
"""Patient: where the machine is slower than that, the scenes play slower, and no frame is dropped."""
