"""Discrete Fourier transforms; `gl.fft` hands them on."""

from . import along as _along
from . import frequencies as _frequencies
from . import over as _over
from .along import *
from .frequencies import *
from .over import *

__all__: list[str] = []
__all__ += _along.__all__
__all__ += _frequencies.__all__
__all__ += _over.__all__
