"""deploy/kubernetes: manifests whose commands exist, and whose parts fit together."""

from typing import Any

import pytest
import yaml

from service.__main__ import COMMANDS
from service.configuration import gather
from tests.support.dockerfile import ROOT

MANIFESTS: list[dict[str, Any]] = [
    one
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one.get("spec", {})
}
OF_OPTIONS = {"--name", "--site", "--nats", "--replicas"}


def test_there_are_servers_nodes_and_gateways() -> None:
    assert set(PODS) == {"nats", "node", "gateway", "cluster-init"}
    (servers,) = (one for one in MANIFESTS if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "nats")
    assert servers["spec"]["replicas"] == 3, "two of three are a majority"


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_hardened(name: str) -> None:
    assert PODS[name]["securityContext"]["runAsNonRoot"] is True
    for container in PODS[name]["containers"]:
        own = container["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= {*(volume["name"] for volume in PODS[name].get("volumes", [])), "data", "state"}


@pytest.mark.parametrize("name", sorted(set(PODS) - {"nats"}))
def test_commands_exist_with_their_flags(name: str) -> None:
    (container,) = PODS[name]["containers"]
    command = container["command"]
    assert command[:3] == ["python", "-m", "service"]
    assert command[3] in COMMANDS
    if command[3] != "cluster":
        gather([word for word in command[4:] if word not in OF_OPTIONS])


def test_services_find_their_pods_and_probes_their_ports() -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in MANIFESTS
        if one["kind"] in ("StatefulSet", "Deployment")
    ]
    for one in MANIFESTS:
        if one["kind"] == "Service":
            assert one["spec"]["selector"] in labels
    for pod in PODS.values():
        for container in pod["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    how = container[probe]
                    assert (how.get("httpGet") or how["tcpSocket"])["port"] in ports
