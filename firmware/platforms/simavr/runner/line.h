/* The serial line between two ends that each have a rate of their own. */
#ifndef HIL_LINE_H
#define HIL_LINE_H

#include <simavr/sim_avr.h>
#include <stddef.h>
#include <stdint.h>

enum { BITS_A_BYTE = 10, LINE_MOST = 5 }; /* most: a byte has no more levels that fall */

/* The rate, in baud, that a host has set on the pty `descriptor`; 0 when it cannot be read. */
uint32_t line_host_rate(int descriptor);

/* The rate of UART0 as its registers stand; 0 when the chip has none. */
uint32_t line_avr_rate(avr_t *avr);

/* What a receiver at rate `to` reads of one byte that was sent at rate `from`, and how many bytes
 * that is to it: it waits for a level that falls and looks at the line in the middle of each of
 * its own bits. Up to some 5 % apart that is the byte itself. */
size_t line_heard(uint8_t byte, uint32_t from, uint32_t to, uint8_t heard[LINE_MOST]);

#endif
