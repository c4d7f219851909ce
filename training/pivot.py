"""EFM's pivot features: embeddings seen through the identities of the training set (AttTrack section 3.3)."""

from torch import Tensor, nn

from training.losses import IdentityClassifier
from training.models.decode import unit


class PivotFeatures(nn.Module):
    """(..., D) unit embeddings -> (..., identities) of unit length.

    One identity classifier per network, both onto the same identities, so that teacher and student meet in one space.
    The mean over identities goes out, since logits are free to shift together.
    """

    def __init__(self, classifier: IdentityClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.identities = classifier.linear.out_features

    def forward(self, embeddings: Tensor) -> Tensor:
        logits = self.classifier(embeddings)
        return unit(logits - logits.mean(-1, keepdim=True))
