/* A core that the port knows nothing about. */
#include "../stub_core.h"
extern SerialPort Serial;
