"""Tables to and from bytes: Parquet, compressed, never pickled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from fleet.errors import StoreError

__all__ = ["table_from_bytes", "table_to_bytes"]


def table_to_bytes(rows: Sequence[dict[str, Any]], schema: Any = None) -> bytes:
    """Rows -> the bytes of one Parquet file. Give a schema where rows may be none or a column all null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), out, compression="zstd")
    return out.getvalue()


def table_from_bytes(data: bytes, key: str) -> Any:
    """The bytes of a Parquet file -> a pyarrow Table.

    Raises:
        StoreError: they are not; `key` says where they came from.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError):
        raise StoreError(f"{key} is no Parquet file ({len(data)} bytes)", "delete it, or write it again") from None
