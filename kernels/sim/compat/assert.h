// The sim device's own header already defines what <assert.h> has for device code.
