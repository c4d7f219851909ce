"""Where the service listens, and what it says where it cannot."""

import logging
import os
import socket

import pytest

from service.server import ListenError, check_address
from service.settings import Settings


def test_port_that_is_taken_is_said_in_plain_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ListenError, match=r"another program listens there.*--port"):
            check_address(Settings(port=taken.getsockname()[1]))


@pytest.mark.parametrize(
    ("host", "told"), [("192.0.2.1", "no network of this machine"), ("no-such-host.invalid", "no name or address")]
)
def test_host_that_is_not_here_is_said_in_plain_words(host: str, told: str) -> None:
    with pytest.raises(ListenError, match=told) as refused:
        check_address(Settings(host=host, port=0))
    assert "Errno" not in str(refused.value)


@pytest.mark.skipif(os.getuid() == 0, reason="root may take any port")
def test_port_of_the_system_is_said_in_plain_words() -> None:
    with pytest.raises(ListenError, match="below 1024"):
        check_address(Settings(port=81))


def test_keys_in_clear_are_warned_of_where_others_can_read_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_address(Settings(port=0))
        assert caplog.records == []
        check_address(Settings(host="0.0.0.0", port=0))  # noqa: S104
    assert "in clear" in caplog.text
    assert "--tls-cert" in caplog.text
