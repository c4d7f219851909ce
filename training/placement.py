"""Where a run computes: which device, and which of how many processes this one is. Chosen once, at the door."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Placement:
    """One process of a run. Under `torchrun` there are several, each with samples of its own and equal weights."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process saves and reports."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """bf16 where it is safe, on this device; nothing where the device has none of its own."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    @property
    def dtype(self) -> torch.dtype:
        """What frozen networks compute in. A CPU that must imitate bf16 takes fifteen times as long with it."""
        native = self.device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return torch.bfloat16 if native else torch.float32

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The process that leads does what is inside before the others do: files appear once."""
        if not self.leads:
            distributed.barrier()
        yield
        if self.leads and self.world > 1:
            distributed.barrier()

    @torch.no_grad()
    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each float32 tensor by its mean over all processes; every process must bring the same shapes."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


@contextmanager
def placed(name: str | None) -> Iterator[Placement]:
    """Open a placement. `name`: cpu, cuda, or None for a GPU where there is one. torchrun's variables say the rest.

    Raises RuntimeError where a GPU was asked for and there is none.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and not gpus:
        raise RuntimeError("--device cuda: torch sees no GPU; leave the option out to train on the CPU")
    kind = name or ("cuda" if gpus else "cpu")
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # inputs never change their size
        torch.set_float32_matmul_precision("high")
    if world > 1:
        distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Placement(device, rank, world)
    finally:
        if world > 1:
            distributed.destroy_process_group()
