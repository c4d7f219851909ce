"""in_time: what may hang (a dead mount, a pipe) on a thread of its own, which is left behind where it does."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeVar

from service.errors import NotReady

Result = TypeVar("Result")

PATIENCE_S = 10.0
MOST_LEFT_BEHIND = 32
_LEFT = BoundedSemaphore(MOST_LEFT_BEHIND)


async def in_time(act: Callable[[], Result], name: str) -> Result:
    """Return what `act` returns. Raises what it raises, TimeoutError after `PATIENCE_S`, or NotReady.

    The thread is a daemon: neither other work nor the end of the service waits for it.
    """
    if not _LEFT.acquire(blocking=False):
        raise NotReady("not_ready", f"{MOST_LEFT_BEHIND} files are being opened and do not answer")
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)
        finally:
            _LEFT.release()

    Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wait_for(asyncio.wrap_future(done), PATIENCE_S)
