// SPDX-License-Identifier: Apache-2.0
/* ATmega: no cycle counter, and micros() resolves 4 us at 16 MHz. With HIL_TIMER1_CYCLES, timer 1
 * counts cycles. */
#include "chip.h"

#ifdef HIL_CHIP_AVR
#include <Arduino.h>
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#ifdef __AVR_ATmega2560__
char hil_chip_name[] = "Arduino ATmega2560";
#else
char hil_chip_name[] = "Arduino AVR";
#endif

extern "C" {
extern uint8_t __data_start, __heap_start; /* from the linker; the heap starts after bss */
extern uint8_t *__brkval;                  /* from malloc; null before its first call */
}

void hil_chip_init(void) {
  set_sleep_mode(SLEEP_MODE_IDLE);
#ifdef HIL_TIMER1_CYCLES
  TCCR1A = 0;         /* counts to 65535, */
  TCCR1B = _BV(CS10); /* every cycle */
#endif
}

static uint8_t *heap_end(void) { return __brkval ? __brkval : &__heap_start; }

hil_stack_t hil_chip_stack(void) {
  const hil_stack_t stack = {heap_end(), (uint8_t *)RAMEND + 1};
  return stack;
}

uint32_t hil_chip_ram_static(void) {
  /* NOLINTNEXTLINE(clang-analyzer-security.PointerSub): one section follows the other */
  return (uint32_t)(&__heap_start - &__data_start);
}

uint32_t hil_chip_heap_used(void) { return (uint32_t)(heap_end() - &__heap_start); }

#ifdef HIL_TIMER1_CYCLES
/* Timer 1 has the low 16 bits. micros(), which is right to far less than 32768 cycles, has the
 * others. So timer 1 needs no interrupt of its own, which would add to what is measured. */
uint32_t hil_chip_cycles(void) {
  static uint16_t apart; /* of the two timers, which start one after the other */
  static uint8_t known;
  const uint8_t flags = SREG;
  uint32_t rough;
  uint16_t low;

  cli();
  low = TCNT1;
  rough = micros() * (uint32_t)(F_CPU / 1000000u);
  SREG = flags;
  if (!known) {
    known = 1;
    apart = (uint16_t)(low - (uint16_t)rough);
  }
  return rough + (uint32_t)(int32_t)(int16_t)(uint16_t)(low - (uint16_t)rough - apart);
}
#else
uint32_t hil_chip_cycles(void) { return 0; }
#endif

#ifdef HIL_CHIP_HAS_RATE
/* Computes the same divisor as Serial.begin, with U2X. A receiver tolerates 2 %; the 2.1 % of
 * 115200 at 16 MHz is in common use. */
uint8_t hil_chip_set_rate(uint32_t rate, uint8_t apply) {
  const uint32_t fastest = F_CPU / 8u;
  uint32_t real, error;

  if (rate < 1200u || rate > fastest) {
    return 0;
  }
  real = fastest / ((F_CPU / 4u / rate - 1u) / 2u + 1u);
  error = real > rate ? real - rate : rate - real;
  if (error > rate / 40u) {
    return 0;
  }
  if (apply) {
    Serial.begin(rate);
  }
  return 1;
}
#endif

#if HIL_WATCHDOG_MS
/* The hardware waits 8 s at most, so its interrupt restarts it for several rounds. */
enum {
  ROUND_MS = HIL_WATCHDOG_MS >= 8000u ? 8000 : 1000,
  ROUNDS = (HIL_WATCHDOG_MS + ROUND_MS - 1) / ROUND_MS
};
static_assert(ROUNDS <= 255, "HIL_WATCHDOG_MS is 34 minutes at most");

static volatile uint8_t rounds_left;

/* Before main: after a watchdog reset it stays on, with a timeout of 16 ms. */
static void __attribute__((constructor)) stop_watchdog(void) {
  MCUSR = 0;
  wdt_disable();
}

/* With WDIE set, the timeout is an interrupt and the hardware clears WDIE: the next one resets. */
ISR(WDT_vect) {
  if (rounds_left > 0) {
    rounds_left--;
    WDTCSR |= _BV(WDIE);
  }
}

void hil_chip_alive(void) {
  wdt_reset();
  rounds_left = ROUNDS - 1;
  WDTCSR |= _BV(WDIE);
}

void hil_chip_watch(void) {
  wdt_enable(ROUND_MS == 8000 ? WDTO_8S : WDTO_1S);
  hil_chip_alive();
}
#endif

/* Sleeps until the next interrupt: a received byte, or the timer of millis(). */
void hil_chip_idle(void) { sleep_mode(); }
#endif
