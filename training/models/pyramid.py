"""The pyramid teacher: MobileNetV2 with a feature pyramid, begun from a pedestrian detector, raised to stride 4.

Body, pyramid and towers are those of Open Model Zoo's person-detection-0303 (Apache-2.0; ATSS on strides 8 to 32). Its
answers, one score and one box for each place of each level, are carried down the pyramid to stride 4, where the finer
level wins as far as it is surer. There, new heads refine them; they begin at zero, so that a network that has not been
trained on says what the detector says. Nothing of what the detector knows has to be learnt again.

The detector's batch norms are folded into its convolutions. Its group norms, which cost a runtime a third of the time,
are replaced by what they do on average (see `training.pretrained`) and folded as well, level by level: after that there
are only convolutions with bias and ReLU, which train well at small learning rates, quantise, and fuse in every runtime.
"""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.heads import RARE, TrackingNetwork

LEVELS = (8, 16, 32)
"""Strides with a tower each."""
ANCHOR = 8.0
"""Sides of a level's anchor, in its strides."""
VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""What the detector's four box numbers are multiplied by: centre x, y in anchors, log width, height."""
WIDTH = 64
"""Channels of pyramid and towers."""
BLOCKS = (
    # cin, expanded, cout, stride; a block of stride 1 with cin == cout adds its input
    (16, 96, 24, 2),
    (24, 144, 24, 1),
    (24, 144, 32, 2),
    (32, 192, 32, 1),
    (32, 192, 32, 1),
    (32, 192, 64, 2),
    (64, 384, 64, 1),
    (64, 384, 64, 1),
    (64, 384, 64, 1),
    (64, 384, 96, 1),
    (96, 576, 96, 1),
    (96, 576, 96, 1),
    (96, 576, 160, 2),
    (160, 960, 160, 1),
    (160, 960, 160, 1),
    (160, 960, 320, 1),
)
TAPS = (2, 5, 12, 16)
"""After how many blocks the features of strides 4, 8, 16 and 32 are taken: 24, 32, 96 and 320 channels."""


class Conv(nn.Sequential):
    """Convolution with bias and, unless `linear`, ReLU6."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False):
        conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups)
        super().__init__(conv, *([] if linear else [nn.ReLU6(inplace=True)]))


class Inverted(nn.Sequential):
    """MobileNetV2's block: expand, depthwise, project."""

    def __init__(self, cin: int, expanded: int, cout: int, stride: int) -> None:
        super().__init__(
            Conv(cin, expanded, 1),
            Conv(expanded, expanded, 3, stride, groups=expanded),
            Conv(expanded, cout, 1, linear=True),
        )
        self.adds = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + out if self.adds else out


class MobileNet(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] to features of strides 4, 8, 16, 32 with 24, 32, 96, 320 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Conv(3, 32, 3, 2), Conv(32, 32, 1), Conv(32, 32, 3, groups=32), Conv(32, 16, 1, linear=True)
        )
        self.blocks = nn.ModuleList(Inverted(*sizes) for sizes in BLOCKS)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = self.stem(image), []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in TAPS:
                features.append(x)
        return features


class Tower(nn.Sequential):
    """Four 3x3 convolutions with ReLU on one level."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Level(nn.Module):
    """One level's towers and answers: score logit and box, as the detector gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.who, self.where = Tower(), Tower()
        self.score = nn.Conv2d(WIDTH, 1, 3, padding=1)
        self.box = nn.Conv2d(WIDTH, 5, 3, padding=1)  # centredness, then the four box numbers

    def forward(self, feature: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features of both towers, and answers (B, 5, h, w): logit, then left, top, right, bottom in cells of stride 4.

        The sides are measured from the place that a cell looks at, its top left corner, and may be negative beside it.
        """
        who, where = self.who(feature), self.where(feature)
        logit, box = self.score(who).float(), self.box(where).float()
        centred, (x, y, width, height) = box[:, :1], (box[:, 1:] * box.new_tensor(VARIANCES)[:, None, None]).unbind(1)
        anchor = ANCHOR * stride / 4
        half_w, half_h = (0.5 * anchor * torch.exp(side.clamp(-4.0, 4.0)) for side in (width, height))
        x, y = x * anchor, y * anchor
        sides = torch.stack((half_w - x, half_h - y, half_w + x, half_h + y), 1)
        return who, where, torch.cat((both(logit, centred), sides), 1)


class Refinement(nn.Module):
    """A stride-4 map from the towers of one kind and the body's stride-4 feature; its last layer begins at zero."""

    def __init__(self, fine: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, hidden, 1)
        self.coarse = nn.ModuleList(nn.Conv2d(WIDTH, hidden, 1) for _ in LEVELS)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.last = nn.Conv2d(hidden, outputs, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, towers: list[Tensor]) -> Tensor:
        coarse = [conv(tower) for conv, tower in zip(self.coarse, towers, strict=True)]
        joined = coarse[-1]
        for feature in reversed(coarse[:-1]):  # add where it is small, then enlarge once more
            joined = feature + functional.interpolate(joined, scale_factor=2.0, mode="nearest")
        joined = self.fine(fine) + functional.interpolate(joined, scale_factor=2.0, mode="nearest")
        return self.last(functional.relu(self.mix(functional.relu(joined))))  # type: ignore[no-any-return]


class PyramidTeacher(TrackingNetwork):
    """See the module. Height and width: multiples of 32. Embeddings lie on stride 8."""

    FROZEN = ("backbone.stem.", "backbone.blocks.0.", "backbone.blocks.1.")
    """Sees edges and colours, which need no training; leaving them out saves half of a step."""
    NEW = ("refine_score.", "refine_sides.", "down.", "look.")

    def __init__(self, prior: bool = False, embedding: int = 128, hidden: int = 32) -> None:
        """Raises ValueError with `prior`: this network is a teacher."""
        if prior:
            raise ValueError("the pyramid is a teacher and has no prior; its student is 'pyramid-student'")
        super().__init__(embedding, prior)
        self.backbone = MobileNet()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, WIDTH, 1) for channels in (32, 96, 320))
        self.smooth = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in LEVELS)
        self.levels = nn.ModuleList(Level() for _ in LEVELS)
        self.refine_score = Refinement(24, hidden, 1)
        self.refine_sides = Refinement(24, hidden, 4)
        self.down = nn.Conv2d(24, 32, 3, 2, 1)
        looks = WIDTH + 32 + 32
        self.look = nn.Sequential(
            nn.Conv2d(looks, 96, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(96, 96, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(96, embedding, 1),
        )  # fmt: skip

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """See `TrackingNetwork.forward`."""
        self.check_prior(prior)
        at4, *deeper = self.backbone(image)
        pyramid: list[Tensor] = []
        for lateral, feature in zip(reversed(self.lateral), reversed(deeper), strict=True):
            here = lateral(feature)
            if pyramid:
                here = here + functional.interpolate(pyramid[-1], scale_factor=2.0, mode="nearest")
            pyramid.append(here)
        pyramid = [smooth(here) for smooth, here in zip(self.smooth, reversed(pyramid), strict=True)]
        levels = [level(here, stride) for level, here, stride in zip(self.levels, pyramid, LEVELS, strict=True)]
        answers = levels[-1][2]
        for _, _, finer in reversed(levels[:-1]):
            answers = surer(finer, doubled(answers))
        answers = doubled(answers)
        logit = answers[:, :1] + self.refine_score(at4, [level[0] for level in levels]).float()
        sides = answers[:, 1:]
        whole = (sides[:, :2] + sides[:, 2:]).repeat(1, 2, 1, 1)
        sides = sides + self.refine_sides(at4, [level[1] for level in levels]).float() * whole
        look = torch.cat((pyramid[0], deeper[0], functional.relu(self.down(at4))), 1)
        return {"hm": logit, "id": self.look(look), **centred(sides)}

    def shared(self) -> list[nn.Module]:
        """See `TrackingNetwork.shared`."""
        return [self.backbone.blocks[0], self.backbone.blocks[TAPS[1] - 1]]

    def begun_and_new(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """See `TrackingNetwork.begun_and_new`."""
        return split(self, self.FROZEN, lambda name: name.startswith(self.NEW))

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the picture."""
        return self.backbone.stem[0][0]  # type: ignore[index,no-any-return]

    def twin(self, prior: bool) -> Self:
        """See `TrackingNetwork.twin`."""
        return type(self)(prior, self.embedding)


class PyramidStudent(TrackingNetwork):
    """The light network beside it: a cheap stem that learns to see what the teacher's first block sees, then four of
    the teacher's blocks, then one stride-4 feature for score and sides and one of stride 8 for the embedding.

    The teacher's own stem would cost as much again as all the rest.

    The prior joins by a convolution of its own, which is the same as one more channel before the heads.
    """

    SHARED = (2, 3, 5, 6)
    """Blocks of the teacher's that it begins with."""

    def __init__(self, prior: bool = False, embedding: int = 128, hidden: int = 24) -> None:
        super().__init__(embedding, prior)
        self.stem = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), Conv(32, 24, 1, linear=True))
        self.blocks = nn.ModuleList(Inverted(*BLOCKS[number]) for number in self.SHARED)
        self.fine = nn.Conv2d(24, hidden, 1)
        self.mid = nn.Conv2d(32, hidden, 1)
        self.deep = nn.Conv2d(64, hidden, 3, padding=1)
        self.mix = nn.Conv2d(hidden, 2 * hidden, 3, padding=1)
        self.score = nn.Conv2d(2 * hidden, 1, 1)
        self.sides = nn.Conv2d(2 * hidden, 4, 1)
        self.look = nn.Sequential(
            nn.Conv2d(32 + hidden, 64, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(64, embedding, 1)
        )
        nn.init.constant_(self.score.bias, RARE)  # type: ignore[arg-type]
        nn.init.constant_(self.sides.bias, 4.0)  # type: ignore[arg-type]
        if prior:
            self.before = nn.Conv2d(1, 2 * hidden, 3, padding=1, bias=False)
            nn.init.zeros_(self.before.weight)

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """See `TrackingNetwork.forward`."""
        self.check_prior(prior)
        at4 = self.stem(image)
        at8 = self.blocks[1](self.blocks[0](at4))
        at16 = self.blocks[3](self.blocks[2](at8))
        deep = functional.interpolate(self.deep(at16), scale_factor=2.0, mode="nearest")
        mid = functional.relu(self.mid(at8) + deep)
        joined = functional.relu(self.fine(at4) + functional.interpolate(mid, scale_factor=2.0, mode="nearest"))
        mixed = self.mix(joined)
        if prior is not None:
            mixed = mixed + self.before(prior.to(mixed.dtype))
        mixed = functional.relu(mixed)
        look = self.look(torch.cat((at8, mid), 1))
        return {"hm": self.score(mixed).float(), "id": look, **centred(functional.softplus(self.sides(mixed).float()))}

    def begin(self, teacher: PyramidTeacher) -> None:
        """Take over the teacher's blocks."""
        for block, number in zip(self.blocks, self.SHARED, strict=True):
            block.load_state_dict(teacher.backbone.blocks[number].state_dict())

    def begun_and_new(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """See `TrackingNetwork.begun_and_new`."""
        return split(self, (), lambda name: not name.startswith("blocks."))

    def shared(self) -> list[nn.Module]:
        """See `TrackingNetwork.shared`."""
        return [self.stem, self.blocks[1]]

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the picture."""
        return self.stem[0][0]  # type: ignore[index,no-any-return]

    def twin(self, prior: bool) -> Self:
        """See `TrackingNetwork.twin`."""
        return type(self)(prior, self.embedding)


def split(
    network: nn.Module, frozen: tuple[str, ...], is_new: Callable[[str], bool]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters by name: those begun with, and the new ones; names that begin like `frozen` are not trained."""
    named = dict(network.named_parameters())
    for name, parameter in named.items():
        parameter.requires_grad_(not name.startswith(frozen))
    trained = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    begun = [parameter for name, parameter in trained.items() if not is_new(name)]
    return begun, [parameter for name, parameter in trained.items() if is_new(name)]


def both(a: Tensor, b: Tensor) -> Tensor:
    """The logit of sigmoid(a) * sigmoid(b), with no exponential of anything positive."""
    top = functional.relu(torch.maximum(a, b))
    return a + b - top - torch.log(torch.exp(-top) + torch.exp(a - top) + torch.exp(b - top))


def doubled(x: Tensor) -> Tensor:
    """(B, C, h, w) at twice the size: places between two cells get their mean, all others stay where they were.

    A strided convolution looks at the top left of what it covers, so cell 2x of the finer map is cell x of the coarser.
    """
    right = torch.cat((x[..., 1:], x[..., -1:]), 3)
    x = torch.stack((x, (x + right) / 2), 4).flatten(3)
    below = torch.cat((x[:, :, 1:], x[:, :, -1:]), 2)
    return torch.stack((x, (x + below) / 2), 3).flatten(2, 3)


def surer(fine: Tensor, coarse: Tensor) -> Tensor:
    """Answers (B, 5, h, w) of two levels as one: the higher logit, and sides of whichever is surer."""
    a, b = fine[:, :1], coarse[:, :1]
    trust = torch.sigmoid(4 * (a - b))
    return torch.cat((torch.maximum(a, b), trust * fine[:, 1:] + (1 - trust) * coarse[:, 1:]), 1)


def centred(sides: Tensor) -> dict[str, Tensor]:
    """FairMOT's `reg` and `wh` of boxes (B, 4, h, w) left, top, right, bottom from a cell's corner, in cells."""
    low, high = sides[:, :2], sides[:, 2:]
    half = (low + high) / 2
    return {"reg": (high - low) / 2, "wh": torch.cat((half, half), 1)}
