"""A trained network as it is deployed: uint8 picture in, decoded objects out."""

from torch import Tensor, nn

from training.losses import PivotFeatures
from training.models.decode import decode
from training.models.folded import Folded
from training.models.heads import TrackingNetwork


class Deployed(nn.Module):
    """Inputs and outputs as `engines.signature` names them, for one role."""

    def __init__(self, network: TrackingNetwork, role: str, peaks: int, pivot: PivotFeatures | None = None) -> None:
        """`pivot`: what embeddings are seen through, for a pair with explicit feature mapping (EFM)."""
        super().__init__()
        self.pivot = nn.Identity() if pivot is None else pivot
        self.network = Folded(network)
        self.role, self.peaks = role, peaks

    def forward(self, image: Tensor, prior: Tensor | None = None) -> tuple[Tensor, ...]:
        """image uint8 (B, 3, H, W); prior float32 (B, 1, H/4, W/4) for a network that has one."""
        out = decode(self.network(image.float(), prior), self.peaks)
        decoded = (out.points, out.boxes, out.scores, self.pivot(out.embeddings))
        return (out.heatmap, *decoded) if self.role == "teacher" else decoded
