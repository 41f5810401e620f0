"""The command line: ``flask rampart ...``, the commands of one topic in each file."""

from __future__ import annotations

import click

from .anonymize import anonymize
from .audit import audit
from .bans import ban, unban
from .check import check, dependencies
from .contract import contract
from .csp import csp_hash_command
from .keys import keys
from .limits import limits, reset
from .logins import jwks, logins
from .migrate import migrate
from .monitor import monitor
from .openapi import openapi
from .reports import csp_report
from .routes import routes
from .sbom import sbom
from .top import top
from .vault import vault


@click.group("rampart", help="What Flask-Rampart makes of this app.")
def commands() -> None:
    pass


commands.add_command(anonymize)
commands.add_command(audit)
commands.add_command(check)
commands.add_command(contract)
commands.add_command(csp_hash_command)
commands.add_command(csp_report)
commands.add_command(dependencies)
commands.add_command(jwks)
commands.add_command(keys)
commands.add_command(logins)
commands.add_command(migrate)
commands.add_command(monitor)
commands.add_command(openapi)
commands.add_command(routes)
commands.add_command(sbom)
commands.add_command(top)
commands.add_command(ban)
commands.add_command(limits)
commands.add_command(reset)
commands.add_command(unban)
commands.add_command(vault)
