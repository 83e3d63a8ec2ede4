// The sim device's own header already defines what <vector_functions.h> has for device code.
