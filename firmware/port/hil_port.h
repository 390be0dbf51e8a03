/* The one narrow port between the firmware and a board: bytes, a stopwatch, memory marks.
 * Each platform has a folder here; `custom_hil_port` in platformio.ini picks one. */
#ifndef HIL_PORT_H
#define HIL_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "hil_board.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Clocks, link and stack mark; once, first of all. */
void hil_port_init(void);

/* Up to `limit` received bytes; 0 when there are none. May sleep until the first one comes. */
size_t hil_port_read(uint8_t *data, size_t limit);

/* Sends all of it, or drops it where nobody listens. A hil_write_t: `context` is not used. */
void hil_port_write(void *context, const uint8_t *data, size_t length);

/* See hil_setup_t.set_baud. A port whose line has no rate leaves it out. */
uint8_t hil_port_set_baud(uint32_t baud, uint8_t apply) __attribute__((weak));

/* Identity, stopwatch, memory and uptime. */
extern const hil_board_t hil_port_board;

#ifdef __cplusplus
}
#endif
#endif
