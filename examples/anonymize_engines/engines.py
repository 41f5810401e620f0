"""The same plan under each engine: a file of Parquet in, the anonymised table and what is left to find out.

Each imports its engine when it is asked for. Nothing here but the engine's own calls differs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from flask_rampart.anonymize import Privacy
from flask_rampart.anonymize.arrow import FRAGMENT, ArrowPlan

WORKERS = 2


def dask(plan: ArrowPlan, source: Path) -> tuple[pa.Table, Privacy]:
    """Dask: frames of pandas, in processes of its own."""
    import dask
    import dask.dataframe as dd
    import pandas as pd

    # Types of Arrow: in frames of NumPy's types, lists and structs are objects, and integers with gaps are floats.
    frame = dd.read_parquet(source, dtype_backend="pyarrow", split_row_groups=True)
    with dask.config.set(scheduler="processes", num_workers=WORKERS):
        result = frame.map_partitions(plan, meta=plan.meta(frame), clear_divisions=True)
        fragments = result.map_partitions(plan.measure_batch, meta=_meta(FRAGMENT))
        made, measured = dask.compute(result, fragments)
    assert isinstance(made, pd.DataFrame)
    return pa.Table.from_pandas(made, preserve_index=False).replace_schema_metadata(None), plan.measured([measured])


def ray(plan: ArrowPlan, source: Path) -> tuple[pa.Table, Privacy]:
    """Ray Data: tables of Arrow."""
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    try:
        result = ray.data.read_parquet(str(source)).map_batches(plan, batch_format="pyarrow").materialize()
        fragments = result.map_batches(plan.measure_batch, batch_format="pyarrow", batch_size=None)
        made = pa.concat_tables(ray.get(result.to_arrow_refs()))
        return made.replace_schema_metadata(None), plan.measured(ray.get(fragments.to_arrow_refs()))
    finally:
        ray.shutdown()


def spark(plan: ArrowPlan, source: Path) -> tuple[pa.Table, Privacy]:
    """Spark: iterators of batches of Arrow."""
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    session = SparkSession.builder.master(f"local[{WORKERS}]").config("spark.ui.enabled", "false").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        frame = session.read.parquet(str(source)).repartition(2 * WORKERS)
        made = from_arrow_schema(plan.output_schema(to_arrow_schema(frame.schema)))
        result = frame.mapInArrow(plan.batches, made).persist()
        fragments = result.mapInArrow(plan.measure_batches, from_arrow_schema(FRAGMENT))
        return result.toArrow().replace_schema_metadata(None), plan.measured([fragments.toArrow()])
    finally:
        session.stop()


ENGINES: dict[str, Callable[[ArrowPlan, Path], tuple[pa.Table, Privacy]]] = {"dask": dask, "ray": ray, "spark": spark}


def _meta(schema: pa.Schema) -> Any:
    import pandas as pd

    return schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype)
