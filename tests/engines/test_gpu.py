"""Whether a machine has a GPU, driver or not."""

from pathlib import Path

from engines.gpu import built_in


def pci(system: Path, name: str, vendor: str, kind: str) -> None:
    device = system / "bus/pci/devices" / name
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor)
    (device / "class").write_text(kind)


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert built_in(tmp_path) is None
    pci(tmp_path, "0000:00:02.0", "0x8086\n", "0x030000\n")
    pci(tmp_path, "0000:01:00.1", "0x10de\n", "0x040300\n")  # the sound of one
    assert built_in(tmp_path) is None


def test_nvidias_is_found_and_so_is_a_jetson(tmp_path: Path) -> None:
    pci(tmp_path, "0000:41:00.0", "0x10de\n", "0x030200\n")
    assert built_in(tmp_path) == "an NVIDIA GPU (0000:41:00.0)"
    (tmp_path / "devices/soc0").mkdir(parents=True)
    (tmp_path / "devices/soc0/family").write_text("Tegra\n")
    assert built_in(tmp_path) == "a Jetson"
