"""Whether a process that wrote its number down is still the one that has it."""

from __future__ import annotations

__all__ = ["is_alive"]


def is_alive(pid: int, started_at: float) -> bool:
    """Whether the process of this number that began at this time (`psutil.Process.create_time`) lives.

    Numbers are used again, so the time has to agree; a dead process that its parent has not yet asked for is dead.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_at) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
