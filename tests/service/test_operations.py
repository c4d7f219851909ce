"""docs/OPERATIONS.md tells the truth: flags, settings, addresses, metrics, and the way to back up."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.configuration import PREFIX
from service.settings import Settings
from service.store import Store

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "OPERATIONS.md").read_text()


def test_every_flag_and_variable_exists() -> None:
    other = {"json", "help", "profile", "rm", "scope", "k", "modes"}
    flags = {flag.replace("-", "_") for flag in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", DOCUMENT)} - other
    variables = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", DOCUMENT)}
    assert flags | variables <= set(Settings.model_fields)
    assert flags
    assert variables


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(/[a-z0-9/]+)`", DOCUMENT))))
def test_every_address_answers(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_the_table_of_metrics_is_complete(client: httpx.Client) -> None:
    families = text_string_to_metric_families(client.get("/metrics").text)
    suffix = {"counter": "_total", "info": "_info"}
    names = {one.name + suffix.get(one.type, "") for one in families if one.name.startswith("atttrack_")}
    assert set(re.findall(r"`(atttrack_\w+)`", DOCUMENT)) == names


def test_the_backup_of_a_running_service_has_everything(tmp_path: Path) -> None:
    (command,) = re.findall(r'sqlite3 atttrack\.sqlite3 "(.*)"', DOCUMENT)
    running = Store(tmp_path / "atttrack.sqlite3")
    running.add_stream("hall", {"url": "synthetic://"}, 0.0, False).result()
    with closing(sqlite3.connect(tmp_path / "atttrack.sqlite3")) as connection:
        connection.execute(command.replace("backup.sqlite3", f"{tmp_path}/backup.sqlite3"))
    running.close()
    restored = Store(tmp_path / "backup.sqlite3")
    assert [stream.id for stream in restored.streams()] == ["hall"]
    restored.close()
