// SPDX-License-Identifier: Apache-2.0
// On a board without an Arduino core: runs a sketch, or this project's firmware, as a core does.
#ifndef ARDUINO
#include "Arduino.h"
#include "hil_session/hil_port.h"

uint32_t millis() { return hil_port_board.uptime_ms(); }

uint32_t micros() { return hil_port_board.now_us(); }

void delay(uint32_t ms) {
  const uint32_t began = micros();

  while (micros() - began < ms * 1000u) {
  }
}

int main() {
  setup();
  for (;;) {
    loop();
  }
}
#endif
