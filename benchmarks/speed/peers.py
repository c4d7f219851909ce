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


class PeerError(Exception):
    """A peer cannot be measured here; the message says why and what to do."""


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
        found = _version("trackers", "pip install -e '.[bench]' && pip install --no-deps 'trackers>=2.6'")
        module, supervision = _import("trackers"), _import("supervision")
        tracker = getattr(module, name)(frame_rate=30.0)

        def convert(detections: Detections) -> Any:
            return supervision.Detections(xyxy=detections.xyxy.copy(), confidence=detections.scores.copy())

        return Peer(name, f"trackers {found}", convert, tracker.update)

    return open_peer


def _norfair() -> Peer:
    """Norfair (Tryolabs, BSD-3-Clause) by IoU; its 2.3 declares numpy < 2 and cannot be installed beside ours as is."""
    found = _version("norfair", "pip install -e '.[bench]' && pip install --no-deps 'norfair>=2.3'")
    module = _import("norfair")
    tracker = module.Tracker(distance_function="iou", distance_threshold=0.7)

    def convert(detections: Detections) -> list[Any]:
        corners = detections.xyxy.astype(float).reshape(-1, 2, 2)
        return [
            module.Detection(points, scores=score.repeat(2))
            for points, score in zip(corners, detections.scores[:, None], strict=True)
        ]

    return Peer("norfair", f"norfair {found}", convert, lambda detections: tracker.update(detections=detections))


PEERS: dict[str, Opener] = {
    "SORTTracker": _of_trackers("SORTTracker"),
    "ByteTrackTracker": _of_trackers("ByteTrackTracker"),
    "OCSORTTracker": _of_trackers("OCSORTTracker"),
    "norfair": _norfair,
}


def open_peers(names: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """Fresh trackers, and the reasons of those that are left out, by name."""
    peers, missing = [], {}
    for name in names:
        try:
            peers.append(PEERS[name]())
        except PeerError as error:
            missing[name] = str(error)
    return peers, missing


def _version(package: str, remedy: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise PeerError(f"{package} is not installed; {remedy}") from None


def _import(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise PeerError(f"{name} is installed and cannot be imported: {error}") from None
