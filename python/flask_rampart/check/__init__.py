"""What is open in an app, before somebody else finds it: ``flask rampart check``.

:func:`run` starts the app as its first request would, looks at its settings, routes, source, files and packages, and
gives :class:`Finding` objects, each of a rule in ``catalogue``. It changes nothing, calls nobody, and runs no view.
What starting makes (the file of the records, the key of the audit log) is made here too.

What it does not do: send requests, look at the server in front, or prove that a guard is the right one. A rule that
needs to guess says so, and is a note or a warning.

An app's own rules are added by :func:`register`. Where each rule is, by the hundreds of its id: ``starting`` (and
``source``), ``keys``, ``way``, ``browsers``, ``routes``, ``stores``, ``remembered``, ``files``, ``installed``.
"""

from __future__ import annotations

from .catalogue import CATALOGUE as CATALOGUE
from .findings import Finding as Finding
from .findings import Place as Place
from .findings import Rule as Rule
from .findings import Severity as Severity
from .matrix import Row as Row
from .own import register as register
from .running import Report as Report
from .running import run as run
