// SPDX-License-Identifier: Apache-2.0
// Measures delays of known length with the port's cycle counter, and writes each count to GPIOR0,
// four bytes, low byte first. First with interrupts disabled, then once with them.
#include <Arduino.h>
#include <avr/sleep.h>

#include "hil_arduino/chip.h"

static void say(uint32_t count) {
  for (uint8_t i = 0; i < 4; i++) {
    GPIOR0 = (uint8_t)(count >> (8 * i));
  }
}

template <uint32_t Cycles>
static uint32_t measured() {
  const uint32_t before = hil_chip_cycles();
  __builtin_avr_delay_cycles(Cycles);
  return hil_chip_cycles() - before;
}

// Timer 0 must not overflow twice while its interrupt is off: micros() counts only the last.
template <uint32_t Cycles>
static void quiet() {
  delay(2);
  cli();
  const uint32_t empty = measured<0>(), count = measured<Cycles>();
  sei();
  say(count - empty);
}

int main() {
  init();
  hil_chip_init();
  (void)hil_chip_cycles();
  quiet<1>();
  quiet<2>();
  quiet<100>();
  quiet<9999>();
  say(measured<40000000>());
  cli();
  sleep_enable();
  sleep_cpu();
}
