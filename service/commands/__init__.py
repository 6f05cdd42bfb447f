"""The commands of `lrtables`. Each is a module with a function `add_parser`."""

from scheduler.commands import compare, show
from service.commands import data, db, doctor, serve, token

COMMANDS = (serve, show, compare, token, data, db, doctor)
