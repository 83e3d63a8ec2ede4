"""`gl.linalg`: the linear algebra of the Array API, and what people expect beside it.  Defined in `ops.linalg`."""

from ..ops.linalg import *
from ..ops.linalg import __all__ as __all__
