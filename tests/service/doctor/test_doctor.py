"""python -m service doctor, on this machine and on broken ones."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.sources.decoding import Wanted
from engines.errors import DeviceError
from service.doctor import command as doctor
from service.doctor import machine as machine_checks
from service.doctor.machine import Check
from service.settings import Settings
from service.store import Store

FLAGS = ("--pair", "tiny", "--size", "320x192", "--device", "cpu", "--port", "0")


@pytest.fixture
def settings(models: Path, tmp_path: Path) -> Settings:
    return Settings(models=models, pair="tiny", size="320x192", device="cpu", port=0, state_dir=tmp_path / "state")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_no_checks_are_healthy() -> None:
    assert doctor.healthy([])
    assert doctor.table([]) == ""


def test_a_warning_is_healthy_and_a_failure_is_not() -> None:
    warned, failed = Check("clock", "warn", "late", "set it"), Check("disk", "fail", "full", "make room")
    assert doctor.healthy([warned])
    assert not doctor.healthy([warned, failed])
    assert doctor.table([failed]).splitlines() == ["FAIL  disk       full", "                 -> make room"]


def test_this_machine_can_run_the_service(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*FLAGS, "--models", str(models), "--state-dir", str(tmp_path / "state")]
    assert doctor.main(["--json", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is True
    assert [check["name"] for check in report["checks"]] == [
        "driver", "runtime", "decoders", "clock", "processor",
        "settings", "decoding", "models", "port", "state", "disk",
    ]  # fmt: skip
    assert doctor.main(flags) == 0
    assert len([line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]) == 11
    assert not (tmp_path / "state").exists(), "a doctor looks and touches nothing"


def test_wrong_settings_are_one_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json", "--prot", "1"]) == 1
    last = json.loads(capsys.readouterr().out)["checks"][-1]
    assert (last["name"], last["status"]) == ("settings", "fail")
    assert "config check --prot 1" in last["advice"]


def test_a_missing_pair_is_found(settings: Settings, tmp_path: Path) -> None:
    assert doctor.models(settings).status == "ok"
    check = doctor.models(settings.model_copy(update={"models": tmp_path}))
    assert check.status == "fail"
    assert "tiny-teacher-320x192.onnx" in check.advice


def test_a_port_that_is_taken_is_found(settings: Settings, taken: int) -> None:
    assert doctor.port(settings).status == "ok"
    check = doctor.port(settings.model_copy(update={"port": taken}))
    assert (check.status, str(taken) in check.found) == ("warn", True)


def test_a_host_that_is_not_here_is_found(settings: Settings) -> None:
    assert doctor.port(settings.model_copy(update={"host": "192.0.2.1"})).status == "warn"


def test_the_state_file_is_looked_into(settings: Settings) -> None:
    assert "will be made" in doctor.state(settings).found
    path = settings.store_path
    assert path is not None
    store = Store(path)
    assert doctor.state(settings) == Check("state", "ok", str(path))  # also while the service has it open
    store.close()
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)
    assert doctor.state(settings).status == "fail"
    path.write_text("no database")
    check = doctor.state(settings)
    assert (check.status, "backup" in check.advice) == ("fail", True)


def test_the_demo_keeps_nothing(settings: Settings) -> None:
    demo = settings.model_copy(update={"state_dir": None, "demo": True})
    assert doctor.state(demo).status == doctor.disk(demo).status == "ok"


def test_a_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.doctor.command.LITTLE_DISK", float("inf"))
    assert doctor.disk(settings).status == "fail"


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        ("", "warn", "none of avx2"),
        ("flags\t\t: fpu sse avx2 avx512f\n" * 4, "ok", "avx2, avx512f"),
        ("flags : sse4_2\n", "warn", "none of"),
        ("Features\t: fp asimd\n", "ok", "asimd"),
    ],
)
def test_features_of_the_processor_are_read(tmp_path: Path, text: str, status: str, found: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    check = machine_checks.processor(tmp_path / "cpuinfo")
    assert (check.status, found in check.found) == (status, True)
    assert machine_checks.processor(tmp_path / "nothing").status == "ok"


def test_a_clock_that_was_never_set_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.clock().status in ("ok", "warn")
    monkeypatch.setattr(machine_checks.time, "time", lambda: 0.0)
    assert machine_checks.clock().status == "fail"


@pytest.mark.parametrize("there", [True, False])
def test_the_driver_is_looked_at(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def gpu() -> SimpleNamespace:
        if not there:
            raise DeviceError("cuInit failed")
        return SimpleNamespace(name="NVIDIA L4", compute_capability=(8, 9), driver_version=13000)

    monkeypatch.setattr(machine_checks, "_loads", lambda library: False)
    assert machine_checks.driver().status == "ok"
    monkeypatch.setattr(machine_checks, "_loads", lambda library: True)
    monkeypatch.setattr(machine_checks, "CudaDevice", gpu)
    found = machine_checks.driver()
    assert (found.status, found.found) == (
        ("ok", "CUDA 13.0; NVIDIA L4 (sm_89)") if there else ("warn", "cuInit failed")
    )


def test_two_runtimes_that_share_a_module_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.runtimes().status == "ok"
    monkeypatch.setattr(machine_checks, "version", lambda package: "1.0")
    assert machine_checks.runtimes().status == "fail"
    monkeypatch.setattr(machine_checks, "_version", lambda package: None)
    assert machine_checks.runtimes().found == "none"


NOTHING = {"gpu-direct": "no GPU", "gpu": "no GPU", "gstreamer": "no GStreamer", "cpu": None}


@pytest.mark.parametrize(
    ("wanted", "device", "refusals", "driver", "jetson", "status", "says"),
    [
        ("auto", "auto", NOTHING, False, False, "ok", ""),
        ("cpu", "auto", NOTHING, True, False, "ok", ""),
        ("auto", "cpu", NOTHING, True, False, "ok", ""),
        ("auto", "auto", NOTHING | {"gpu": None}, True, False, "ok", ""),
        ("auto", "auto", NOTHING, True, False, "warn", "NVIDIA_DRIVER_CAPABILITIES"),
        ("auto", "cuda", NOTHING, True, True, "warn", "JetPack's own OpenCV"),
        ("auto", "auto", NOTHING | {"gstreamer": None}, True, True, "ok", ""),
        ("gpu-direct", "auto", NOTHING, True, False, "fail", "--decode"),
        ("gpu", "cpu", NOTHING, False, False, "fail", "--decode"),
    ],
)
def test_a_video_unit_that_is_wanted_or_expected_must_decode(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wanted: Wanted,
    device: str,
    refusals: dict[str, str | None],
    driver: bool,
    jetson: bool,
    status: str,
    says: str,
) -> None:
    monkeypatch.setattr(machine_checks, "survey", lambda: refusals)
    monkeypatch.setattr(machine_checks, "_loads", lambda library: driver)
    monkeypatch.setattr(machine_checks, "JETSON", tmp_path if jetson else tmp_path / "none")
    check = machine_checks.decoding(wanted, device)
    assert (check.status, says in check.advice, bool(says)) == (status, True, bool(check.advice))
    assert check.found.startswith(f"{wanted}; here work: ")
    assert ("no G" in check.found) == (status != "ok")


def test_a_decoder_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.decoders().status == "ok"
    assert not machine_checks._can_decode("no_such_codec")
    monkeypatch.setattr(machine_checks, "_can_decode", lambda codec: codec != "hevc")
    assert machine_checks.decoders().found.endswith("cannot decode hevc")
