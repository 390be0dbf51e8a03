/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the cores behind the Arduino API: their name, where stack and heap lie,
 * their watchdog. Each has a chip_*.cpp; in a build for an Arduino core, exactly one of those files
 * is not empty. */
#ifndef HIL_CHIP_H
#define HIL_CHIP_H

#include <stdint.h>

#include "cycles.h"
#include "hil_session/hil_board.h"

/* WINDOW: how many requests may be unanswered at a time; 1: none arrives during an inference.
 * ROOM: during an inference, the core's receive interrupt buffers 2^ROOM bytes.
 * CYCLE_HZ: frequency of hil_chip_cycles(); 0: the core has no cycle counter.
 * HAS_RATE: Serial is a UART whose rate can change, and hil_chip_set_rate is defined. Not for USB
 * ports, which have no rate, nor for unknown cores.
 * STACK_GUARD: bytes at the end of the stack that the OS watches; they are never painted.
 * BEGIN(baud): starts Serial. */
#if !defined(ARDUINO)
/* No core: every chip_*.cpp is empty. */
#elif defined(ARDUINO_ARCH_AVR)
#define HIL_CHIP_AVR 1
#define HIL_CHIP_WINDOW 1 /* the core's ring holds 63 bytes and drops what does not fit */
#define HIL_CHIP_ROOM 5
#ifdef HIL_TIMER1_CYCLES /* timer 1 counts cycles: no PWM by it, no Servo library */
#define HIL_CHIP_CYCLE_HZ ((uint32_t)F_CPU)
#else
#define HIL_CHIP_CYCLE_HZ 0u
#endif
#ifndef USBCON /* defined on a 32U4, whose Serial is USB */
#define HIL_CHIP_HAS_RATE 1
#endif
#elif defined(ARDUINO_ARCH_ESP32)
#define HIL_CHIP_ESP32 1
#define HIL_CHIP_WINDOW 8
#define HIL_CHIP_ROOM 13
#define HIL_CHIP_CYCLE_HZ ((uint32_t)F_CPU)
/* FreeRTOS sets a hardware watchpoint on the lowest 32 bytes of the stack that start at a multiple
 * of 32 (FREERTOS_WATCHPOINT_END_OF_STACK): a store of any value there is a panic. */
#define HIL_CHIP_STACK_GUARD 64
#if !ARDUINO_USB_CDC_ON_BOOT /* Serial of an S3 or C3 may be USB */
#define HIL_CHIP_HAS_RATE 1
#define HIL_CHIP_BEGIN(baud) hil_chip_begin(baud)
#endif
#elif defined(ARDUINO_ARCH_MBED)
#define HIL_CHIP_MBED 1
#define HIL_CHIP_WINDOW 1
#define HIL_CHIP_ROOM 0
#define HIL_CHIP_STACK_GUARD 4 /* osRtxStackMagicWord: RTX can check it at a thread switch */
#ifdef HIL_CYCLES
#define HIL_CHIP_CYCLE_HZ SystemCoreClock /* from CMSIS; this core does not define F_CPU */
extern "C" uint32_t SystemCoreClock;
#endif
#elif defined(CORE_TEENSY) && defined(__IMXRT1062__)
#define HIL_CHIP_TEENSY 1
#define HIL_CHIP_WINDOW 1
#define HIL_CHIP_ROOM 0
#define HIL_CHIP_STACK_GUARD 32        /* an MPU region without access */
#define HIL_CHIP_CYCLE_HZ F_CPU_ACTUAL /* of the core; it has no SystemCoreClock */
extern "C" volatile uint32_t F_CPU_ACTUAL;
#else
#define HIL_CHIP_OTHER 1
#define HIL_CHIP_WINDOW 1
#define HIL_CHIP_ROOM 0
#if defined(HIL_CYCLES) && defined(F_CPU)
#define HIL_CHIP_CYCLE_HZ ((uint32_t)(F_CPU))
#elif defined(HIL_CYCLES) && defined(__ARM_ARCH)
#define HIL_CHIP_CYCLE_HZ SystemCoreClock
extern "C" uint32_t SystemCoreClock;
#endif
#endif
#ifndef HIL_CHIP_CYCLE_HZ
#define HIL_CHIP_CYCLE_HZ 0u
#endif

#ifndef HIL_CHIP_STACK_GUARD
#define HIL_CHIP_STACK_GUARD 0
#endif
#ifndef HIL_CHIP_BEGIN
#define HIL_CHIP_BEGIN(baud) Serial.begin(baud)
#endif

/* How long the watchdog waits before it resets the board; 0 removes it. The host waits 20 s for a
 * reply, so the watchdog never cuts off an inference whose reply the host would still accept. */
#ifndef HIL_WATCHDOG_MS
#define HIL_WATCHDOG_MS 60000u
#endif

/* The stack of loop(), which grows down from `top` to `bottom`; both null if unknown. */
typedef struct {
  uint8_t *bottom;
  uint8_t *top;
} hil_stack_t;

/* UTF-8, 63 bytes at most; complete after hil_port_init. */
extern char hil_chip_name[];

/* Before Serial begins: starts the cycle counter, reads the name, enlarges receive buffers. */
void hil_chip_init(void);

hil_stack_t hil_chip_stack(void);

/* Bytes; if the chip cannot tell, 0, or HIL_HEAP_UNKNOWN for the heap. Heap bytes are those now
 * allocated, including the core's own buffers: the host looks only at the growth. */
uint32_t hil_chip_ram_static(void);
uint32_t hil_chip_heap_used(void);

/* Wraps at 2^32. */
uint32_t hil_chip_cycles(void);

/* Sets Serial to `rate` baud, after it has begun and sent everything; received bytes are kept.
 * Returns 0 if the UART cannot run at that rate. Changes nothing if `apply` is 0. */
uint8_t hil_chip_set_rate(uint32_t rate, uint8_t apply);

/* Starts Serial on a chip whose HIL_CHIP_BEGIN calls this. */
void hil_chip_begin(uint32_t baud);

/* Start and feed the watchdog. A chip without one defines neither. */
void hil_chip_watch(void) __attribute__((weak));
void hil_chip_alive(void) __attribute__((weak));

/* Called when nothing was received; may sleep for a millisecond. */
void hil_chip_idle(void);

#endif
