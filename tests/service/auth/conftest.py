"""A service with a key, for all tests of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.service.auth.keyed import BOOTSTRAP_KEY, KeyedService
from tests.service.conftest import run_service


@pytest.fixture(scope="module")
def keyed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedService]:
    settings = Settings(
        models=models,
        pair="tiny",
        size="320x192",
        device="cpu",
        state_dir=tmp_path_factory.mktemp("state"),
        api_key=BOOTSTRAP_KEY,
        requests_per_s=100_000,
    )
    running = run_service(settings)
    yield KeyedService(running)
    running.stop()
