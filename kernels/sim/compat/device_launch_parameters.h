// The sim device's own header already defines what <device_launch_parameters.h> has for device code.
