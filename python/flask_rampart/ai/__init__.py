"""AI endpoints: what goes to a model, and what comes back.

``@ai.guard(model=, input=[…], output=[…])`` stands above a view that asks a model:

1. who may ask for which model (:mod:`.models`); what is no body of the API's shape is refused (:mod:`.shapes`);
2. steps treat the prompt before the view sees it: what is hidden is removed, personal data becomes placeholders, and
   what is too long, of a role, part or tool that is not taken, is refused (:mod:`.texts`, :mod:`.caps`);
3. tokens or money are reserved before, and settled after (:mod:`.budgets`);
4. steps treat the answer on its way out, whole or streamed (:mod:`.treating`, :mod:`.streaming`, :mod:`.leaving`);
5. each call is told by the signal ``ai.called``, without content (:mod:`.calls`).

No step tells instructions from data in a text: nothing can, by patterns (``docs/owasp-llm.md``). What limits the
damage is what a model can do: which tools, which links, whose data, how much.
"""

from __future__ import annotations

from .._native import estimate_tokens as estimate_tokens
from .._native import new_canary as new_canary
from ..signals import ai_called as called
from .budgets import budget as budget
from .budgets import price as price
from .calls import Call as Call
from .calls import call as call
from .calls import prompt as prompt
from .caps import Passage as Passage
from .caps import check as check
from .caps import max_chars as max_chars
from .caps import max_messages as max_messages
from .caps import max_tokens as max_tokens
from .caps import parts as parts
from .caps import roles as roles
from .caps import schema as schema
from .caps import tools as tools
from .guarding import guard as guard
from .leaving import stream as stream
from .models import model as model
from .models import models as models
from .shapes import Paths as Paths
from .steps import Step as Step
from .texts import clean as clean
from .texts import leak as leak
from .texts import links as links
from .texts import pii as pii
from .texts import redact as redact
from .texts import restore as restore

__all__ = [
    "Call",
    "Passage",
    "Paths",
    "Step",
    "budget",
    "call",
    "called",
    "check",
    "clean",
    "estimate_tokens",
    "guard",
    "leak",
    "links",
    "max_chars",
    "max_messages",
    "max_tokens",
    "model",
    "models",
    "new_canary",
    "parts",
    "pii",
    "price",
    "prompt",
    "redact",
    "restore",
    "roles",
    "schema",
    "stream",
    "tools",
]
