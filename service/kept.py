"""kept: what a route answers is in the store before it answers, or the answer says that it is not."""

import asyncio
import logging
from concurrent.futures import Future
from typing import TypeVar

from service.errors import NotReady
from service.logs import fields
from service.store import StoreError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

LONGEST_S = 15.0
"""For one change: whoever holds the file's lock, those who wait before us, and a slow disk."""


async def kept(change: Future[Result]) -> Result:
    """Wait for a change without holding up anybody else. Raises NotReady where it is not kept."""
    try:
        return await asyncio.wait_for(asyncio.wrap_future(change), LONGEST_S)
    except StoreError as error:
        log.error("%s", error, extra=fields("store_failed"))
    except TimeoutError:
        log.error("the disk did not take a change within %g s", LONGEST_S, extra=fields("store_failed"))
        if not change.cancelled():  # it is being committed
            detail = "the disk does not answer; whether the change is kept shows when the service starts again"
            raise NotReady("store_failed", detail) from None
    raise NotReady("store_failed", "the change cannot be kept, so it was not made; see the service's log")
