/* What differs between the cores under one Arduino API: who they are, where their stack and heap
 * lie, their watchdog. One chip_*.cpp each; exactly one is not empty. */
#ifndef HIL_CHIP_H
#define HIL_CHIP_H

#include <stdint.h>

#include "cycles.h"
#include "hil_board.h"

/* WINDOW: requests that may be unanswered at a time; 1: nothing comes while an inference runs.
 * ROOM: the core's receive buffer, filled by interrupt, keeps 2^ROOM bytes meanwhile.
 * CYCLE_HZ: of hil_chip_cycles(); 0: the core has no cycle counter.
 * HAS_RATE: Serial is a UART whose rate can be changed, and hil_chip_set_rate is there; a USB port
 * has none, and of an unknown core nobody knows.
 * STACK_GUARD: bytes at the stack's end that the OS watches; they are never painted.
 * BEGIN(baud): starts Serial. */
#if defined(ARDUINO_ARCH_AVR)
#define HIL_CHIP_AVR 1
#define HIL_CHIP_WINDOW 1 /* the core's ring holds 63 bytes, and loses what comes on top */
#define HIL_CHIP_ROOM 5
#define HIL_CHIP_CYCLE_HZ 0u
#ifndef USBCON /* a 32U4: Serial is its USB */
#define HIL_CHIP_HAS_RATE 1
#endif
#elif defined(ARDUINO_ARCH_ESP32)
#define HIL_CHIP_ESP32 1
#define HIL_CHIP_WINDOW 8
#define HIL_CHIP_ROOM 13
#define HIL_CHIP_CYCLE_HZ ((uint32_t)F_CPU)
/* FreeRTOS has a hardware watchpoint on the lowest 32 bytes that begin at a multiple of 32
 * (FREERTOS_WATCHPOINT_END_OF_STACK): a store there is a panic, whatever its value. */
#define HIL_CHIP_STACK_GUARD 64
#if !ARDUINO_USB_CDC_ON_BOOT /* an S3 or C3 may have Serial on its USB */
#define HIL_CHIP_HAS_RATE 1
#define HIL_CHIP_BEGIN(baud) hil_chip_begin(baud)
#endif
#elif defined(ARDUINO_ARCH_MBED)
#define HIL_CHIP_MBED 1
#define HIL_CHIP_WINDOW 1
#define HIL_CHIP_ROOM 0
#define HIL_CHIP_STACK_GUARD 4 /* osRtxStackMagicWord: RTX can check it at a switch of threads */
#ifdef HIL_CYCLES
#define HIL_CHIP_CYCLE_HZ SystemCoreClock /* of CMSIS: this core defines no F_CPU */
extern "C" uint32_t SystemCoreClock;
#endif
#elif defined(CORE_TEENSY) && defined(__IMXRT1062__)
#define HIL_CHIP_TEENSY 1
#define HIL_CHIP_WINDOW 1
#define HIL_CHIP_ROOM 0
#define HIL_CHIP_STACK_GUARD 32        /* a region of the MPU that nobody may touch */
#define HIL_CHIP_CYCLE_HZ F_CPU_ACTUAL /* of the core, which has no SystemCoreClock */
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

/* How long the watchdog waits before it resets the board; 0 leaves it out. The host waits 20 s for
 * a reply, so no inference that it would still take is cut off. */
#ifndef HIL_WATCHDOG_MS
#define HIL_WATCHDOG_MS 60000u
#endif

/* The stack of loop(), which grows down from `top` to `bottom`; both null: nobody knows. */
typedef struct {
  uint8_t *bottom;
  uint8_t *top;
} hil_stack_t;

/* UTF-8, 63 bytes at most; complete after hil_port_init. */
extern char hil_chip_name[];

/* Before Serial begins: starts the cycle counter, asks for the name, widens receive buffers. */
void hil_chip_init(void);

hil_stack_t hil_chip_stack(void);

/* Bytes; 0, or of the heap HIL_HEAP_UNKNOWN, where the chip cannot tell. The heap's is what is
 * allocated now, the core's own buffers with it: the host looks at how much it grows. */
uint32_t hil_chip_ram_static(void);
uint32_t hil_chip_heap_used(void);

/* Wraps at 2^32. */
uint32_t hil_chip_cycles(void);

/* Sets Serial, which has begun and has sent everything, to `rate` baud; what was received stays.
 * 0 when the UART cannot be set to it. Without `apply` nothing is changed. */
uint8_t hil_chip_set_rate(uint32_t rate, uint8_t apply);

/* Starts Serial, on a chip whose HIL_CHIP_BEGIN calls it. */
void hil_chip_begin(uint32_t baud);

/* Starts the watchdog; then feeds it. A chip that has none defines neither. */
void hil_chip_watch(void) __attribute__((weak));
void hil_chip_alive(void) __attribute__((weak));

/* Nothing has been received: may sleep for a millisecond. */
void hil_chip_idle(void);

#endif
