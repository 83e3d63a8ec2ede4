// The functions of <stdlib.h> that device code has are there already.
