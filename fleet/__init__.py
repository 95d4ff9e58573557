"""The orchestrator: a registry of cameras, a detector for each, searches on Ray, and their results in a store."""

__version__ = "0.1.0"
