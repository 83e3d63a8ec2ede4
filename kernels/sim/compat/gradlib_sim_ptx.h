// What gradlib/ptx.cuh includes on the sim device.
#include "../ptx.h"
