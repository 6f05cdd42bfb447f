"""`lrtables import`: a spec from a file that a training already has, or runs from a bundle."""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from client.commands.bundle import import_bundle
from client.commands.options import UsageError, reporting
from client.commands.printing import say
from scheduler import Table
from scheduler.commands.numbers import step_count, steps_option
from scheduler.commands.typed import MAX_STEPS
from scheduler.importing.files import Imported, import_file
from scheduler.importing.options import Options, check_used
from scheduler.importing.proof import prove
from scheduler.views.summary import length_in_words

if TYPE_CHECKING:
    from client.commands.options import Subparsers

_IMPORT = """
Make a spec of what a training already has: the JSON of Trainer's arguments (args.to_json_string()), a DeepSpeed
configuration, YAML of either or of LightningCLI, or a checkpoint with a torch scheduler's state (.pt, .ckpt). What the
file is, its content says. The spec is printed as JSON, and compared with the original, made with the same parameters
and stepped, where the original's package is installed. What a file cannot say, such as the function of a CyclicLR, is
named as not proven.

A bundle of 'lrtables export' is put into this machine's cache instead, every table verified by its digest. The folder
is LRTABLES_CACHE, else the user's cache folder.

examples:
  lrtables import training_args.json --examples 50000 -o spec.json
  lrtables import ds_config.json --steps 10000
  lrtables import last.ckpt --steps 90
  lrtables import runs.zip
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser(
        "import",
        help="make a spec of a trainer's file, or put a bundle into this machine's cache",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what to import")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the spec to this file, too")
    parser.add_argument("--steps", metavar="N", help="length (default: what the file says)")
    parser.add_argument("--lr", type=float, metavar="RATE", help="the optimizer's rate, where the file leaves it open")
    parser.add_argument("--examples", type=int, metavar="N", help="training examples, where arguments count epochs")
    parser.add_argument("--processes", type=int, metavar="N", default=1, help="processes that share them (default: 1)")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="class of a saved scheduler")
    parser.add_argument("--state", metavar="PLACE", help="which of several saved schedulers")
    parser.add_argument(
        "--axis", choices=("step", "epoch"), help="what a saved scheduler counts, where it is left open"
    )
    parser.add_argument(
        "--warmup-steps", type=steps_option, metavar="N", help='steps of warmup, where DeepSpeed\'s are "auto"'
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="another folder for a bundle")
    parser.set_defaults(run=reporting(_import, parser.prog))


def _import(parsed: argparse.Namespace) -> int:
    if _is_bundle(parsed.file):
        check_used(_options(parsed), "a bundle")
        return import_bundle(parsed.file, parsed.cache)
    if parsed.cache is not None:
        raise UsageError(f"--cache is for a bundle, and {parsed.file} is none")
    found = import_file(parsed.file, _options(parsed))
    if found.spec.total_steps > MAX_STEPS:
        raise UsageError(
            f"--steps must be given, at most {MAX_STEPS:,}: the file says {found.spec.total_steps:,} ({found.why})"
        )
    _show(found, as_json=parsed.json)
    if parsed.output is not None:
        parsed.output.write_text(f"{found.spec.canonical()}\n", encoding="utf-8")
    return 0


def _options(parsed: argparse.Namespace) -> Options:
    steps = None if parsed.steps is None else step_count(parsed.steps)
    return Options(
        total_steps=steps,
        learning_rate=parsed.lr,
        dataset_length=parsed.examples,
        world_size=parsed.processes,
        class_name=parsed.class_name,
        state=parsed.state,
        axis=parsed.axis,
        warmup_steps=parsed.warmup_steps,
    )


def _is_bundle(path: Path) -> bool:
    if path.suffix == ".zip" or not zipfile.is_zipfile(path):
        return path.suffix == ".zip"
    with zipfile.ZipFile(path) as archive:
        return not any(name.endswith("/data.pkl") for name in archive.namelist())  # torch's zip files have that


def _show(found: Imported, *, as_json: bool) -> None:
    proof, digest = prove(found.spec.schedules, found.spec.total_steps), Table.compute(found.spec).digest
    length = f"{length_in_words(found.spec)} ({found.why})"
    if as_json:
        described = {"spec": json.loads(found.spec.canonical()), "digest": digest, "source": found.source}
        more = {"length": length, "position": found.position, "proof": proof, "notes": [*found.notes]}
        say(json.dumps(described | more, indent=2))
        return
    position = [] if found.position is None else [f"position {found.position:,}"]
    for line in (found.spec.canonical(), f"digest {digest}", length, found.source, *position, proof, *found.notes):
        say(line)
