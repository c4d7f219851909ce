"""The scenes of `--demo`: three drawn cameras that two cores can follow while a browser shows them."""

from typing import Any

SCENES: tuple[dict[str, Any], ...] = (
    {
        "id": "near",
        "name": "Near",
        "note": "A few people close by, who hide one another as they pass.",
        "url": "synthetic://?view=near&people=8&seed=3&width=960&height=540&fps=12&patient=1",
        "zones": [
            {
                "id": "square",
                "name": "Square",
                "type": "polygon",
                "points": [[0.3, 0.66], [0.72, 0.66], [0.82, 0.98], [0.2, 0.98]],
            }
        ],
        "stills_days": 1,
    },
    {
        "id": "crowd",
        "name": "Far and crowded",
        "note": "Many small people on a wide square, seen from a roof.",
        "url": "synthetic://?view=far&people=24&seed=5&width=960&height=540&fps=6&patient=1",
        "zones": [{"id": "middle", "name": "Middle", "type": "line", "points": [[0.5, 0.45], [0.5, 1.0]]}],
    },
    {
        "id": "fast",
        "name": "Fast",
        "note": "Runners, in each frame far from where they just were.",
        "url": "synthetic://?view=fast&people=10&seed=11&width=960&height=540&fps=10&patient=1",
        "k": 4,
        "zones": [{"id": "finish", "name": "Finish", "type": "line", "points": [[0.75, 0.4], [0.75, 1.0]]}],
    },
)
"""Bodies for POST /streams. Patient: on a slower machine the scenes play slower, and no frame is dropped."""
