"""Errors of `engines`, one situation per leaf. Messages say what was expected, what came, and what to do.

EngineError
├── ModelFileError    the file is missing or is no model that the runtime can read
├── PlanError         a TensorRT plan cannot be built, or does not fit this machine
│   └── PlanTooSmallError   it would fit, but takes fewer images at a time than are wanted
├── SignatureError    the model does not keep the network contract, or two models do not belong together
└── DeviceError       the device that was asked for is not there, or refuses a call
    └── DeviceLostError   the device cannot be used by this process any more
"""

MAKE_PLAN = "python -m export.to_plan"
"""What a message tells its reader to run; nothing here runs it."""


class EngineError(Exception):
    """Any failure of this package."""


class ModelFileError(EngineError):
    """A model file that cannot be read."""


class PlanError(EngineError):
    """A plan that cannot be built, is damaged, or was built for another machine."""


class PlanTooSmallError(PlanError):
    """A plan for this machine, but for smaller batches."""


class SignatureError(EngineError, ValueError):
    """A model file that does not keep the contract, or two that do not belong together."""


class DeviceError(EngineError):
    """A device that is not there or cannot do what was asked."""

    def __init__(self, message: str, status: int = 0) -> None:
        """`status`: the driver's number, 0 where it was not the driver who refused."""
        super().__init__(message)
        self.status = status


class DeviceLostError(DeviceError):
    """A device that this process cannot use any more; every further call fails."""
