/* SPDX-License-Identifier: Apache-2.0 */
/* The serial line between two ends with a rate each. */
#ifndef HIL_LINE_H
#define HIL_LINE_H

#include <simavr/sim_avr.h>
#include <stddef.h>
#include <stdint.h>

enum { BITS_A_BYTE = 10, LINE_MOST = 5 }; /* a byte has at most 5 falling edges */

/* The rate in baud that a host has set on the pty `descriptor`; 0 if it cannot be read. */
uint32_t line_host_rate(int descriptor);

/* The rate in baud that the registers of UART0 give; 0 if the chip has none. Also corrects simavr's
 * byte time. */
uint32_t line_avr_rate(avr_t *avr);

/* Stores in `heard` what a receiver at rate `to` reads of one byte sent at rate `from`; returns the
 * number of bytes. The receiver waits for a falling edge and samples the line in the middle of each
 * of its bits. If the rates differ by less than about 5 %, it reads the byte itself. */
size_t line_heard(uint8_t byte, uint32_t from, uint32_t to, uint8_t heard[LINE_MOST]);

#endif
