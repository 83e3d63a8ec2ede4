"""Linear algebra, by family; `gl.linalg` hands it on."""

from ..diagonal import diagonal
from ..matmul import matmul
from ..shape import matrix_transpose
from . import cholesky as _cholesky
from . import det as _det
from . import eig as _eig
from . import eigh as _eigh
from . import expm as _expm
from . import lu as _lu
from . import norms as _norms
from . import pinv as _pinv
from . import powers as _powers
from . import products as _products
from . import qr as _qr
from . import solve as _solve
from . import svd as _svd
from .cholesky import *
from .det import *
from .eig import *
from .eigh import *
from .expm import *
from .lu import *
from .norms import *
from .pinv import *
from .powers import *
from .products import *
from .qr import *
from .solve import *
from .svd import *

__all__: list[str] = ["diagonal", "matmul", "matrix_transpose"]
__all__ += _cholesky.__all__
__all__ += _det.__all__
__all__ += _eig.__all__
__all__ += _eigh.__all__
__all__ += _expm.__all__
__all__ += _lu.__all__
__all__ += _norms.__all__
__all__ += _pinv.__all__
__all__ += _powers.__all__
__all__ += _products.__all__
__all__ += _qr.__all__
__all__ += _solve.__all__
__all__ += _svd.__all__
