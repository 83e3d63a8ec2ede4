"""The Python Array API standard's own suite, where a checkout of it is at hand.

    git clone --recurse-submodules https://github.com/data-apis/array-api-tests
    pip install -r array-api-tests/requirements.txt
    ARRAY_API_TESTS=array-api-tests pytest tests/array_api/test_conformance.py

``ARRAY_API_TESTS_EXAMPLES`` is how many examples it draws for each test (20).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = Path(__file__).parents[1] / "array_api_skips.txt"
SUITE = os.environ.get("ARRAY_API_TESTS", "")
EXPECTED = [line for line in SKIPS.read_text().splitlines() if line.startswith("array_api_tests/")]


@pytest.mark.skipif(not SUITE, reason="ARRAY_API_TESTS names no checkout of github.com/data-apis/array-api-tests")
def test_the_suite_of_the_standard(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "array_api_tests", "-q", "-n", "2", "--tb=short", "--disable-deadline",
        "-p", "no:cacheprovider", "-p", "no:warnings",
        "--max-examples", os.environ.get("ARRAY_API_TESTS_EXAMPLES", "20"),
    ]  # fmt: skip
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "ARRAY_API_TESTS_MODULE": "gradlib",
        "ARRAY_API_TESTS_VERSION": "2024.12",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path),
    }
    result = subprocess.run(command, cwd=SUITE, env=environment, capture_output=True, text=True)
    print(result.stdout[-20_000:], result.stderr[-2_000:])
    failed = re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", result.stdout, re.MULTILINE)
    assert re.search(r"\d{4} passed", result.stdout), "the suite did not run"
    assert sorted(failed) == sorted(EXPECTED)
