"""`make up`: which profile is started on which machine, and what is said where none can be."""

import subprocess
from pathlib import Path

import pytest

from tests.support.dockerfile import ROOT


class Machine:
    """As far as deploy/up.sh looks at one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program("smi-works", "exit 0")
        self.program("smi-fails", "exit 9")
        self.docker("")

    def program(self, name: str, text: str) -> str:
        path = self.root / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def docker(self, runtimes: str) -> None:
        self.program("docker", f'[ "$1" = info ] && echo \'{runtimes}\' || echo "profile $COMPOSE_PROFILES: $*"')

    def pci(self, vendor: str, kind: str) -> None:
        device = self.root / "sys/bus/pci/devices/0000:01:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor + "\n")
        (device / "class").write_text(kind + "\n")

    def jetson(self, release: int) -> None:
        (self.root / "etc").mkdir()
        (self.root / "etc/nv_tegra_release").write_text(f"# R{release} (release), REVISION: 2.0, GCID: 1\n")

    def up(self, *arguments: str, smi: str = "smi-works") -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": "/usr/bin:/bin", "ROOT": str(self.root), "DOCKER": str(self.root / "docker")}
        environment["NVIDIA_SMI"] = str(self.root / smi)
        command = [str(ROOT / "deploy" / "up.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_gpu_it_is_the_cpu(machine: Machine) -> None:
    done = machine.up("--build", "-d")
    assert done.stdout == "profile cpu: compose up --build -d\n"
    assert done.stderr == "make up: profile cpu: no NVIDIA GPU here\n"


def test_another_makers_gpu_and_nvidias_sound_are_none(machine: Machine) -> None:
    machine.pci("0x8086", "0x030000")
    assert machine.up().stdout.startswith("profile cpu")


def test_with_a_gpu_it_is_the_gpu(machine: Machine) -> None:
    machine.pci("0x10de", "0x030200")
    machine.docker('{"nvidia": {}, "runc": {}}')
    done = machine.up()
    assert done.stdout == "profile gpu: compose up\n" and "an NVIDIA GPU" in done.stderr


@pytest.mark.parametrize(
    ("smi", "runtimes", "told"),
    [
        ("smi-fails", "nvidia", "install NVIDIA's driver 580"),
        ("smi-works", "runc", "install the NVIDIA Container Toolkit"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_no_silent_cpu(machine: Machine, smi: str, runtimes: str, told: str) -> None:
    machine.pci("0x10de", "0x030200")
    machine.docker(runtimes)
    done = machine.up(smi=smi)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr and "docker compose --profile cpu up" in done.stderr


def test_a_jetson_gets_its_own_profile_where_its_system_is_new_enough(machine: Machine) -> None:
    machine.docker("nvidia")
    machine.jetson(38)
    assert machine.up().stdout.startswith("profile jetson:")


def test_a_jetson_with_jetpack_6_is_shown_the_way_without_a_container(machine: Machine) -> None:
    machine.jetson(36)
    done = machine.up()
    assert done.returncode == 1 and "JetPack 7 (38 or newer)" in done.stderr and "docs/GPU.md" in done.stderr
