"""Every error of the package; each message is a sentence."""

from __future__ import annotations

from typing import Optional


class StampedeError(Exception):
    """The base of every error that this package raises for reasons of its own."""


class ArgumentError(StampedeError, ValueError):
    """An argument that cannot be taken: its name, its value, and what was expected."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a kind that cannot be taken at all, such as 2.5 where a number of samples
    belongs. It is a ValueError too, as every refused argument is."""


class AddressError(ArgumentError):
    """A URL that may not be used."""


class KeyFileError(StampedeError):
    """A file or folder of keys that cannot be used."""


class WireError(StampedeError):
    """A frame that is no message of this protocol; `reason` names the counter."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class WeightUpdateError(StampedeError):
    """A weight update that no worker, or not every worker, serves.

    `tensor` is the hub name of the tensor at fault and `worker` the uid of the worker, where known.
    """

    def __init__(self, text: str, tensor: Optional[str] = None,
                 worker: Optional[str] = None) -> None:
        super().__init__(text)
        self.tensor = tensor
        self.worker = worker


class LaunchError(StampedeError):
    """A local worker could not be started."""


class ClosedError(StampedeError):
    """The Trainer is closed, or its I/O thread has ended."""


class ForkedError(StampedeError):
    """A Trainer was used in a process that was forked from the one that it belongs to."""
