"""Time gradlib beside its peers: a front to `gradlib.bench`, for a checkout that is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gradlib.bench import main

if __name__ == "__main__":
    sys.exit(main())
