// The sim device's own header already defines what <cuda_bf16.h> declares.
