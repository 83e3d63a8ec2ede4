// The sim device's own header already declares what <stdio.h> has for device code: printf.
