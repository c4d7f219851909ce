"""Command line: `atttrack serve`, or `python -m service`."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from socket import IPPROTO_TCP, TCP_USER_TIMEOUT, socket
from types import FrameType

import uvicorn

from edge.pipeline.pipeline import PipelineError
from engines.errors import EngineError
from service.app import build_pipeline, create_app
from service.auth.exposure import ExposureError, check_exposure
from service.auth.keys import KeyRing
from service.configuration import BAD_SETTINGS, read_settings, stop
from service.limits import SERVER_LIMITS
from service.logs import configure_logs
from service.runtime import Runtime
from service.settings import Settings
from service.store import StoreError

NOT_STARTED, BAD_MODELS, BAD_STATE = 1, 3, 4
STALLED_CLIENT_S = 30.0

COMMANDS = {
    "config": "service.configuration",
    "keys": "service.auth.command",
    "doctor": "service.doctor.command",
}
"""First word of the command line -> module with `main(arguments) -> exit code`. Without one the service starts."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the first word names, or the service."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command, *rest = given or ["serve"]
    if command in COMMANDS:
        sys.exit(import_module(COMMANDS[command]).main(rest))
    settings = read_settings(rest if command == "serve" else given)
    configure_logs(settings.log_level, settings.log_format)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))  # before uvicorn takes over, and again when it is done
    serve(settings)


def serve(settings: Settings) -> None:
    """Run the service until it is told to stop, at once when told twice.

    Exit codes: 0 stopped, 1 port taken or start failed (see the log), 2 bad settings, 3 bad models, 4 bad state folder.
    """
    runtime = Runtime(settings, lambda progress: build_pipeline(settings, progress))
    try:
        runtime.open_store()
    except StoreError as error:
        stop(BAD_STATE, str(error))
    try:
        check_exposure(settings, KeyRing(runtime.store, settings.bootstrap_key))
    except ExposureError as error:
        stop(BAD_SETTINGS, str(error))
    config = uvicorn.Config(
        create_app(settings, runtime),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.log_level == "debug",
        ws_per_message_deflate=False,  # costs more time than loopback or a local network saves
        server_header=False,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        **SERVER_LIMITS,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s) + 5,
    )
    code = 0
    try:
        DrainingServer(config, runtime).run()
    except SystemExit as ended:
        code = NOT_STARTED if ended.code else 0  # uvicorn's own number is the one of bad models here
    if runtime.worker.alive:  # native code that loads a network, or hangs, survives no orderly end of the interpreter
        logging.shutdown()
        os._exit(code)
    if isinstance(runtime.failure, EngineError | PipelineError):
        stop(BAD_MODELS, str(runtime.failure))
    if runtime.failure is not None:
        raise runtime.failure
    sys.exit(code)


class DrainingServer(uvicorn.Server):
    """Ends when the runtime cannot start; lets it say goodbye to its subscribers (1001) before uvicorn cuts them off
    (1012)."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen. The kernel cuts off who takes nothing of what is sent for STALLED_CLIENT_S: uvicorn would wait for
        ever for its buffers to empty."""
        await super().startup(sockets)
        for server in getattr(self, "servers", []):  # none where the port is taken
            for listening in server.sockets:
                listening.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, int(STALLED_CLIENT_S * 1000))

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop."""
        return await super().on_tick(counter) or self._runtime.failure is not None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, end on the second."""
        if self.should_exit:
            logging.getLogger(__name__).warning("told to stop again: not waiting for anybody")
            logging.shutdown()
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Drain, then close all connections."""
        await self._runtime.drain()
        await super().shutdown(sockets)


if __name__ == "__main__":
    main()
