/* SPDX-License-Identifier: Apache-2.0 */
/* PJRC's core for Teensy 4: F_CPU is the requested clock, F_CPU_ACTUAL the real one; no CMSIS. */
#define STUB_TEENSY
#include "../stub_core.h"
extern "C" {
extern volatile uint32_t F_CPU_ACTUAL;
}
extern SerialPort Serial;
