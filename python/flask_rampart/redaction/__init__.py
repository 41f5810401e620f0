"""Redaction: what leaves, and what is remembered, without what must not.

One redactor (``src/redaction``, linear in its input) finds secrets and personal data by shape and by name; what becomes
of them is said by operators. It stands at these outlets:

1. ``access_log``: one JSON line for each request;
2. ``logs``: the app's own logging, structlog, tracebacks and events of error trackers;
3. ``answers``: what views answer, where ``@redact(...)`` says so;
4. :class:`Redactor`: wherever the app calls it.

A secret that has neither shape nor name is not found: do not log it.
"""

from __future__ import annotations

from .access_log import AccessLog as AccessLog
from .answers import redact as redact
from .configured import redactor_of as redactor_of
from .events import EventStream as EventStream
from .logs import RedactingFormatter as RedactingFormatter
from .logs import rampart_redact as rampart_redact
from .logs import redact_event as redact_event
from .logs import redact_excepthook as redact_excepthook
from .logs import redact_logging as redact_logging
from .logs import redact_value as redact_value
from .logs import structlog_processor as structlog_processor
from .operators import Custom as Custom
from .operators import Encrypt as Encrypt
from .operators import Hash as Hash
from .operators import Keep as Keep
from .operators import Mask as Mask
from .operators import Operator as Operator
from .operators import Pseudonymize as Pseudonymize
from .operators import Redact as Redact
from .operators import Replace as Replace
from .redactor import Finding as Finding
from .redactor import Redacted as Redacted
from .redactor import Redactor as Redactor
from .streams import RedactingStream as RedactingStream
