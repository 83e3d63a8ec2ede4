// The sim device's own header already defines what <cuda_fp16.h> declares.
