"""The infrastructure files say what the tools that read them expect."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

INFRA = Path(__file__).parent.parent / "infra"


@pytest.fixture(scope="module")
def ray_schema() -> dict[str, object]:
    """Ray's own schema of `ray up` files, as packaged with ray."""
    from importlib.resources import files

    schema: dict[str, object] = json.loads(files("ray.autoscaler").joinpath("ray-schema.json").read_text())
    return schema


def test_the_cluster_file_fits_rays_schema(ray_schema: dict[str, object]) -> None:
    cluster = yaml.safe_load((INFRA / "aws/cluster.yaml").read_text())
    jsonschema.validate(cluster, ray_schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]


def test_a_typo_in_the_cluster_file_is_caught(ray_schema: dict[str, object]) -> None:
    cluster = yaml.safe_load((INFRA / "aws/cluster.yaml").read_text())
    cluster["idle_timeout_minuts"] = cluster.pop("idle_timeout_minutes")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster, ray_schema)


def test_the_policy_allows_what_the_store_does_and_no_more() -> None:
    policy = json.loads((INFRA / "aws/bucket-policy.json").read_text())
    actions = {action for statement in policy["Statement"] for action in _list(statement["Action"])}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
    assert all("*" not in _list(statement["Resource"]) for statement in policy["Statement"])


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
