"""Settings of the thread that launchers look at besides their arguments: a part of the key of every plan."""

from __future__ import annotations

import threading

__all__ = ["settings"]


class _Settings(threading.local):
    matmul_precision = "highest"  # see ops/precision.py


settings = _Settings()
