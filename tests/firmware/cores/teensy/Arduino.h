/* PJRC's core for Teensy 4: F_CPU is what was asked for, F_CPU_ACTUAL the clock; no CMSIS. */
#define STUB_TEENSY
#include "../stub_core.h"
extern "C" {
extern volatile uint32_t F_CPU_ACTUAL;
}
extern SerialPort Serial;
