// The sim device's own header already defines what <cuda_runtime.h> has for device code.
