"""`python -m scheduler --scheduler step --epochs 100`: train a small classifier with one of torch's schedulers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from scheduler.training.options import parse

_PACKAGES = {"torch": "torch", "sklearn": "scikit-learn", "tqdm": "tqdm", "matplotlib": "matplotlib"}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0; 1 where `--compare` found a difference; 2 for bad input, after a line on stderr."""
    options = parse(sys.argv[1:] if words is None else words)
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        return _refuse(f"the training needs {', '.join(missing)}: pip install 'lrtables[demo]'")
    from scheduler.training.experiment import Experiment  # noqa: PLC0415  # it imports the extras asked for above

    try:
        return Experiment(options, say=print).run()
    except (ValueError, OSError) as error:
        return _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        return 130


def _refuse(message: str) -> int:
    print(f"python -m scheduler: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
