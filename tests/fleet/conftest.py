"""A Ray of the tests' own, for what needs one in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Two CPUs of Ray in this process, for as long as one file's tests run."""
    from fleet.cluster import own_ray

    with own_ray():
        yield
