"""Ending tasks: also those that forget that they were told."""

import asyncio

from service.ending import end


async def stubborn(times: int) -> None:
    """Goes on as often as this, as whatever loops over `wait_for` may."""
    for _ in range(times):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(3600)


async def failing() -> None:
    raise OSError("as a connection that is lost")


def test_there_may_be_none() -> None:
    asyncio.run(end())


def test_task_that_forgets_it_was_cancelled_is_told_again() -> None:
    async def try_it() -> None:
        tasks = [asyncio.create_task(one) for one in (stubborn(0), stubborn(2), failing())]
        await asyncio.sleep(0)
        await end(*tasks)
        assert all(task.done() for task in tasks)

    asyncio.run(try_it())
