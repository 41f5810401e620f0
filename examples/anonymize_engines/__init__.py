"""One anonymising function under three engines: Spark's ``mapInArrow``, Ray Data's ``map_batches``, Dask.

``python -m examples.anonymize_engines --engine dask`` (or ``ray``, ``spark``, with the engine installed, and Java for
Spark) makes a table of patients, writes it as Parquet, has the engine anonymise it in several processes by the plan in
``plan.toml``, and prints what somebody could still find, before and after.
"""
