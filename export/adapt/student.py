"""The student that is adapted: begun as the shipped one, it learns from what the teacher said about recordings."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import nn

from edge.pipeline.backend import SHIPPED_MODELS
from edge.pipeline.config import SHIPPED_PAIR
from engines.errors import ModelFileError
from engines.files import whole
from engines.signature import Signature, file_name
from export.adopt.student import make_student
from export.deployed import Deployed
from export.precision import read_model
from export.to_onnx import export, sign
from export.verify import verify
from training import recipe as recipes
from training.data.answers import AnsweredPairs
from training.data.labelled import LabelledImage
from training.data.samples import Pairs, Sizes
from training.models.heads import TrackingNetwork
from training.placement import Placement, placed
from training.recipe import Recipe
from training.run import Run
from training.transfer import AnsweredTransfer
from training.weights import load_network

SHIPPED_WEIGHTS = SHIPPED_MODELS / "weights" / f"{SHIPPED_PAIR}-student.pt"
SHIPPED_STUDENT = SHIPPED_MODELS / file_name(SHIPPED_PAIR, "student")
RECIPE = Path(recipes.__file__).parent / "recipes" / "_adapt.toml"
PROBE_S = 30.0
"""Time for learning below which it is not worth measuring how long a step takes."""
PROBE_STEPS, SETTLED = 5, 2
"""Steps to see how long one takes, of which the first do not count."""
LEAST_STEPS, MOST_STEPS = 5, 3000
WEIGHTS = "weights.pt"


def begin_student(weights: Path, teacher: Signature) -> TrackingNetwork:
    """The network in `weights`, with embeddings of the teacher's length; a new last layer unless it has its space."""
    network, record = load_network(weights)
    if teacher.appearance == "none" or (
        record["recipe"]["pair"] == teacher.pair and network.embedding == teacher.embedding_dim
    ):
        return network
    look = network.get_submodule("look")
    assert isinstance(look, nn.Sequential)  # noqa: S101
    last = look[-1]
    assert isinstance(last, nn.Conv2d)  # noqa: S101
    torch.manual_seed(0)
    look[-1] = nn.Conv2d(last.in_channels, teacher.embedding_dim, 1)
    network.embedding = teacher.embedding_dim
    return network


def adapting_recipe(pair: str, input_wh: tuple[int, int], path: Path = RECIPE) -> Recipe:
    """The recipe, for a pair and an input size."""
    return replace(Recipe.read(path), pair=pair, input_width=input_wh[0], input_height=input_wh[1])


def of_steps(recipe: Recipe, steps: int) -> Recipe:
    """So many of them."""
    return replace(recipe, steps=steps, warmup=min(recipe.warmup, steps))


def steps_within(
    left_s: float,
    recipe: Recipe,
    begin: Callable[[], TrackingNetwork],
    images: Sequence[LabelledImage],
    identities: Mapping[str, int],
    folder: Path,
) -> int:
    """How many steps there is time for. `begin` makes the student; `folder` is made and removed."""
    if left_s <= PROBE_S:
        return LEAST_STEPS
    step_s = step_seconds(recipe, begin(), images, identities, folder)
    return min(MOST_STEPS, max(LEAST_STEPS, int(left_s / step_s)))


def step_seconds(
    recipe: Recipe,
    network: TrackingNetwork,
    images: Sequence[LabelledImage],
    identities: Mapping[str, int],
    folder: Path,
) -> float:
    """How long a step takes here and now. Spoils the network; `folder` is made and removed."""
    shutil.rmtree(folder, ignore_errors=True)
    seconds: list[float] = []
    learn(of_steps(recipe, PROBE_STEPS), network, images, identities, folder, lambda run: seconds.append(run.seconds))
    shutil.rmtree(folder)
    return (seconds[-1] - seconds[SETTLED - 1]) / (len(seconds) - SETTLED)


def learn(
    recipe: Recipe,
    network: TrackingNetwork,
    images: Sequence[LabelledImage],
    identities: Mapping[str, int],
    out: Path,
    stepped: Callable[[Run], object] = lambda run: None,
) -> None:
    """Train to the recipe's last step; `out` gets weights.pt. Begun before, it goes on where it was."""
    with placed(None) as place:
        run = Run(recipe, network, identities, out, place, {"pictures": len(images)})
        run.network.train()
        transfer = AnsweredTransfer()
        for parts in run.steps(_samples(recipe, images, place)):
            run.learn(parts, partial(transfer.losses, run))
            stepped(run)


def _samples(recipe: Recipe, images: Sequence[LabelledImage], place: Placement) -> AnsweredPairs:
    length = recipe.steps * recipe.batch * recipe.accumulate * place.world
    sizes = Sizes(*recipe.all_sizes, recipe.batch, recipe.seed)
    scale = recipe.scale_min, recipe.scale_max
    weights = np.ones(len(images))
    pairs = Pairs(images, weights, sizes, length, recipe.seed, scale, recipe.zoom, recipe.max_gap, as_is=recipe.as_is)
    return AnsweredPairs(pairs)


def export_student(weights: Path, teacher: Signature, path: Path) -> None:
    """The trained network as a model file of the teacher's pair. Raises ModelFileError where it came out wrong.

    Of several classes it does not say which it sees; the tracker knows that from the keyframes.
    """
    network, record = load_network(weights)
    size = record["recipe"]["input_width"], record["recipe"]["input_height"]
    classes = teacher.classes if len(teacher.classes) == 1 else ()
    signed = sign(record, network, "student", size, sizes="open")
    signature = replace(signed, pair=teacher.pair, mapping="ifm", classes=classes)
    with whole(path) as partial_path:
        if network.embedding == shipped_embedding():
            model = refill(read_model(SHIPPED_STUDENT), network)
            helper.set_model_props(model, signature.to_metadata())
            onnx.save(model, partial_path)
        else:
            print("writing the model file: a minute or so")
            export(network, signature, partial_path)
        if not (parity := verify(network, signature.at(size), partial_path)).passed:
            raise ModelFileError(f"the exported student differs from the trained one; please report\n{parity.table()}")
    if teacher.appearance == "none":
        without_looks(path, teacher, path)


def shipped_embedding() -> int:
    """Length of the shipped student's embeddings."""
    return Signature.from_metadata(
        {one.key: one.value for one in read_model(SHIPPED_STUDENT).metadata_props}
    ).embedding_dim


def refill(model: ModelProto, network: TrackingNetwork) -> ModelProto:
    """The model file of a student with the weights of another of the same shape: a second's work, where torch's
    exporter takes a minute. Raises ModelFileError where the shapes are not the same.
    """
    state = Deployed(network, "student", 1).state_dict()
    for tensor in model.graph.initializer:
        name = tensor.name.removesuffix(".fp16")
        if not name.startswith("network."):
            continue
        value = state.pop(name).numpy()
        if value.shape != tuple(tensor.dims):
            raise ModelFileError(f"{name} is {value.shape}, the shipped student's {tuple(tensor.dims)}")
        stored = value.astype(np.float16) if tensor.name != name else value
        tensor.CopyFrom(numpy_helper.from_array(stored, tensor.name))
    if state:
        raise ModelFileError(f"the shipped student has no {', '.join(state)}")
    return model


def without_looks(student: Path, teacher: Signature, path: Path) -> None:
    """A student's file as one of a teacher's pair that knows no looks, or other ones."""
    model = make_student(student, teacher)
    with whole(path) as partial_path:
        onnx.save(model, partial_path)
