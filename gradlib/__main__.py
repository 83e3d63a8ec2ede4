"""``python -m gradlib`` is the command ``gradlib``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
