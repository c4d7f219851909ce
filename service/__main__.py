"""Command line: `atttrack serve`, or `python -m service`."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from edge.pipeline.pipeline import PipelineError
from engines.errors import DeviceLostError, EngineError
from service.app import build_pipeline, create_app
from service.auth.exposure import ExposureError, check_exposure
from service.auth.keys import KeyRing
from service.auth.stored_keys import StoredKeys
from service.configuration import BAD_SETTINGS, read_settings, stop
from service.logs import configure_logs
from service.memory import share_arenas
from service.runtime import Runtime
from service.server import DrainingServer, ListenError, check_address, server_config
from service.settings import Settings
from service.store import StoreError

NOT_STARTED, BAD_MODELS, BAD_STATE, DEVICE_LOST = 1, 3, 4, 5

COMMANDS = {
    "config": "service.configuration",
    "keys": "service.auth.command",
    "doctor": "service.doctor.command",
    "node": "service.cluster.node_command",
    "gateway": "service.cluster.gateway_command",
    "box": "service.cluster.box",
    "cluster": "service.cluster.command",
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

    Exit codes: 0 stopped, 1 port taken or start failed (see the log), 2 bad settings, 3 bad models, 4 bad state folder,
    5 the GPU is lost and a new process may have it.
    """
    share_arenas()
    runtime = Runtime(settings, lambda progress: build_pipeline(settings, progress))
    try:
        runtime.open_store()
    except StoreError as error:
        stop(BAD_STATE, str(error))
    try:
        check_exposure(settings, KeyRing(StoredKeys(runtime.store), settings.bootstrap_key))
    except ExposureError as error:
        stop(BAD_SETTINGS, str(error))
    try:
        check_address(settings)
    except ListenError as error:
        stop(NOT_STARTED, str(error))
    code = 0
    try:
        DrainingServer(server_config(create_app(settings, runtime), settings), runtime).run()
    except SystemExit as ended:
        code = NOT_STARTED if ended.code else 0  # uvicorn's own number is the one of bad models here
    if runtime.worker.alive:  # native code that loads a network, or hangs, survives no orderly end of the interpreter
        logging.shutdown()
        os._exit(code)
    if isinstance(runtime.failure, DeviceLostError):
        stop(DEVICE_LOST, str(runtime.failure))
    if isinstance(runtime.failure, EngineError | PipelineError):
        stop(BAD_MODELS, str(runtime.failure))
    if runtime.failure is not None:
        raise runtime.failure
    sys.exit(code)


if __name__ == "__main__":
    main()
