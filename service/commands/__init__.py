"""The commands of `lrtables`, each a module with `add_parser`."""

from scheduler.commands import compare, show
from service.commands import data, db, doctor, serve, token

COMMANDS = (serve, show, compare, token, data, db, doctor)
