// SPDX-License-Identifier: Apache-2.0
/* Arduino on Mbed OS: Portenta H7, Giga R1, Nano 33 BLE, Pico, Nano RP2040 Connect and similar. */
#include "chip.h"

#ifdef HIL_CHIP_MBED
#include <Arduino.h>
#include <drivers/Ticker.h>
#include <drivers/Watchdog.h>
#include <malloc.h>
#include <rtx_os.h>

#include "cycles.h"

#if defined(ARDUINO_PORTENTA_H7_M7)
char hil_chip_name[] = "Portenta H7 (STM32H747, Cortex-M7)";
#elif defined(ARDUINO_GIGA)
char hil_chip_name[] = "Arduino Giga R1 (STM32H747, Cortex-M7)";
#elif defined(ARDUINO_ARDUINO_NANO33BLE)
char hil_chip_name[] = "Arduino Nano 33 BLE (nRF52840, Cortex-M4)";
#elif defined(ARDUINO_NANO_RP2040_CONNECT)
char hil_chip_name[] = "Arduino Nano RP2040 Connect (Cortex-M0+)";
#elif defined(ARDUINO_RASPBERRY_PI_PICO)
char hil_chip_name[] = "Raspberry Pi Pico (RP2040, Cortex-M0+)";
#else
char hil_chip_name[] = "Arduino on Mbed OS";
#endif

extern "C" {
extern uint8_t __data_start__, __data_end__, __bss_start__, __bss_end__; /* from the linker */
}

void hil_chip_init(void) { cycles_start(); }

uint32_t hil_chip_cycles(void) { return cycles_read(); }

hil_stack_t hil_chip_stack(void) {
  const osRtxThread_t *const thread = (const osRtxThread_t *)osThreadGetId();
  uint8_t *const bottom = (uint8_t *)thread->stack_mem;
  const hil_stack_t stack = {bottom, bottom + thread->stack_size};
  return stack;
}

uint32_t hil_chip_ram_static(void) {
  /* NOLINTNEXTLINE(clang-analyzer-security.PointerSub): each pair bounds one section */
  return (uint32_t)(&__data_end__ - &__data_start__) + (uint32_t)(&__bss_end__ - &__bss_start__);
}

uint32_t hil_chip_heap_used(void) { return (uint32_t)mallinfo().uordblks; }

#if HIL_WATCHDOG_MS
/* The watchdog of an RP2040 waits 8.3 s at most, that of an STM32 32 s. So a ticker feeds it until
 * HIL_WATCHDOG_MS have passed. A fault stops interrupts, and with them the ticker. */
static constexpr uint32_t ROUND_MS = 1000;
#ifdef TARGET_RP2040 /* get_max_timeout() returns 8,388 s, but start() then waits 8.388 s */
static constexpr uint32_t LONGEST_MS = 8000;
#else
static constexpr uint32_t LONGEST_MS = UINT32_MAX;
#endif
static uint32_t rounds; /* how often the ticker feeds it after the last hil_chip_alive */
static volatile uint32_t rounds_left;

static void put_off(void) {
  if (rounds_left > 0) {
    rounds_left = rounds_left - 1;
    mbed::Watchdog::get_instance().kick();
  }
}

void hil_chip_watch(void) {
  static mbed::Ticker ticker;
  mbed::Watchdog &watchdog = mbed::Watchdog::get_instance();
  const uint32_t said = watchdog.get_max_timeout();
  const uint32_t most = said < LONGEST_MS ? said : LONGEST_MS;
  const uint32_t waits = HIL_WATCHDOG_MS < most ? HIL_WATCHDOG_MS : most;

  rounds = (HIL_WATCHDOG_MS - waits) / ROUND_MS;
  watchdog.start(waits);
  if (rounds > 0) {
    ticker.attach(put_off, std::chrono::milliseconds(ROUND_MS));
  }
  hil_chip_alive();
}

void hil_chip_alive(void) {
  rounds_left = rounds;
  mbed::Watchdog::get_instance().kick();
}
#endif

void hil_chip_idle(void) { yield(); }
#endif
