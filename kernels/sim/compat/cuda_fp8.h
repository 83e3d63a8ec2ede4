// What <cuda_fp8.h> declares; only kernels that ask for it pay for it.
#include "../float8.h"
