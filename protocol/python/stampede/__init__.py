"""Stampede: rollouts for a PyTorch trainer. README.md beside this package says what is where.

    with stampede.Trainer("tcp://127.0.0.1:5555") as trainer:
        for group in trainer.generate(prompts, n=8, sampling=stampede.Sampling()):
            ...
        trainer.push_weights(model.state_dict(), version=1)
"""

from . import logs  # noqa: F401
from .errors import (AddressError, ArgumentError, ArgumentTypeError, ClosedError, ForkedError,
                     KeyFileError, LaunchError, StampedeError, WeightUpdateError, WireError)
from .generation import AsyncGeneration, Generation
from .groups import Group
from .keys import Keys
from .launch import Worker, launch
from .library import LibraryError
from .push import PushHandle, PushReport
from .rewards import (choice, exact, ifeval, language, length, math, regex_format, repetition,
                      tags, term)
from .scoring import equal, extract, score
from .tensors import to_tensors
from .trainer import Trainer
from .types import Prompt, Sampling
from .version import version as _version

__version__ = _version()
__all__ = [
    "AddressError", "ArgumentError", "ArgumentTypeError", "AsyncGeneration", "ClosedError",
    "ForkedError", "Generation", "Group", "KeyFileError", "Keys", "LaunchError", "LibraryError",
    "Prompt", "PushHandle", "PushReport", "Sampling", "StampedeError", "Trainer",
    "WeightUpdateError", "WireError", "Worker", "choice", "equal", "exact", "extract", "ifeval",
    "language", "launch", "length", "math", "regex_format", "repetition", "score", "tags", "term",
    "to_tensors",
]
