"""The setting that says where video is decoded."""

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_the_service_refuses_surfaces_for_networks_on_the_cpu() -> None:
    assert Settings(decode="gpu-direct").decode == "gpu-direct"
    with pytest.raises(ValidationError, match="device = cpu has no networks"):
        Settings(decode="gpu-direct", device="cpu")
