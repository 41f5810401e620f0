"""Plans over Arrow: one function for Spark's ``mapInArrow``, Ray Data's ``map_batches`` and Dask's ``map_partitions``.

- :class:`ArrowPlan`: a plan that travels to workers without its key, and treats batches, tables and frames.
- :class:`Treatment`: the same for one process that has a :class:`Plan` already.
- :data:`FRAGMENT`: the schema of what workers measure, to be put together by :meth:`ArrowPlan.measured`.

It needs ``pyarrow``: ``pip install 'flask-rampart[anonymize]'``.
"""

from __future__ import annotations

from ...errors import ConfigError

try:
    import pyarrow as pyarrow
except ImportError:
    pyarrow = None

if pyarrow is None:
    raise ConfigError("plans over Arrow need pyarrow: pip install 'flask-rampart[anonymize]'")

from .counting import Count as Count
from .engines import ArrowPlan as ArrowPlan
from .measuring import FRAGMENT as FRAGMENT
from .treatment import Treatment as Treatment
