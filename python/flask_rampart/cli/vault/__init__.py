"""``flask rampart vault``: keysets are made, rotated and destroyed; files are sealed, opened and sealed anew.

- ``keysets.py``: ``keygen``, ``keys``, ``templates``, ``rotate``, ``promote``, ``enable``, ``disable``, ``destroy``,
  ``passphrase``, ``kms``;
- ``files.py``: ``encrypt``, ``decrypt``, ``reencrypt``;
- ``choosing.py``: which keyset a command is about, and what opens it.

Exit codes: 0 for all is done; 1 for what could not be done; 2 for words that are no command; 3 for an integrity
failure: something was changed, or is of another key, passphrase or place.

No passphrase and no key is an argument, in the environment, printed or logged.
"""

from __future__ import annotations

import click

from .files import decrypt, encrypt, reencrypt
from .keysets import destroy, disable, enable, keygen, keys, kms, passphrase, promote, rotate, templates


@click.group(
    "vault",
    help="Encryption at rest: keys, and files sealed by them, as Google's Tink reads them.",
    short_help="Encryption at rest: keys, and files sealed by them.",
)
def vault() -> None:
    pass


for _command in (
    decrypt,
    destroy,
    disable,
    enable,
    encrypt,
    keygen,
    keys,
    kms,
    passphrase,
    promote,
    reencrypt,
    rotate,
    templates,
):
    vault.add_command(_command)
