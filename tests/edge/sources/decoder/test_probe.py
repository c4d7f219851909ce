"""A video unit is tried where it will have to work: in a process that may do as little as a camera's decoder."""

import platform

import pytest

from edge.sources.decoder import landlock, probe
from edge.sources.decoder.process import DecoderServer
from tests.support.probed_units import OWN_FILE

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no seccomp table for this one")


def test_a_unit_that_needs_what_drivers_need_is_taken() -> None:
    assert probe.refusal("probe-gpu", DecoderServer("tests.support.probed_units")) is None


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_unit_that_works_in_freedom_only_is_not_taken() -> None:
    refused = probe.refusal("probe-gstreamer", DecoderServer("tests.support.probed_units"))
    assert refused == "its plugins cannot be listed (Permission denied)"
    assert not OWN_FILE.exists()


def test_without_a_gpu_the_probe_says_so() -> None:
    refused = probe.refusal("probe-gpu")
    assert refused is not None and refused.startswith("no video unit of GPU 0 (")
    assert refused.endswith("as a decoder process is confined")


def test_a_server_that_does_not_start_is_a_refusal_and_no_error() -> None:
    assert "no decoder could be started" in str(probe.refusal("probe-gpu", DecoderServer("no.such.module")))
