"""A trained network as it is deployed: uint8 picture in, decoded objects out."""

from torch import Tensor, nn

from training.models.decode import decode
from training.models.folded import Folded
from training.models.yolo import YoloFairMot


class Deployed(nn.Module):
    """Inputs and outputs as `engines.signature` names them, for one role."""

    def __init__(self, network: YoloFairMot, role: str, peaks: int) -> None:
        super().__init__()
        self.network = Folded(network)
        self.role, self.peaks = role, peaks

    def forward(self, image: Tensor, prior: Tensor | None = None) -> tuple[Tensor, ...]:
        """image uint8 (B, 3, H, W); prior float32 (B, 1, H/4, W/4) for a network that has one."""
        out = decode(self.network(image.float(), prior), self.peaks)
        decoded = (out.points, out.boxes, out.scores, out.embeddings)
        return (out.heatmap, *decoded) if self.role == "teacher" else decoded
