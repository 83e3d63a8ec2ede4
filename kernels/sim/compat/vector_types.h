// The sim device's own header already defines what <vector_types.h> has for device code.
