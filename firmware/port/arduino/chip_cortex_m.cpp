/* Cortex-M3 and above, such as the M7 of the Portenta H7 (Arduino on Mbed OS): DWT CYCCNT. */
#include "chip.h"

#ifdef HIL_CHIP_CORTEX_M
#include <Arduino.h>

#ifdef ARDUINO_ARCH_MBED
#include <drivers/Watchdog.h>
#include <malloc.h>
#include <rtx_os.h>
#endif

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)

#ifdef ARDUINO_PORTENTA_H7_M7
char hil_chip_name[] = "Portenta H7 (STM32H747, Cortex-M7)";
#else
char hil_chip_name[] = "Arduino Cortex-M";
#endif

void hil_chip_init(void) {
  DEMCR |= 1u << 24;     /* TRCENA */
  DWT_LAR = 0xC5ACCE55u; /* unlocks the M7's, without effect elsewhere */
  DWT_CYCCNT = 0;
  DWT_CTRL |= 1u; /* CYCCNTENA */
}

uint32_t hil_chip_cycles(void) { return DWT_CYCCNT; }

#ifdef ARDUINO_ARCH_MBED
extern "C" {
extern uint8_t __data_start__, __data_end__, __bss_start__, __bss_end__; /* of the linker */
}

hil_stack_t hil_chip_stack(void) {
  const osRtxThread_t *const thread = (const osRtxThread_t *)osThreadGetId();
  uint8_t *const bottom = (uint8_t *)thread->stack_mem;
  const hil_stack_t stack = {bottom, bottom + thread->stack_size};
  return stack;
}

uint32_t hil_chip_ram_static(void) {
  return (uint32_t)(&__data_end__ - &__data_start__) + (uint32_t)(&__bss_end__ - &__bss_start__);
}

uint32_t hil_chip_heap_used(void) { return (uint32_t)mallinfo().uordblks; }

#else
hil_stack_t hil_chip_stack(void) {
  const hil_stack_t unknown = {nullptr, nullptr};
  return unknown;
}

uint32_t hil_chip_ram_static(void) { return 0; }

uint32_t hil_chip_heap_used(void) { return HIL_HEAP_UNKNOWN; }
#endif

#ifdef HIL_CHIP_WATCHDOG
/* The STM32's own waits 32 s at most. */
void hil_chip_watch(void) {
  mbed::Watchdog &watchdog = mbed::Watchdog::get_instance();
  const uint32_t most = watchdog.get_max_timeout();

  watchdog.start(HIL_WATCHDOG_MS < most ? HIL_WATCHDOG_MS : most);
}

void hil_chip_alive(void) { mbed::Watchdog::get_instance().kick(); }
#endif

void hil_chip_idle(void) { yield(); }
#endif
