"""Anonymisation: what stands in the place of a value, and who can still be told apart.

- :class:`Plan`: which rule each column of a table has, from TOML or a dict; applied to records and columns.
- :class:`Pseudonymizer`: the same value, the same pseudonym, under a key and a scope.
- :class:`Tokenizer`, :class:`FF1`: what whoever has the key can turn back.
- :func:`coarse_date`, :func:`age_band`, :func:`coarse_number`, :func:`coarse_postcode`, :func:`network`,
  :func:`coarse_place`: values that more people share.
- :class:`Measure`, :func:`measure`: k-anonymity, l-diversity, t-closeness.

None of it needs Flask or an app. What it does not protect from is in ``docs/anonymize.md``: a pseudonym is personal
data still.
"""

from __future__ import annotations

from .._native import AnonymizeRefused as AnonymizeRefused
from .._native import collision_chance as collision_chance
from .coarse import age_band as age_band
from .coarse import coarse_date as coarse_date
from .coarse import coarse_number as coarse_number
from .coarse import coarse_place as coarse_place
from .coarse import coarse_postcode as coarse_postcode
from .coarse import network as network
from .keyed import FF1 as FF1
from .keyed import Pseudonymizer as Pseudonymizer
from .keyed import Tokenizer as Tokenizer
from .measuring import Diversity as Diversity
from .measuring import Measure as Measure
from .measuring import Privacy as Privacy
from .measuring import measure as measure
from .plan import Met as Met
from .plan import Plan as Plan
