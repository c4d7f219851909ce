"""deploy/nats: settings that the server itself accepts."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.service.cluster.test_permissions import make_certificates
from tests.service.sinks.brokers import cluster_server
from tests.support.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "nats"


def accepts(conf: Path, **environment: str) -> str:
    """What is wrong, as the server says; empty where nothing is."""
    command = [cluster_server(), "-c", str(conf), "-t"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    return "" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("name", ["one.conf", "three.conf", "site.conf"])
def test_server_accepts_its_settings(name: str, tmp_path: Path) -> None:
    make_certificates(tmp_path, "server", "site")
    for path in FOLDER.glob("*.conf"):
        text = path.read_text().replace("/etc/nats", str(tmp_path)).replace("/data/nats", str(tmp_path / "data"))
        (tmp_path / path.name).write_text(text)
    assert not accepts(tmp_path / name, NAME="nats1", SITE="hall")


def test_server_accepts_the_settings_of_the_manifests(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    documents = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "nats.yaml").read_text())
    text = next(one for one in documents if one["kind"] == "ConfigMap")["data"]["nats.conf"]
    (tmp_path / "nats.conf").write_text(text.replace("store_dir: /data", f"store_dir: {tmp_path}/data"))
    assert not accepts(tmp_path / "nats.conf", POD_NAME="nats-0")
