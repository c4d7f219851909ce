"""The service's memory, as far as glibc's allocator decides on it; other libraries are left alone.

A stream's pictures are allocated by threads of its own and freed by others. glibc gives each thread an arena, and an
arena shrinks at its end only: with streams that come and go each keeps the largest size that it ever had, and what was
allocated last pins it there.
"""

import asyncio
import ctypes
import gc

TIDY_S = 60.0
"""Time between two times that free pages go back."""
ARENAS = 2
"""For all threads: most allocations are made under the interpreter's lock anyway."""
_M_ARENA_MAX = -8  # malloc.h
_LIBRARY = ctypes.CDLL(None)


def share_arenas() -> None:
    """Let all threads to come share a few arenas."""
    if hasattr(_LIBRARY, "mallopt"):
        _LIBRARY.mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return free pages to the system; takes milliseconds, in which threads may have to wait for memory."""
    if hasattr(_LIBRARY, "malloc_trim"):
        _LIBRARY.malloc_trim(ctypes.c_size_t(0))


async def keep_tidy() -> None:
    """Until cancelled: what the start has made is never looked through for cycles again, so those of streams and
    subscribers are found soon; and free pages go back."""
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(TIDY_S)
        await asyncio.to_thread(give_back)
