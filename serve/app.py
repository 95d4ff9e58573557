"""`serve.app:build`: the Serve application, for `fleet serve`, for a Serve YAML's `import_path`, and for tests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray.serve import Application

__all__ = ["ServeArgs", "build"]


class ServeArgs(BaseModel):
    """Arguments of the application, in a Serve YAML under `args`."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(title="Store", description="A folder, or s3://bucket/prefix.")
    scorer_replicas: int = Field(
        1, ge=1, le=1000, title="Scorer replicas", description="Processes that score; each holds its own models."
    )
    cached_models: int = Field(
        1000, ge=1, title="Cached models", description="Models a replica keeps in memory, about 1 MB each."
    )


def build(args: dict[str, Any]) -> Application:
    """The application: a gateway in front of shared Scorer replicas."""
    from serve.gateway import Gateway
    from serve.scorer import Scorer

    settings = ServeArgs(**args)
    scorer = Scorer.options(num_replicas=settings.scorer_replicas).bind(settings.store, settings.cached_models)  # type: ignore[attr-defined]
    application: Application = Gateway.bind(scorer, settings.store)  # type: ignore[attr-defined]
    return application
