"""Command line: python -m service."""

import argparse
import logging
import os
import signal
import sys
from importlib import import_module
from socket import socket
from types import FrameType
from typing import NoReturn

import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from edge.pipeline import PipelineError
from engines.errors import EngineError
from service.app import build_pipeline, create_app
from service.logs import configure_logs
from service.runtime import Runtime
from service.settings import Settings
from service.store import StoreError

PROGRAM = "python -m service"
EXAMPLES = f"""\
examples:
  {PROGRAM} --demo                        a drawn scene as camera; then open http://127.0.0.1:8000
  {PROGRAM} --cameras rtsp://192.168.1.20/live
  {PROGRAM} --media-dir ~/clips           then: curl -d '{{"url": "walk.mp4"}}' -H 'Content-Type: application/json' \\
                                                localhost:8000/streams
  ATTTRACK_PORT=9000 ATTTRACK_K=4 {PROGRAM}

Every setting can be given as a flag or as the environment variable ATTTRACK_<NAME>; the flag wins.
"""
BAD_SETTINGS, BAD_MODELS, BAD_STATE = 2, 3, 4

COMMANDS = {
    "config": "service.config_command",
    "doctor": "service.doctor",
}
"""First word of the command line -> module with `main(arguments) -> exit code`. Without one the service starts."""


def main() -> None:
    """Run the command that the first word names, or the service."""
    command, *arguments = sys.argv[1:] or ["serve"]
    if command in COMMANDS:
        sys.exit(import_module(COMMANDS[command]).main(arguments))
    settings = read_settings(arguments if command == "serve" else sys.argv[1:])
    configure_logs(settings.log_level, settings.log_format)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))  # before uvicorn takes over, and again when it is done
    serve(settings)


def serve(settings: Settings) -> None:
    """Run the service until it is told to stop, at once when told twice.

    Exit codes: 0 stopped, 1 port taken, 2 bad settings, 3 bad models, 4 state folder not usable.
    """
    runtime = Runtime(settings, lambda progress: build_pipeline(settings, progress))
    try:
        runtime.open_store()
    except StoreError as error:
        _exit(BAD_STATE, str(error))
    config = uvicorn.Config(
        create_app(settings, runtime),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.log_level == "debug",
        ws_per_message_deflate=False,  # costs more time than loopback or a local network saves
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s) + 5,
    )
    code = 0
    try:
        DrainingServer(config, runtime).run()
    except SystemExit as ended:
        code = int(ended.code or 0)
    if runtime.worker.building:  # native code that loads a network survives no orderly end of the interpreter
        logging.shutdown()
        os._exit(code)
    if isinstance(runtime.failure, EngineError | PipelineError):
        _exit(BAD_MODELS, str(runtime.failure))
    if runtime.failure is not None:
        raise runtime.failure
    sys.exit(code)


class DrainingServer(uvicorn.Server):
    """Ends when the runtime cannot start; lets it say goodbye to its subscribers (1001) before uvicorn cuts them off
    (1012)."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

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


def read_settings(arguments: list[str]) -> Settings:
    """Settings from flags and environment; exits with one line per mistake."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Track people in live video; web page at /, HTTP interface at /docs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    try:
        flags: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
            Settings, root_parser=parser, cli_kebab_case=True, cli_implicit_flags=True, cli_hide_none_type=True
        )
        return CliApp.run(Settings, cli_args=arguments, cli_settings_source=flags)
    except ValidationError as error:
        _exit(BAD_SETTINGS, "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    except SettingsError as error:
        _exit(BAD_SETTINGS, str(error))


def _exit(code: int, message: str) -> NoReturn:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
