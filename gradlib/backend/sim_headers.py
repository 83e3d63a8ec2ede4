"""Headers that kernels of other projects include and that sim has no part of: named where the compiler got lost."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import KernelError

__all__ = ["missing"]

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
_HOST = "plain C++ without the host's standard library, which NVRTC does not find either"
_HOSTS_OWN = (
    "algorithm chrono deque fstream functional future iomanip iostream list map memory mutex ostream random regex set "
    "sstream string thread unordered_map unordered_set vector"
)
_THERE = {"cooperative_groups.h", "cooperative_groups/reduce.h"}
_LACKS = {
    "cooperative_groups": "<cooperative_groups.h> and <cooperative_groups/reduce.h>, whose basics are there",
    "cub": "no CUB: gradlib/reduce.cuh reduces rows; shuffles, votes and __reduce_*_sync are there",
    "thrust": "no Thrust: it calls kernels from the host",
    "cuda": "no libcu++: gradlib/ptx.cuh for mbarriers and asynchronous copies, atomicAdd and __threadfence",
    "nv": "no libcu++: gradlib/ptx.cuh for mbarriers and asynchronous copies, atomicAdd and __threadfence",
    "mma": "gradlib/ptx.cuh for mma.sync and ldmatrix",
    "curand": "gradlib/philox.cuh for counted random numbers, or numbers drawn before the launch",
    "curand_kernel": "gradlib/philox.cuh for counted random numbers, or numbers drawn before the launch",
    "cupy": "no headers of CuPy: a complex array can be passed to a float2* parameter",
    "cuComplex": "float2 and double2: a complex array can be passed to such a parameter",
    "texture_fetch_functions": "plain loads: sim has no textures",
    "complex": f"float2 and double2, {_HOST}",
    **dict.fromkeys(_HOSTS_OWN.split(), _HOST),
}  # fmt: skip


def missing(name: str, text: str, headers: Mapping[str, str], log: str) -> KernelError | None:
    """Return an error for the header that a failed build, whose log is given, shows to be lacking; None if it is none.

    It has the include's place, and says what there is instead.
    """
    for file, content in ((name, text), *headers.items()):
        for match in _INCLUDE.finditer(content):
            header, absent = match[2], f"{match[2]}: No such file" in log
            place = f"{file}:{content.count(chr(10), 0, match.start()) + 1}"
            instead = None if header in _THERE else _LACKS.get(re.split(r"[/.]", header)[0])
            if match[1] == '"' and absent:
                return KernelError(
                    f'{place}: "{header}" is not found\n  need it beside the .cu file, or its folder among includes='
                )
            if match[1] == "<" and instead is not None and (absent or f"/{header}:" in log):
                return KernelError(f"{place}: <{header}> is not there for sim\n  need {instead}")
    return None
