"""The pyramid teacher: MobileNetV2 with a feature pyramid, begun from a pedestrian detector, raised to stride 4.

Body, pyramid and towers are those of Open Model Zoo's person-detection-0303 (Apache-2.0; ATSS on strides 8 to 32). Its
answers, one score and one box for each place of each level, are carried down the pyramid to stride 4, where the finer
level wins as far as it is surer. There, new heads refine them; they begin at zero, so that a network that has not been
trained on says what the detector says. Nothing of what the detector knows has to be learnt again.

The detector's batch norms are folded into its convolutions. Its group norms, which cost a runtime a third of the time,
are replaced by what they do on average (see `training.pretrained`) and folded as well, level by level: after that there
are only convolutions with bias and ReLU, which train well at small learning rates, quantise, and fuse in every runtime.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.heads import TrackingNetwork

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
    """(B, 3, H, W) RGB in [0, 1] to features of strides 4, 8, 16, 32 with 24, 32, 96, 320 channels, or to fewer."""

    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Conv(3, 32, 3, 2), Conv(32, 32, 1), Conv(32, 32, 3, groups=32), Conv(32, 16, 1, linear=True)
        )
        self.blocks = nn.ModuleList(Inverted(*sizes) for sizes in BLOCKS[: TAPS[features - 1]])

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.deepen(self.stem(image))

    def deepen(self, x: Tensor) -> list[Tensor]:
        """All behind the stem, whose output (B, 16, H/2, W/2) comes in."""
        features = []
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

    def __init__(self, fine: int, hidden: int, outputs: int, levels: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, hidden, 1)
        self.coarse = nn.ModuleList(nn.Conv2d(WIDTH, hidden, 1) for _ in range(levels))
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.last = nn.Conv2d(hidden, outputs, 1)
        zero(self.last)

    def forward(self, fine: Tensor, towers: list[Tensor]) -> Tensor:
        coarse = [conv(tower) for conv, tower in zip(self.coarse, towers, strict=True)]
        joined = coarse[-1]
        for feature in reversed(coarse[:-1]):  # add where it is small, then enlarge once more
            joined = feature + enlarged(joined)
        joined = self.fine(fine) + enlarged(joined)
        return self.last(functional.relu(self.mix(functional.relu(joined))))  # type: ignore[no-any-return]


class Sharpening(nn.Module):
    """A map from one of the same stride, one of twice the stride and the prior; its last layer begins at zero."""

    def __init__(self, fine: int, coarse: int, hidden: int, outputs: int, prior: bool) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, hidden, 1)
        self.coarse = nn.Conv2d(coarse, hidden, 1)
        if prior:
            self.before = nn.Conv2d(1, hidden, 3, padding=1, bias=False)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.last = nn.Conv2d(hidden, outputs, 1)
        zero(self.last)

    def forward(self, fine: Tensor, coarse: Tensor, prior: Tensor | None) -> Tensor:
        joined = self.fine(fine) + enlarged(self.coarse(coarse))
        if prior is not None:
            joined = joined + self.before(prior)
        return self.last(functional.relu(self.mix(functional.relu(joined))))  # type: ignore[no-any-return]


class Pyramid(TrackingNetwork):
    """What teacher and student have alike: body, pyramid, towers and all heads, at one cell for each place of stride 4.

    `FROZEN` parts see edges and colours, which need no training; leaving them out saves half of a step.
    """

    FROZEN: tuple[str, ...] = ()
    NEW: tuple[str, ...] = ()

    DEPTH = len(LEVELS)
    """How many of the levels it has, finest first."""

    def __init__(self, prior: bool, embedding: int, hidden: int) -> None:
        super().__init__(embedding, prior)
        self.backbone = MobileNet(1 + self.DEPTH)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, WIDTH, 1) for channels in (32, 96, 320)[: self.DEPTH])
        self.smooth = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(self.DEPTH))
        self.levels = nn.ModuleList(Level() for _ in range(self.DEPTH))
        self.refine_score = Refinement(24, hidden, 1, self.DEPTH)
        self.refine_sides = Refinement(24, hidden, 4, self.DEPTH)
        self.down = nn.Conv2d(24, 32, 3, 2, 1)
        looks = WIDTH + 32 + 32
        self.look = nn.Sequential(
            nn.Conv2d(looks, 96, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(96, 96, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(96, embedding, 1),
        )  # fmt: skip

    def answer(self, stemmed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the stem saw, (B, 16, 2h, 2w), to answers, body feature and looks.

        Answers (B, 5, h, w): logit, then left, top, right, bottom in cells. The body's feature is (B, 24, h, w), looks
        are (B, 96, h/2, w/2), before the last layer.
        """
        at4, *deeper = self.backbone.deepen(stemmed)
        pyramid: list[Tensor] = []
        for lateral, feature in zip(reversed(self.lateral), reversed(deeper), strict=True):
            here = lateral(feature)
            if pyramid:
                here = here + enlarged(pyramid[-1])
            pyramid.append(here)
        pyramid = [smooth(here) for smooth, here in zip(self.smooth, reversed(pyramid), strict=True)]
        levels = [level(here, stride) for level, here, stride in zip(self.levels, pyramid, LEVELS, strict=False)]
        answers = levels[-1][2]
        for _, _, finer in reversed(levels[:-1]):
            answers = surer(finer, doubled(answers))
        answers = doubled(answers)
        logit = answers[:, :1] + self.refine_score(at4, [level[0] for level in levels]).float()
        sides = answers[:, 1:]
        sides = sides + self.refine_sides(at4, [level[1] for level in levels]).float() * extent(sides)
        look = torch.cat((pyramid[0], deeper[0], functional.relu(self.down(at4))), 1)
        return torch.cat((logit, sides), 1), at4, self.look[:-1](look)

    def begun_and_new(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """See `TrackingNetwork.begun_and_new`."""
        named = dict(self.named_parameters())
        for name, parameter in named.items():
            parameter.requires_grad_(not name.startswith(self.FROZEN))
        trained = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
        begun = [parameter for name, parameter in trained.items() if not name.startswith(self.NEW)]
        return begun, [parameter for name, parameter in trained.items() if name.startswith(self.NEW)]

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the picture."""
        return self.backbone.stem[0][0]  # type: ignore[index,no-any-return]

    def twin(self, prior: bool) -> Self:
        """See `TrackingNetwork.twin`."""
        return type(self)(prior, self.embedding)  # type: ignore[call-arg]


class PyramidTeacher(Pyramid):
    """See the module. Height and width: multiples of 32. Embeddings lie on stride 8."""

    FROZEN = ("backbone.stem.", "backbone.blocks.0.", "backbone.blocks.1.")
    NEW = ("refine_score.", "refine_sides.", "down.", "look.")

    def __init__(self, prior: bool = False, embedding: int = 128, hidden: int = 32) -> None:
        """Raises ValueError with `prior`: this network is a teacher."""
        if prior:
            raise ValueError("the pyramid is a teacher and has no prior; its student is 'pyramid-student'")
        super().__init__(prior, embedding, hidden)

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """See `TrackingNetwork.forward`."""
        self.check_prior(prior)
        answers, _, look = self.answer(self.backbone.stem(image))
        return {"hm": answers[:, :1], "id": self.look[-1](look), **centred(answers[:, 1:])}


class PyramidStudent(Pyramid):
    """The teacher's own network on a picture of half the size, which costs a quarter, and a last step back to stride 4.

    Halving the picture and the first convolution are one convolution of 6x6 at stride 4, so what is between the
    pixels of the small picture is not lost for good: training finds it. Begun from its teacher, it answers as the
    teacher does to the small picture. The prior, which has stride 4, joins where the stem's output has it too, and once
    more in the last step; both begin at zero.
    """

    NEW = ("sharpen.", "early.", "closer.")
    DEPTH = 2
    """Stride 32 of the small picture is left out: its people fill the picture, and sizes stay multiples of 32."""

    def __init__(self, prior: bool = False, embedding: int = 128, hidden: int = 32) -> None:
        super().__init__(prior, embedding, hidden)
        self.backbone.stem[0] = nn.Sequential(nn.Conv2d(3, 32, 6, 4, 2), nn.ReLU6(inplace=True))
        self.sharpen = Sharpening(16, 24, 16, 5, prior)
        self.closer = nn.Conv2d(24, 96, 1)
        zero(self.closer)
        if prior:
            self.early = nn.Conv2d(1, 16, 3, padding=1, bias=False)
            zero(self.early)

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """See `TrackingNetwork.forward`. Height and width: multiples of 32."""
        self.check_prior(prior)
        stemmed = self.backbone.stem(image)
        if prior is not None:
            prior = prior.to(stemmed.dtype)
            stemmed = stemmed + self.early(prior)
        answers, at8, look = self.answer(stemmed)
        answers = doubled(answers)
        better = self.sharpen(stemmed, at8, prior).float()
        logit, sides = answers[:, :1] + better[:, :1], answers[:, 1:] * 2
        sides = sides + better[:, 1:] * extent(sides)
        look = self.look[-1](functional.relu(enlarged(look) + self.closer(at8)))
        return {"hm": logit, "id": look, **centred(sides)}

    def begin(self, teacher: PyramidTeacher) -> None:
        """Take over all that the teacher knows."""
        ours = self.state_dict()
        known = {name: value for name, value in teacher.state_dict().items() if name in ours}
        name = "backbone.stem.0.0.weight"
        known[name] = known[name].repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
        self.load_state_dict(ours | known)


def zero(conv: nn.Conv2d) -> None:
    """Let a convolution say nothing until it has learnt to."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def extent(sides: Tensor) -> Tensor:
    """Width and height that sides (B, 4, h, w) span, for each side the one it is part of: a scale for corrections."""
    return (sides[:, :2] + sides[:, 2:]).repeat(1, 2, 1, 1)


def enlarged(x: Tensor) -> Tensor:
    """Each cell four times."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


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
