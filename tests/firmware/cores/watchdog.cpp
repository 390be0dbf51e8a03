// SPDX-License-Identifier: Apache-2.0
/* Mbed OS's watchdog and ticker in simulated time: when does a board reset that hangs from the
 * start, that hangs after a while, and that hangs with interrupts off? */
#include <Arduino.h>
#include <drivers/Ticker.h>
#include <drivers/Watchdog.h>
#include <rtx_os.h>
#include <stdio.h>

#include "chip.h"

extern "C" {
extern uint8_t __data_start__, __data_end__, __bss_start__, __bss_end__;
uint8_t __data_start__, __data_end__, __bss_start__, __bss_end__;
osThreadId_t osThreadGetId() { return nullptr; }
}
void yield() {}

static uint32_t now, fed, waits, every; /* ms */
static void (*tick)();

mbed::Watchdog &mbed::Watchdog::get_instance() {
  static Watchdog one;
  return one;
}
uint32_t mbed::Watchdog::get_max_timeout() const { return SAID_MS; }
bool mbed::Watchdog::start(uint32_t timeout_ms) {
  waits = timeout_ms < REAL_MS ? timeout_ms : REAL_MS;
  fed = now;
  return true;
}
void mbed::Watchdog::kick() { fed = now; }
void mbed::Ticker::attach(void (*function)(), std::chrono::microseconds period) {
  tick = function;
  every = (uint32_t)(period.count() / 1000);
}

/* Milliseconds until the reset. */
static uint32_t hang(bool interrupts) {
  const uint32_t start = now;

  while (now - fed < waits) {
    now++;
    if (interrupts && tick && now % every == 0) {
      tick();
    }
  }
  return now - start;
}

int main() {
  hil_chip_watch();
  printf("at once %u\n", (unsigned)hang(true));
  fed = now;
  for (uint32_t end = now + 300500u; now < end; now++) {
    hil_chip_alive();
  }
  printf("later %u\n", (unsigned)hang(true));
  fed = now;
  hil_chip_alive();
  printf("interrupts off %u\n", (unsigned)hang(false));
  return 0;
}
