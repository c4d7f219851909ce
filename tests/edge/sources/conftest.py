"""One server of decoders for all tests of sources: starting it costs more than most of them."""

from collections.abc import Iterator

import pytest

from edge.sources.decoder.process import DECODERS


@pytest.fixture(scope="session", autouse=True)
def decoders_stay() -> Iterator[None]:
    with DECODERS:
        yield
