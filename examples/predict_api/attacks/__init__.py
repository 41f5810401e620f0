"""What the demo sends, good and hostile, and what must come back: the status and the problem code of each row."""

from __future__ import annotations

from examples.predict_api.attacks.apikeys import API_KEYS
from examples.predict_api.attacks.browsers import BROWSERS
from examples.predict_api.attacks.files import FILES
from examples.predict_api.attacks.issuers import ISSUERS
from examples.predict_api.attacks.limits import GUESSED, HOW_MUCH, HOW_OFTEN
from examples.predict_api.attacks.logins import LOGINS
from examples.predict_api.attacks.requests import WHAT_LEAVES, WITH_WHAT
from examples.predict_api.attacks.tokens import GOOD, WHO

SCRIPT = (GOOD, WHO, LOGINS, API_KEYS, ISSUERS, HOW_OFTEN, GUESSED, HOW_MUCH, WITH_WHAT, FILES, BROWSERS, WHAT_LEAVES)
