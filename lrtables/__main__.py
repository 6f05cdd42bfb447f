"""The command line, `lrtables`; `python -m lrtables` is the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lrtables.packages import ShadowedPackageError, check_packages


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 1, after a line on stderr, where our packages are hidden."""
    try:
        check_packages()
    except ShadowedPackageError as error:
        print(error, file=sys.stderr)
        return 1
    from client.commands import COMMANDS as CLIENT  # noqa: PLC0415  # only once they are known to be ours
    from service.__main__ import main as run  # noqa: PLC0415  # the same
    from service.commands import COMMANDS as SERVER  # noqa: PLC0415  # the same

    return run(arguments, (*SERVER, *CLIENT))


if __name__ == "__main__":
    sys.exit(main())
