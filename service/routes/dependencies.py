"""How routes reach the Runtime."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.registry import StreamRegistry
from service.runtime import Runtime


def _runtime(connection: HTTPConnection) -> Runtime:
    runtime: Runtime = connection.app.state.runtime
    return runtime


def _registry(connection: HTTPConnection) -> StreamRegistry:
    return _runtime(connection).registry


RuntimeDependency = Annotated[Runtime, Depends(_runtime)]
RegistryDependency = Annotated[StreamRegistry, Depends(_registry)]
