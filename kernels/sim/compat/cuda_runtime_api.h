// The sim device's own header already defines what <cuda_runtime_api.h> has for device code.
