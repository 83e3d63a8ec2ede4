from __future__ import annotations

from pathlib import Path

import pytest

from gradlib.errors import KernelError
from gradlib.kernel import folder, include_folder, kernel_files, load, variants
from gradlib.kernel.source import Source


def test_the_kernels_are_found() -> None:
    assert (include_folder() / "gradlib" / "core.cuh").is_file()
    assert "dense.cu" in {path.name for path in kernel_files()}
    assert load("dense.cu").text == (folder() / "dense.cu").read_text("utf-8")
    assert not (folder() / "__init__.py").exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "include" / "deep").mkdir(parents=True)
    (tmp_path / "a.cu").write_text('#include "near.cuh"\n  #  include "deep/far.cuh"\n#include <cuda_fp16.h>\n')
    (tmp_path / "near.cuh").write_text("#ifndef BM\n#define BM 8\n#endif\n")
    (tmp_path / "include" / "deep" / "far.cuh").write_text('#include "sibling.cuh"\n#include "absent.cuh"\n')
    (tmp_path / "include" / "deep" / "sibling.cuh").write_text('#include "far.cuh"  // in a circle\n')
    return tmp_path


def _source(tree: Path) -> Source:
    return Source("a.cu", (tree / "a.cu").read_text(), (tree, tree / "include"))


def test_quoted_includes_are_followed(tree: Path) -> None:
    names = {Path(path).name for path in _source(tree).headers}
    assert names == {"near.cuh", "far.cuh", "sibling.cuh", "absent.cuh"}
    assert _source(tree).options == {"BM": "8"}


@pytest.mark.parametrize("name", ["a.cu", "near.cuh", "include/deep/far.cuh", "include/deep/sibling.cuh"])
def test_the_digest_sees_every_file(tree: Path, name: str) -> None:
    before = _source(tree).digest
    assert _source(tree).digest == before
    (tree / name).write_text((tree / name).read_text() + "// changed\n")
    assert _source(tree).digest != before


def test_the_digest_does_not_see_where_files_are(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = _source(tree).digest
    moved = tmp_path_factory.mktemp("other") / "place"
    tree.rename(moved)
    assert _source(moved).digest == before


def test_a_default_that_text_and_header_dispute_is_never_left_out(tree: Path) -> None:
    source = _source(tree)
    assert source.canonical({"BM": 8}) == ()
    disputed = Source("a.cu", source.text + "#ifndef BM\n#define BM 16\n#endif\n", source.includes)
    assert disputed.canonical({"BM": 8}) == (("BM", "8"),)
    assert disputed.canonical({"BM": 16}) == (("BM", "16"),)


def test_load_errors(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"absent\.cu: no such kernel file\n  tried .*absent\.cu"):
        load(tmp_path / "absent.cu")
    (tmp_path / "bytes.cu").write_bytes(b"\xff\xfe")
    with pytest.raises(KernelError, match="cannot read the kernel file"):
        load(tmp_path / "bytes.cu")


OPTIONS = "".join(f"#ifndef {name}\n#define {name} {value}\n#endif\n" for name, value in (("T", "float"), ("OUT", "T")))


def test_variants_are_products_of_what_the_file_says() -> None:
    text = OPTIONS + "// variants: T=float,double OUT=int,long long\n//variants: T=float\n// variants: OUT=T T=__half\n"
    assert variants(Source("a.cu", text, ())) == [
        {"T": "float", "OUT": "int"}, {"T": "float", "OUT": "long long"}, {"T": "double", "OUT": "int"},
        {"T": "double", "OUT": "long long"}, {"T": "float"}, {"OUT": "T", "T": "__half"},
    ]  # fmt: skip


def test_equal_variants_count_once() -> None:
    text = OPTIONS + "// variants: T=float,double\n// variants: T=double OUT=T\n// variants:\n"
    assert variants(Source("a.cu", text, ())) == [{"T": "float"}, {"T": "double"}]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("// no such line", "no variants are declared"),
        ("// variants: T", "need NAME=value"),
        ("// variants: T=float T=double", "each name once"),
        ("// variants: BM=3", r"BM is no macro of it\n  need one of T, OUT"),
        ("// variants: T=float,", "an empty value"),
    ],
)
def test_variant_mistakes(line: str, said: str) -> None:
    with pytest.raises(KernelError, match=said):
        variants(Source("a.cu", OPTIONS + line + "\n", ()))
