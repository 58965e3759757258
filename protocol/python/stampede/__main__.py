"""python -m stampede COMMAND ...: the program itself, in this process's place."""

from __future__ import annotations

import os
import sys

from .errors import LaunchError
from .launch import find_program


def main() -> None:
    try:
        program = find_program()
        os.execv(program, [program, *sys.argv[1:]])
    except (LaunchError, OSError) as error:
        sys.exit(f"stampede: {error}")


if __name__ == "__main__":
    main()
