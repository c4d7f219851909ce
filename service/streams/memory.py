"""What a removed stream had in memory goes back to the system, rather than into the holes of the allocator."""

import ctypes

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other libraries have none, and other habits


def give_back() -> None:
    """Return free pages to the system; takes milliseconds, in which threads may have to wait for memory.

    A stream's pictures are allocated by threads of its own, each in one of glibc's arenas, and freed by others. Arenas
    shrink at their end only, so without this the service keeps the largest size that each of them ever had.
    """
    if _TRIM is not None:
        _TRIM(ctypes.c_size_t(0))
