"""Recorded messages in the formats of others: MOTChallenge results and COCO."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic_core import from_json

from edge.tracking.mot_format import FIRST_PIXEL, MotBoxes, class_numbers, result_lines
from engines.signature import PEOPLE
from service.tracks.messages import Published


@dataclass(frozen=True, slots=True)
class _Box:
    """A person as seen in one frame."""

    frame: int  # from 0, growing from message to message
    identity: int  # from 1, the same person in all frames
    xywh: tuple[float, float, float, float]  # source pixels
    score: float
    name: str  # of the class


@dataclass(frozen=True, slots=True)
class _Picture:
    """One frame."""

    frame: int
    ts_capture: float
    size: tuple[int, int]  # width, height
    boxes: list[_Box]


def mot_text(messages: Iterable[Published], classes: Sequence[str] = PEOPLE) -> str:
    """Return MOTChallenge results, frame,id,left,top,width,height,score,-1,-1,-1 of every person seen.

    Of a pair that sees other `classes`, score,class,-1: `edge.tracking.mot_format`.

    Frame and pixels count from 1; frames are `frame_id` + 1. Where numbers start anew inside the window (a reconnect,
    a new epoch), they go on from the largest before, so that they stay unique.
    """
    boxes = [box for picture in _pictures(messages) for box in picture.boxes]
    numbers = _numbers(classes, boxes)
    xywh = np.array([box.xywh for box in boxes], np.float64).reshape(-1, 4)
    xywh[:, :2] += FIRST_PIXEL
    return result_lines(
        MotBoxes(
            frames=np.array([box.frame + 1 for box in boxes], np.int64),
            ids=np.array([box.identity for box in boxes], np.int64),
            xywh=xywh,
            flags=np.array([box.score for box in boxes], np.float64),
            classes=np.array([numbers[box.name] for box in boxes], np.int64),
            visibility=np.ones(len(boxes)),
        ),
        classes,
    )


def coco(messages: Iterable[Published], stream_id: str, classes: Sequence[str] = PEOPLE) -> dict[str, object]:
    """Return a COCO document: images, annotations (with the `score` of results, and `track_id`), categories, which are
    the pair's `classes` with the numbers of `mot_text`.

    Pixels count from 0. Images without people are there too. `image_id` is `frame_id` + 1, numbered like `mot_text`.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    pictures = [*_pictures(messages)]
    numbers = _numbers(classes, [box for picture in pictures for box in picture.boxes])
    for picture in pictures:
        width, height = picture.size
        image_id = picture.frame + 1
        images.append(
            {
                "id": image_id,
                "width": width,
                "height": height,
                "file_name": f"{stream_id}/{image_id:06d}.jpg",
                "ts_capture": picture.ts_capture,
            }
        )
        annotations += [
            {
                "id": len(annotations) + number,
                "image_id": image_id,
                "category_id": numbers[box.name],
                "bbox": list(box.xywh),
                "area": round(box.xywh[2] * box.xywh[3], 2),
                "iscrowd": 0,
                "score": box.score,
                "track_id": box.identity,
            }
            for number, box in enumerate(picture.boxes, start=1)
        ]
    categories = [{"id": number, "name": name, "supercategory": name} for name, number in numbers.items()]
    info = {"description": f"stream {stream_id}"}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def _numbers(classes: Sequence[str], boxes: Iterable[_Box]) -> dict[str, int]:
    """Class -> number, of those in the boxes, too."""
    return class_numbers(dict.fromkeys((*classes, *(box.name for box in boxes))))


def _pictures(messages: Iterable[Published]) -> Iterable[_Picture]:
    """Yield one picture per message, frames and identities made to grow over all of them."""
    frame_offset = id_offset = last_id = 0
    last_frame, last_epoch = -1, None
    for message in messages:
        body = from_json(message.encoded)
        if body["frame_id"] + frame_offset <= last_frame:
            frame_offset = last_frame + 1 - body["frame_id"]
        if body["epoch"] != last_epoch:
            id_offset, last_epoch = last_id, body["epoch"]
        last_frame = body["frame_id"] + frame_offset
        boxes = [
            _Box(last_frame, track["id"] + id_offset, xywh, track["score"], track["class"])
            for track in body["tracks"]
            if track["origin"] != "predicted" and min((xywh := _xywh(track["bbox"]))[2:]) > 0
        ]
        last_id = max([last_id, *(box.identity for box in boxes)])
        yield _Picture(last_frame, message.ts_capture, (body["width"], body["height"]), boxes)


def _xywh(xyxy: list[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = xyxy
    return left, top, round(right - left, 1), round(bottom - top, 1)
