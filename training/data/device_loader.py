"""`DeviceLoader`: frames stay decoded on the device, which also does the augmentation and the targets."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from edge.arrays import F32, F64, I64
from engines.signature import STRIDE
from training.data.device_targets import make_batch_targets
from training.data.device_warp import recolour, visible_boxes, warp_boxes, warp_pixels
from training.data.frame_store import FrameStore
from training.data.samples import Samples, View
from training.data.upload import upload
from training.data.warp import magnification
from training.targets import MAX_OBJECTS, UNKNOWN


class DeviceLoader:
    """A `Loader`: the host draws and hands over a few numbers per sample, the device does the rest."""

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.store = FrameStore(device)

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[dict[str, Tensor]]:
        """See `Loader`. Work is enqueued on the caller's cuda_stream."""
        for numbers in wanted:
            drawn = [self.samples.draw(number) for number in numbers]
            yield self._render([views[0] for views in drawn], [views[1] for views in drawn if len(views) > 1])

    @torch.no_grad()
    def _render(self, views: Sequence[View], keys: Sequence[View]) -> dict[str, Tensor]:
        """`keys`: the views' keyframes, none for single views."""
        pixels, maps = self._pixels([*views, *keys])
        batch = {"image": pixels[: len(views)], **self._targets(views, maps[: len(views)])}
        if keys:
            batch |= {"key_image": pixels[len(views) :], **self._keyframe(keys, maps[len(views) :])}
            gaps = [view.picture.frame - key.picture.frame for view, key in zip(views, keys, strict=True)]
            batch["gap"] = self._upload(np.array(gaps))
        return batch

    def _pixels(self, views: Sequence[View]) -> tuple[Tensor, F64]:
        """(B, 3, H, W) uint8 RGB, and the maps (B, 2, 3) from source to input pixels."""
        input_wh = self.samples.input_wh
        frames = self.store.fetch([view.picture for view in views])
        maps = [
            view.warp.matrix((frame.shape[1], frame.shape[0]), input_wh)
            for view, frame in zip(views, frames, strict=True)
        ]
        levels = warp_pixels(frames, maps, input_wh)
        colours = np.array([(view.warp.saturation, view.warp.value) for view in views], np.float32)
        saturation, value = self._upload(colours).unbind(1)
        return recolour(levels, saturation, value).byte(), np.stack(maps)

    def _targets(self, views: Sequence[View], maps: F64) -> dict[str, Tensor]:
        input_wh = self.samples.input_wh
        before = self._upload(_padded([view.picture.xyxy for view in views]))
        ids = self._upload(_padded_ids([view.picture.ids for view in views], before.shape[1]))
        ignore = self._upload(_padded([view.picture.ignore for view in views], fill=np.nan))
        matrix, factor = self._warps(views, maps)
        counts = self._upload(np.array([len(view.picture.ids) for view in views]))
        scale = self._upload(np.array([magnification(matrix) for matrix in maps]))
        after = warp_boxes(before, matrix, factor)
        valid = visible_boxes(after, before, scale, input_wh)
        valid &= torch.arange(before.shape[1], device=self.device) < counts[:, None]
        cells = input_wh[1] // STRIDE, input_wh[0] // STRIDE
        return make_batch_targets(after / STRIDE, ids, valid, warp_boxes(ignore, matrix, factor) / STRIDE, cells)

    def _keyframe(self, keys: Sequence[View], maps: F64) -> dict[str, Tensor]:
        xyxy = self._upload(_padded([key.picture.xyxy for key in keys], MAX_OBJECTS))
        velocity = self._upload(_padded([key.velocity for key in keys], MAX_OBJECTS, 2))
        matrix, factor = self._warps(keys, maps)
        counts = self._upload(np.array([len(key.picture.ids) for key in keys]))
        used = torch.arange(MAX_OBJECTS, device=self.device) < counts[:, None]
        linear = matrix[:, None, :, :2] / STRIDE  # (B, 1, 2, 2)
        return {
            "key_xyxy": warp_boxes(xyxy, matrix, factor) * used[..., None],
            "key_velocity": (velocity.double()[..., None, :] * linear).sum(3).float(),
            "key_count": counts,
        }

    def _warps(self, views: Sequence[View], maps: F64) -> tuple[Tensor, Tensor]:
        """Maps (B, 2, 3) and hull factors (B,) of the views, float64."""
        return self._upload(maps), self._upload(np.array([view.warp.hull_factor for view in views]))

    def _upload(self, array: F32 | F64 | I64) -> Tensor:
        return upload(array, self.device)


def _padded(rows: Sequence[F32], length: int = 0, columns: int = 4, fill: float = 0.0) -> F32:
    """(B, n, columns) with `fill` after each one's rows; n is `length` or, where that is 0, what the longest needs."""
    length = length or max(1, *(len(row) for row in rows))
    out = np.full((len(rows), length, columns), fill, np.float32)
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out


def _padded_ids(rows: Sequence[I64], length: int) -> I64:
    out = np.full((len(rows), length), UNKNOWN, np.int64)
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out
