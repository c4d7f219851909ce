"""What is said of networks that cannot be adopted."""

from engines.errors import EngineError


class AdoptError(EngineError, ValueError):
    """A network that cannot be adopted: what was expected, what came, what to do."""


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    return (str(error).strip() or "no reason given").splitlines()[0]
