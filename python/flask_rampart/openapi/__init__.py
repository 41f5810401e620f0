"""OpenAPI: what an app declares, as a document (OpenAPI 3.1).

Routes say where (:mod:`.paths`), ``validate`` with what (:mod:`.parts`, :mod:`.schemas`), ``require`` who
(:mod:`.security`), ``limit`` how often (:mod:`.quotas`), all of them what they refuse with (:mod:`.answers`); what
none of them can know is said by ``describe`` (:mod:`.describing`).

It tells what a peer meets, and nothing that nobody meets: no secret, no function's name, no place on a disk; under
``RAMPART_DEFAULT = "deny"`` no route that refuses everybody; never the static files. The same app gives the same bytes.

It checks nothing: a document that says more than the guards would be a promise that nobody keeps, so it is read from
the guards alone.
"""

from __future__ import annotations

from .describing import describe as describe
from .document import Include as Include
from .document import Told as Told
from .serving import OpenApi as OpenApi
from .serving import Place as Place
from .serving import place_of as place_of
