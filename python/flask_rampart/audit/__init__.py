"""The audit log: what was decided and done, in records that nobody changes, drops or adds unseen.

The chain, the checkpoints and their verification are in Rust (``src/audit``). Here:

- ``log``: one writer for each process, and what becomes of what cannot be written;
- ``decorator``: ``@audit`` above a view; ``decisions``: what Rampart itself refuses and does;
- ``events``: the names of records, in OWASP's words, and their classes in OCSF; ``facts``: what a record says;
- ``keyfile``: the file of the key;
- ``reading``, ``verifying``, ``ocsf``: records in the order of time, faults in words, and the export.

See ``docs/audit.md``.
"""

from __future__ import annotations

from .decisions import Decisions as Decisions
from .decorator import audit as audit
from .events import OWASP as OWASP
from .events import REFUSALS as REFUSALS
from .log import Audit as Audit
from .log import AuditUnavailable as AuditUnavailable
