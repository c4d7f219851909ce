"""A server of decoders on a machine where starting a process fails now and then, at one of three moments."""

import errno
import os
import random
import sys

from edge.sources.decoder import server

chance = random.Random(7)  # noqa: S311
fork, pidfd_open = os.fork, os.pidfd_open


def failing_fork() -> int:
    if chance.random() < 0.3:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if chance.random() < 0.1:
        raise MemoryError
    return fork()


def failing_pidfd(pid: int) -> int:
    if chance.random() < 0.3:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return pidfd_open(pid)


if __name__ == "__main__":
    os.fork, os.pidfd_open = failing_fork, failing_pidfd
    sys.argv = [sys.argv[0], sys.argv[-1]]
    server.main()
