"""What this app is made of: which of the installed packages have known advisories, and a list of all of them.

:func:`audit` compares the installed packages with advisories in OSV's format, from files or from a service. It never
says that all is well without having seen that its source answers: whatever else happens is a :class:`SourceFailed`.

:func:`bill_of_materials` lists packages, what each depends on, and what is compiled into them, as CycloneDX 1.6.

Nothing here needs an app, and none of it is read or run by one: it is for the command line. Versions are compared by
``packaging``, which ``flask-rampart[check]`` brings.
"""

from __future__ import annotations

from .auditing import Affected as Affected
from .auditing import Outcome as Outcome
from .auditing import audit as audit
from .cache import Cache as Cache
from .errors import CannotCheck as CannotCheck
from .errors import SourceFailed as SourceFailed
from .files import advisories_in as advisories_in
from .index import Index as Index
from .packages import Package as Package
from .packages import installed as installed
from .sbom import bill_of_materials as bill_of_materials
from .service import Service as Service
