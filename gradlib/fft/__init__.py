"""`gl.fft`: the discrete Fourier transforms of the Array API.  Defined in `ops.fft`."""

from ..ops.fft import *
from ..ops.fft import __all__ as __all__
