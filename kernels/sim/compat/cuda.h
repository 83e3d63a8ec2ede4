// The sim device's own header already defines what <cuda.h> has for device code.
