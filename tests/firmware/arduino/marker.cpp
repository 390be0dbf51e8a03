// SPDX-License-Identifier: Apache-2.0
/* The Arduino port with a marker pin: prints what it does with pin and clock, one NAME=VALUE line
 * per call, in order. */
#include <stdio.h>

#include "Arduino.h"
#include "chip.h"
#include "hil_session/hil_port.h"

char hil_chip_name[] = "Fake";
HardwareSerial Serial;
static int calls;

static void say(const char *what, int value) { printf("%d=%s %d\n", calls++, what, value); }

extern "C" {
uint32_t SystemCoreClock = 480000000;
unsigned long millis(void) { return 0; }
unsigned long micros(void) {
  say("micros", 0);
  return 0;
}
void pinMode(uint8_t pin, uint8_t mode) { say(mode == OUTPUT ? "output" : "input", pin); }
void digitalWrite(uint8_t pin, uint8_t level) { say(level == HIGH ? "high" : "low", pin); }
}

void HardwareSerial::begin(unsigned long) {}
void hil_chip_init(void) {}
uint32_t hil_chip_ram_static(void) { return 0; }
uint32_t hil_chip_heap_used(void) { return 0; }
uint32_t hil_chip_cycles(void) {
  say("cycles", 0);
  return 0;
}
void hil_chip_watch(void) {}
void hil_chip_alive(void) {}
void hil_chip_idle(void) {}
hil_stack_t hil_chip_stack(void) { return {nullptr, nullptr}; }

int main() {
  uint32_t micros_taken, ticks;

  hil_port_init(HIL_BAUD);
  if (hil_port_board.mark) {
    hil_port_board.mark(1);
  }
  hil_port_board.stopwatch_start();
  hil_port_board.stopwatch_stop(&micros_taken, &ticks);
  if (hil_port_board.mark) {
    hil_port_board.mark(0);
  }
  return 0;
}
