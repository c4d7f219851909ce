"""Ids: what streams, zones and keys may be called. They stand in addresses, topics and file names as they are."""

from typing import Annotated

from pydantic import StringConstraints

from service.store import ID_PATTERN

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
