"""serving: how the programs of a cluster listen and end."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from fastapi import FastAPI

from edge.pipeline.pipeline import PipelineError
from engines.errors import DeviceLostError, EngineError
from service.auth.exposure import ExposureError, check_tls
from service.backend import ServiceBackend
from service.configuration import BAD_SETTINGS, stop
from service.server import DrainingServer, ListenError, check_address, server_config
from service.settings import Settings

NOT_STARTED, BAD_MODELS, DEVICE_LOST = 1, 3, 5


def serve(app: FastAPI, settings: Settings, backend: ServiceBackend, hangs: Callable[[], bool] = lambda: False) -> None:
    """Serve until told to stop, at once when told twice.

    `hangs`: whether native code still runs at the end, which survives no orderly end of the interpreter.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))
    try:
        check_tls(settings)
        check_address(settings)
    except ExposureError as error:
        stop(BAD_SETTINGS, str(error))
    except ListenError as error:
        stop(NOT_STARTED, str(error))
    code = 0
    try:
        DrainingServer(server_config(app, settings), backend).run()
    except SystemExit as ended:
        code = NOT_STARTED if ended.code else 0
    if isinstance(backend.failure, DeviceLostError):
        stop(DEVICE_LOST, str(backend.failure))
    if isinstance(backend.failure, EngineError | PipelineError):
        stop(BAD_MODELS, str(backend.failure))
    if backend.failure is not None:
        raise backend.failure
    if hangs():
        logging.shutdown()
        os._exit(code)
    sys.exit(code)
