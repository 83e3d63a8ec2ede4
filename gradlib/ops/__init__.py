"""The operations on arrays, by family.  Importing them fills core's operator table."""

from . import along as _along
from . import arithmetic as _arithmetic
from . import at as _at
from . import (
    attention,  # users reach it as nn.functional
    attention_launch,  # attaches its kernels
    conv_transpose,  # users reach it as nn.functional
    embedding,  # users reach it as nn.functional
    fft,  # a namespace of its own, handed on by `gl.fft`
    group_norm,  # users reach it as nn.functional
    index_launch,  # attaches the kernels of the index ops
    layer_norm,  # users reach it as nn.functional
    linalg,  # a namespace of its own, handed on by `gl.linalg`
    recurrent,  # the layers' own
    recurrent_launch,  # attaches its kernels
    reduce_launch,  # attaches the kernels of the reductions
    update,  # these register their ops, which belong to the optimizers
    update_adam,
    update_adaptive,
    update_factored,
    update_other,
)
from . import bits as _bits
from . import comparisons as _comparisons
from . import complex_parts as _complex_parts
from . import conv as _conv
from . import conv_norm as _conv_norm
from . import create as _create
from . import cross_entropy as _cross_entropy
from . import cumulative as _cumulative
from . import dense as _dense
from . import dense_residual as _dense_residual
from . import diagonal as _diagonal
from . import dropout as _dropout
from . import dtypes as _dtypes
from . import einsum as _einsum
from . import floats as _floats
from . import functions as _functions
from . import grouped as _grouped
from . import index as _index
from . import inspection as _inspection
from . import join as _join
from . import matmul as _matmul
from . import nonlinear as _nonlinear
from . import norm as _norm
from . import norm_fold as _norm_fold
from . import order as _order
from . import piecewise as _piecewise
from . import pool as _pool
from . import random as _random
from . import reduce as _reduce
from . import scaled as _scaled
from . import search as _search
from . import sets as _sets
from . import shape as _shape
from . import softmax as _softmax
from .along import *
from .arithmetic import *
from .at import *
from .bits import *
from .comparisons import *
from .complex_parts import *
from .conv import *
from .conv_norm import *
from .create import *
from .cross_entropy import *
from .cumulative import *
from .dense import *
from .dense_residual import *
from .diagonal import *
from .dropout import *
from .dtypes import *
from .einsum import *
from .elementwise import cast, copy
from .floats import *
from .functions import *
from .grouped import *
from .index import *
from .inspection import *
from .join import *
from .linalg.products import tensordot, vecdot
from .matmul import *
from .nonlinear import *
from .norm import *
from .norm_fold import *
from .order import *
from .piecewise import *
from .pool import *
from .precision import get_matmul_precision, matmul_precision, set_matmul_precision
from .random import *
from .reduce import *
from .scaled import *
from .search import *
from .sets import *
from .shape import *
from .softmax import *

__all__: list[str] = [
    "cast",
    "copy",
    "get_matmul_precision",
    "matmul_precision",
    "set_matmul_precision",
    "tensordot",
    "vecdot",
]
__all__ += _along.__all__
__all__ += _arithmetic.__all__
__all__ += _at.__all__
__all__ += _bits.__all__
__all__ += _comparisons.__all__
__all__ += _complex_parts.__all__
__all__ += _conv.__all__
__all__ += _conv_norm.__all__
__all__ += _create.__all__
__all__ += _cross_entropy.__all__
__all__ += _cumulative.__all__
__all__ += _dense.__all__
__all__ += _dense_residual.__all__
__all__ += _diagonal.__all__
__all__ += _einsum.__all__
__all__ += _dropout.__all__
__all__ += _dtypes.__all__
__all__ += _floats.__all__
__all__ += _functions.__all__
__all__ += _grouped.__all__
__all__ += _index.__all__
__all__ += _inspection.__all__
__all__ += _join.__all__
__all__ += _matmul.__all__
__all__ += _nonlinear.__all__
__all__ += _norm.__all__
__all__ += _norm_fold.__all__
__all__ += _order.__all__
__all__ += _piecewise.__all__
__all__ += _pool.__all__
__all__ += _random.__all__
__all__ += _reduce.__all__
__all__ += _scaled.__all__
__all__ += _search.__all__
__all__ += _sets.__all__
__all__ += _shape.__all__
__all__ += _softmax.__all__
