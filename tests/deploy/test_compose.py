"""docker-compose.yml: what each profile starts, with which rights, volumes and settings."""

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from edge.pipeline.config import SHIPPED_PAIR, parse_size
from export.to_plan import _parser as plan_options
from service.__main__ import COMMANDS
from service.settings import Settings
from tests.support.dockerfile import ROOT, Dockerfile

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
KEYS = {
    *("build", "cap_drop", "command", "depends_on", "deploy", "env_file", "environment", "group_add", "image"),
    "mem_limit",
    *("network_mode", "pids_limit", "profiles", "read_only", "restart", "runtime", "security_opt"),
    *("stop_grace_period", "tmpfs", "volumes"),
}
"""Of the Compose specification, those that this project uses: a slip of the pen is none of them."""


def in_profile(profile: str) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if profile in service["profiles"]}


def test_nothing_is_misspelt() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name


def test_the_profile_without_a_choice_is_the_demo_on_a_cpu() -> None:
    assert (ROOT / ".env").read_text() == "COMPOSE_PROFILES=cpu\n"
    ((name, service),) = in_profile("cpu").items()
    assert (name, service["environment"]["ATTTRACK_DEMO"]) == ("cpu", "${ATTTRACK_DEMO:-true}")
    assert "deploy" not in service
    assert "runtime" not in service


def test_the_profiles_are_the_documented_ones() -> None:
    assert {profile for service in SERVICES.values() for profile in service["profiles"]} == {
        "cpu", "gpu", "jetson", "observability", "cluster",
    }  # fmt: skip
    documented = (ROOT / "docker-compose.yml").read_text().partition("name:")[0]
    for profile in ("gpu", "jetson", "observability", "cluster"):
        assert profile in documented


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["pids_limit"] > 0
    assert service["mem_limit"], "one container that grows does not take the machine along"
    assert not [volume for volume in service.get("volumes", []) if "docker.sock" in volume]


@pytest.mark.parametrize("name", OURS)
def test_every_image_of_ours_is_a_target_of_the_dockerfile(name: str) -> None:
    assert OURS[name]["build"]["target"] in Dockerfile().stages


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_other_images_are_pinned_by_their_tag(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("profile", ["gpu", "jetson"])
def test_plans_are_built_before_the_service_starts_and_where_it_looks(profile: str) -> None:
    services = in_profile(profile)
    (planner,) = (name for name, service in services.items() if service["build"]["target"] == "planner")
    (service,) = (service for name, service in services.items() if name != planner)
    assert service["depends_on"] == {planner: {"condition": "service_completed_successfully"}}
    assert services[planner]["restart"] == "no"
    folder = Dockerfile().environment("gpu")["ATTTRACK_PLANS_DIR"]
    assert f"plans:{folder}" in services[planner]["volumes"]
    assert f"plans:{folder}:ro" in service["volumes"]
    words = [word.replace("${ATTTRACK_SIZE:-576x320}", Settings().size) for word in services[planner]["command"]]
    options = plan_options().parse_args(words)
    assert options.size == parse_size(Settings().size)
    shipped = {ROOT / "models" / f"{SHIPPED_PAIR}-{role}.onnx" for role in ("teacher", "student")}
    assert {ROOT / model for model in options.models} == shipped
    assert all(model.is_file() for model in shipped)


NEEDED = {"compute", "utility", "video"}
"""Of NVIDIA's driver, what a container that tracks has to find: libcuda, nvidia-smi's library, the video unit's."""


def driver_capabilities(service: dict[str, Any]) -> set[str]:
    """NVIDIA_DRIVER_CAPABILITIES of its container, by Docker's rule: those of a reserved device that the driver knows
    go before the image's, which hold where the device names none (moby, `daemon/nvidia_linux.go`).
    """
    known = {"compute", "compat32", "graphics", "utility", "video", "display"}
    reservations = service.get("deploy", {}).get("resources", {}).get("reservations", {})
    devices = [device for device in reservations.get("devices", []) if device["driver"] == "nvidia"]
    reserved = {one for device in devices for one in device["capabilities"]} & known
    image = Dockerfile().environment(service["build"]["target"])["NVIDIA_DRIVER_CAPABILITIES"]
    return reserved or set(image.split(","))


@pytest.mark.parametrize("name", [*in_profile("gpu"), *in_profile("jetson")])
def test_a_container_with_a_gpu_finds_all_of_the_driver_that_it_needs(name: str) -> None:
    assert driver_capabilities(SERVICES[name]) >= NEEDED
    devices = SERVICES[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    assert all("gpu" in device["capabilities"] for device in devices), "without it Docker gives no GPU"
    assert devices or SERVICES[name]["runtime"] == "nvidia"


@pytest.mark.parametrize(("capabilities", "lacks"), [(["gpu", "video"], {"compute", "utility"}), (["gpu"], set())])
def test_a_device_that_names_some_of_the_driver_takes_the_rest_away(capabilities: list[str], lacks: set[str]) -> None:
    """So it was once: a GPU with its video unit, and no libcuda."""
    device = {"driver": "nvidia", "count": 1, "capabilities": capabilities}
    service = SERVICES["gpu"] | {"deploy": {"resources": {"reservations": {"devices": [device]}}}}
    assert NEEDED - driver_capabilities(service) == lacks


def test_programs_of_the_cluster_start_when_its_buckets_are_there() -> None:
    services = in_profile("cluster")
    assert set(services) == {"nats", "cluster-init", "node", "gateway"}
    for name in ("node", "gateway"):
        assert services[name]["depends_on"] == {"cluster-init": {"condition": "service_completed_successfully"}}
    for name in ("cluster-init", "node", "gateway"):
        command = services[name]["command"]
        assert command[:3] == ["python", "-m", "service"]
        assert command[3] in COMMANDS


def test_on_a_jetson_the_groups_of_its_devices_are_numbers() -> None:
    """A name would be looked up in the image, which does not know the host's."""
    for name, service in in_profile("jetson").items():
        defaults = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", group) for group in service["group_add"]]
        assert len(defaults) == 2 and all(group.isdigit() for group in defaults), name
        assert service["runtime"] == "nvidia"


def test_a_jetsons_images_have_one_base_that_is_not_the_servers() -> None:
    bases = {service["build"]["args"]["GPU_BASE"] for service in in_profile("jetson").values()}
    (base,) = bases
    tag = re.fullmatch(r"\$\{ATTTRACK_JETSON_BASE:-nvcr\.io/nvidia/tensorrt:(\d+)\.(\d+)-py3\}", base)
    assert tag is not None and (int(tag[1]), int(tag[2])) >= (26, 4), "from then on TensorRT knows Orin"
    images = [service["image"] for service in OURS.values()]
    builds = [str(service["build"]) for service in OURS.values()]
    assert all((a == b) == (c == d) for (a, c), (b, d) in combinations(zip(images, builds, strict=True), 2))


@pytest.mark.parametrize("profile", ["gpu", "jetson"])
def test_plans_are_built_for_as_many_streams_as_the_service_takes(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = [service["environment"]["ATTTRACK_MAX_STREAMS"] for service in in_profile(profile).values()]
    assert most == ["${ATTTRACK_MAX_STREAMS:-16}"] * 2
    assert Settings().max_streams == 16
    monkeypatch.setenv("ATTTRACK_MAX_STREAMS", "17")
    assert (Settings().max_streams, plan_options().parse_args(["MODEL.onnx"]).max_batch) == (17, 17)


@pytest.mark.parametrize("name", SERVICES)
def test_every_volume_is_declared_or_a_file_of_the_project(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume


def test_what_a_service_writes_is_in_a_volume() -> None:
    for name, service in OURS.items():
        if service["build"]["target"] != "planner":
            folder = Dockerfile().environment(service["build"]["target"])["ATTTRACK_STATE_DIR"]
            assert f"state:{folder}" in service["volumes"], name


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_its_default_may_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = OURS[name].get("environment", {})
    assert {variable.removeprefix("ATTTRACK_").lower() for variable in environment} <= set(Settings.model_fields)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)))
    assert Settings().bound_to_loopback, "without a key a service must not be reached from elsewhere"


def test_no_two_containers_of_a_machine_want_the_same_port() -> None:
    """The network is the host's: Prometheus and Grafana stand beside the service."""
    assert {service["network_mode"] for service in SERVICES.values()} == {"host"}
    text = str(in_profile("observability"))
    ports = [{Settings().port}, {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}, {3000}]
    assert all(not one & other for one, other in combinations(ports, 2))
