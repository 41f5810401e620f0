"""Contract: an app and its OpenAPI document agree, and requests are judged by the document.

1. The document is read within bounds, and nothing beyond its folder (:mod:`.loading`, :mod:`.document`).
2. Each operation is matched to a view; what has no counterpart stops the start-up (:mod:`.operations`,
   :mod:`.matching`, :mod:`.report`).
3. Schemas of OpenAPI 3.0 and 3.1 become JSON Schema 2020-12 (:mod:`.dialect`), parameters and bodies the parts that
   ``validate`` takes (:mod:`.parts`), and each matched view gets a guard (:mod:`.guarding`).
4. ``security`` is compared with what the views require. It guards nothing: ``require`` does.

It stands above the rooms, and uses ``validate`` and ``require`` as an app does. What it does not read is in
``operations`` and ``dialect``. Source: OpenAPI 3.0.3 and 3.1.0.
"""

from .binding import Contract as Contract
from .binding import Contracts as Contracts
from .matching import Mismatch as Mismatch
from .report import Report as Report
