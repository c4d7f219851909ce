"""Pivot features."""

import torch

from training.losses import IdentityClassifier, PivotFeatures
from training.models.decode import unit


def test_they_are_unit_vectors_over_the_identities_whatever_the_common_shift() -> None:
    classifier = IdentityClassifier(8, 5)
    embeddings = unit(torch.randn(4, 8))
    before = PivotFeatures(classifier)(embeddings)
    assert before.shape == (4, 5)
    torch.testing.assert_close(before.norm(dim=1), torch.ones(4))
    with torch.no_grad():
        classifier.linear.bias += 3
    torch.testing.assert_close(PivotFeatures(classifier)(embeddings), before, atol=1e-5, rtol=1e-4)


def test_two_spaces_that_name_the_same_identity_meet() -> None:
    """A rotated space with a classifier rotated alike gives the same pivots, which the embeddings themselves do not."""
    ours, theirs = IdentityClassifier(8, 5), IdentityClassifier(8, 5)
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    with torch.no_grad():
        theirs.linear.weight.copy_(ours.linear.weight @ rotation.T)
        theirs.linear.bias.copy_(ours.linear.bias)
    embeddings = unit(torch.randn(6, 8))
    torch.testing.assert_close(PivotFeatures(theirs)(embeddings @ rotation.T), PivotFeatures(ours)(embeddings))
