/* SPDX-License-Identifier: Apache-2.0 */
/* Arduino on Mbed OS: no F_CPU, but CMSIS's SystemCoreClock. */
#define STUB_MBED
#define STUB_SYSTEM_CORE_CLOCK
#include "../stub_core.h"
extern SerialPort Serial;
