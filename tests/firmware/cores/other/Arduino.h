/* SPDX-License-Identifier: Apache-2.0 */
/* A core that the port does not know. */
#include "../stub_core.h"
extern SerialPort Serial;
