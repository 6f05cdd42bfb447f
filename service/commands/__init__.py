"""The commands of `lrtables`, each a module with `add_parser`."""

from service.commands import compare, data, db, doctor, serve, show, token

COMMANDS = (serve, show, compare, token, data, db, doctor)
