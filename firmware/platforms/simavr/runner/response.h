/* SPDX-License-Identifier: Apache-2.0 */
/* The cycles between an interrupt and its vector. */
#ifndef HIL_RESPONSE_H
#define HIL_RESPONSE_H

#include <simavr/sim_avr.h>

/* Makes every interrupt of `avr` take its response time, which simavr (1.6, 1.7) leaves out: the
 * program counter is pushed in one cycle per byte, the stack pointer and the I flag take one each.
 * That is 5 cycles on a chip with a 22-bit program counter, as its data sheet says. The jump in the
 * vector and RETI are instructions, which simavr counts itself. */
void response_count(avr_t *avr);

#endif
