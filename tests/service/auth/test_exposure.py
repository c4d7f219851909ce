"""The program refuses to listen where anybody could do anything, and speaks TLS when told."""

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from service.auth.exposure import ExposureError, check_exposure
from service.auth.keys import KeyRing
from service.auth.stored_keys import StoredKeys
from service.settings import Settings
from service.store import Store
from tests.service.auth.keyed import BOOTSTRAP_KEY
from tests.service.waiting import wait_until

PROJECT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "service"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ATTTRACK_")}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])  # noqa: S104
def test_no_key_and_more_than_loopback_is_refused(host: str) -> None:
    with pytest.raises(ExposureError, match="keys add"):
        check_exposure(Settings(host=host), KeyRing(StoredKeys(Store(None))))


def test_who_is_refused_is_told_the_remedy(tmp_path: Path) -> None:
    host = "0.0.0.0"  # noqa: S104
    done = subprocess.run(
        [*COMMAND, "--host", host, "--state-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    remedy = re.search(r"atttrack (keys add .*)", done.stderr)
    assert remedy is not None
    subprocess.run(
        [sys.executable, "-m", "atttrack", *remedy[1].split()], check=True, cwd=PROJECT, env=ENVIRONMENT, timeout=60
    )
    check_exposure(Settings(host=host, state_dir=tmp_path), KeyRing(StoredKeys(Store(tmp_path / "atttrack.sqlite3"))))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_key(host: str) -> None:
    check_exposure(Settings(host=host), KeyRing(StoredKeys(Store(None))))


def test_key_of_the_environment_or_a_file_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{BOOTSTRAP_KEY}\n")
    for settings in (Settings(host="::", api_key=BOOTSTRAP_KEY), Settings(host="::", api_key_file=file)):
        assert settings.bootstrap_key == BOOTSTRAP_KEY
        check_exposure(settings, KeyRing(StoredKeys(Store(None)), settings.bootstrap_key))
        assert BOOTSTRAP_KEY not in repr(settings)


@pytest.mark.parametrize("content", ["", "short", " " * 40])
def test_key_that_is_too_short_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ValueError, match="32"):
        Settings(api_key_file=file)
    with pytest.raises(ValueError, match="32") as refused:
        Settings(api_key=content.strip() or "tiny")
    assert "tiny" not in str(refused.value)


def test_tls_files_have_to_work(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    check_exposure(Settings(tls_cert=cert, tls_key=key), KeyRing(StoredKeys(Store(None))))
    for pair in ((key, cert), (cert, tmp_path / "none")):
        with pytest.raises(ExposureError, match="tls-cert"):
            check_exposure(Settings(tls_cert=pair[0], tls_key=pair[1]), KeyRing(StoredKeys(Store(None))))
    with pytest.raises(ValueError, match="together"):
        Settings(tls_cert=cert)


def test_service_speaks_tls(tmp_path: Path, models: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    log = tmp_path / "log.txt"
    tiny = ["--models", str(models), "--pair", "tiny", "--size", "320x192", "--state-dir", str(tmp_path)]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *tiny, "--tls-cert", str(cert), "--tls-key", str(key)],
            stdout=out,
            stderr=out,
            cwd=PROJECT,
            env=ENVIRONMENT | {"ATTTRACK_API_KEY": BOOTSTRAP_KEY},
        )
    try:
        wait_until(lambda: re.search(r"running on https://(\S+?:\d+)", log.read_text()), 60, "the service to listen")
        address = re.search(r"running on https://(\S+?:\d+)", log.read_text())[1]  # type: ignore[index]
        trusting = ssl.create_default_context(cafile=str(cert))
        headers = {"Authorization": f"Bearer {BOOTSTRAP_KEY}"}
        with httpx.Client(base_url=f"https://{address}", verify=trusting) as http:
            assert http.get("/streams").status_code == 401
            assert http.get("/streams", headers=headers).status_code == 200
        with connect(f"wss://{address}/tracks", ssl=trusting, additional_headers=headers):
            pass
        assert BOOTSTRAP_KEY not in log.read_text()
    finally:
        process.kill()
        process.wait()
