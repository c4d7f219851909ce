"""Ending tasks, so that it is certain that they have ended."""

import asyncio
from typing import Any

AGAIN_S = 1.0
"""Time until a task that goes on is told again."""


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel these tasks, and return when all have ended, whatever they ended with.

    Once may not be enough: Python 3.11's `asyncio.wait_for` forgets a cancellation that comes in the same moment as
    what it waits for, and a task that works in a loop goes on.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
