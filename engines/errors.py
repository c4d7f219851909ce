"""Errors of `engines`, one situation per leaf. Messages say what was expected, what came, and what to do.

EngineError
├── ModelFileError    the file is missing or is no model that the runtime can read
├── PlanError         a TensorRT plan cannot be built, or does not fit this machine
├── SignatureError    the model does not keep the network contract, or two models do not belong together
└── DeviceError       the device that was asked for is not there
"""


class EngineError(Exception):
    """Any failure of this package."""


class ModelFileError(EngineError):
    """A model file that cannot be read."""


class PlanError(EngineError):
    """A plan that cannot be built, is damaged, or was built for another machine."""


class SignatureError(EngineError, ValueError):
    """A model file that does not keep the contract, or two that do not belong together."""


class DeviceError(EngineError):
    """A device that is not there or cannot do what was asked."""
