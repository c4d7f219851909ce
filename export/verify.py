"""Does the exported file say what the network says? Torch in float32 against ONNX Runtime, output by output.

The comparison is made peak by peak where both found the same cell, since equal scores may be ranked either way.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from edge.arrays import F32, U8
from engines.signature import BOXES, EMBEDDINGS, HEATMAP, IMAGE, POINTS, PRIOR, SCORES, Signature
from training.losses import PivotFeatures
from training.models.decode import decode
from training.models.heads import TrackingNetwork

TOLERANCE = {HEATMAP: 5e-3, SCORES: 5e-3, POINTS: 2e-2, BOXES: 0.5, EMBEDDINGS: 2e-2}
"""Largest allowed difference: likelihoods, likelihoods, cells, input pixels, unit vectors; fp16 weights included."""

STRONG = 0.02
"""Peaks above are compared."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest difference per output, and the share of peaks that both runtimes found."""

    differences: dict[str, float]
    common_peaks: float
    compared: int

    @property
    def passed(self) -> bool:
        """Whether all differences are within tolerance and at least 97 % of the peaks are common."""
        within = all(value <= TOLERANCE[name] for name, value in self.differences.items())
        return within and self.common_peaks >= 0.97 and self.compared > 0

    def table(self) -> str:
        """For people."""
        lines = [f"{name:>12}  {value:.2e}  (limit {TOLERANCE[name]:.0e})" for name, value in self.differences.items()]
        verdict = "ok" if self.passed else "FAILED"
        return "\n".join(
            [*lines, f"{'peaks':>12}  {self.common_peaks:.1%} of {self.compared} in common: parity {verdict}"]
        )


def verify(
    network: TrackingNetwork,
    signature: Signature,
    path: Path,
    pivot: PivotFeatures | None = None,
    images: U8 | None = None,
    prior: F32 | None = None,
) -> Parity:
    """Run both on images (B, 3, H, W) uint8, or on noise; `prior` (B, 1, h, w) for a network that has one."""
    rng = np.random.default_rng(0)
    if images is None:
        images = rng.integers(0, 256, (3, 3, signature.height, signature.width), np.uint8)
    if prior is None:
        prior = rng.random((len(images), 1, *signature.cells), np.float32)
    feeds = {IMAGE: images, PRIOR: prior} if signature.prior else {IMAGE: images}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = dict(zip(signature.outputs, session.run(list(signature.outputs), feeds), strict=True))
    with torch.inference_mode():
        maps = network.eval()(
            torch.from_numpy(images).float() / 255, torch.from_numpy(prior) if signature.prior else None
        )
        out = decode(maps, signature.peaks)
        embeddings = out.embeddings if pivot is None else pivot(out.embeddings)
    ours = {
        HEATMAP: out.heatmap.numpy(),
        POINTS: out.points.numpy(),
        BOXES: out.boxes.numpy(),
        SCORES: out.scores.numpy(),
        EMBEDDINGS: embeddings.numpy(),
    }
    differences = {name: 0.0 for name in signature.outputs}
    if HEATMAP in theirs:
        differences[HEATMAP] = float(np.abs(ours[HEATMAP] - theirs[HEATMAP]).max())
    common = total = 0
    for image in range(len(images)):
        strong = ours[SCORES][image] > STRONG
        total += int(strong.sum())
        for row in np.flatnonzero(strong):
            distance = np.abs(theirs[POINTS][image] - ours[POINTS][image, row]).max(1)
            distance[theirs[SCORES][image] <= STRONG / 2] = (
                np.inf
            )  # rows that are filled up with cells that are no peaks
            match = int(distance.argmin())
            if distance[match] > 0.25:
                continue
            common += 1
            for name in (POINTS, BOXES, SCORES, EMBEDDINGS):
                difference = float(np.abs(ours[name][image, row] - theirs[name][image, match]).max())
                differences[name] = max(differences[name], difference)
    return Parity(differences, common / max(total, 1), total)
