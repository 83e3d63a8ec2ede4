"""The README's table lists what is here, and counts PyTorch's right."""

from __future__ import annotations

import pytest

from . import readme_table


def test_the_table_is_there_as_it_would_be_made() -> None:
    text = readme_table.README.read_text()
    assert readme_table.START in text
    assert text == readme_table.written(), "run python -m tests.readme_table"


def test_every_name_is_in_one_row() -> None:
    names = [name for row in readme_table.rows().values() for name in row]
    assert len(names) == len(set(names))
    assert set(names) >= readme_table.OURS_ALONE
    assert not readme_table.NOT_HERE.keys() & set(names)


def test_pytorchs_are_counted_right() -> None:
    torch = pytest.importorskip("torch")
    if not torch.__version__.startswith(readme_table.VERSION):
        pytest.skip(f"the table counts PyTorch {readme_table.VERSION}'s, this is {torch.__version__}")
    listed = {name for row in readme_table.rows().values() for name in row} - readme_table.OURS_ALONE
    theirs = readme_table.here(torch.nn) - readme_table.NO_LAYERS
    theirs |= {n for n in readme_table.here(torch.optim) if n != "Optimizer"}
    theirs |= set(torch.optim.lr_scheduler.__all__) - {"LRScheduler"} | {"AveragedModel", "SWALR"}
    theirs |= {n for n in dir(torch.nn.init) if n.endswith("_") and not n.startswith("_")}
    assert listed | readme_table.NOT_HERE.keys() == theirs
