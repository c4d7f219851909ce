"""Trackers that a user could install instead, behind one small door, each with its own default settings.

They are no dependencies of anything: whoever is not installed is left out, with the reason. All of them are without
appearance: they get boxes and scores, ours gets embeddings as well, so they have less to do.
"""

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge.tracking.detections import Detections


@dataclass(frozen=True, slots=True)
class Peer:
    """A tracker under test."""

    name: str
    version: str
    convert: Callable[[Detections], Any]
    """Our detections as it wants them; not timed."""
    update: Callable[[Any], Any]


Opener = Callable[[], Peer]


def _of_trackers(name: str) -> Opener:
    """A class of `trackers` (Roboflow, Apache-2.0), which takes the detections of `supervision` (MIT)."""

    def open_peer() -> Peer:
        (module, supervision), found = _installed("trackers", "supervision")
        tracker = getattr(module, name)(frame_rate=30.0)

        def convert(seen: Detections) -> Any:
            return supervision.Detections(xyxy=seen.xyxy.copy(), confidence=seen.scores.copy())

        return Peer(name, f"trackers {found}", convert, tracker.update)

    return open_peer


def _norfair() -> Peer:
    """Norfair (Tryolabs, BSD-3-Clause) by IoU; its 2.3 declares numpy < 2 and cannot be installed beside ours as is."""
    (module,), found = _installed("norfair")
    tracker = module.Tracker(distance_function="iou", distance_threshold=0.7)

    def convert(seen: Detections) -> list[Any]:
        pairs = zip(seen.xyxy.astype(float).reshape(-1, 2, 2), seen.scores[:, None], strict=True)
        return [module.Detection(points, scores=score.repeat(2)) for points, score in pairs]

    return Peer("norfair", f"norfair {found}", convert, lambda detections: tracker.update(detections=detections))


PEERS: dict[str, Opener] = {
    **{name: _of_trackers(name) for name in ("SORTTracker", "ByteTrackTracker", "OCSORTTracker")},
    "norfair": _norfair,
}


def open_peers(names: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """Fresh trackers, and the reasons of those that are left out, by name."""
    peers, missing = [], {}
    for name in names:
        try:
            peers.append(PEERS[name]())
        except ImportError as error:
            missing[name] = str(error)
    return peers, missing


def _installed(package: str, *others: str) -> tuple[list[Any], str]:
    """The modules, and the package's version. Raises ImportError with the remedy."""
    try:
        found = version(package)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs
            return [importlib.import_module(name) for name in (package, *others)], found
    except (PackageNotFoundError, ImportError) as error:
        remedy = f"pip install -e '.[bench]' && pip install --no-deps {package}"
        raise ImportError(f"{package} cannot be used here ({error}); {remedy}") from None
