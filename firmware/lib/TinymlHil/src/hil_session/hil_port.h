/* SPDX-License-Identifier: Apache-2.0 */
/* The interface between the firmware and a board: bytes, a stopwatch, memory marks. hil_arduino
 * implements it for every Arduino core, the folders of firmware/port for other platforms;
 * `custom_hil_port` in platformio.ini selects one. */
#ifndef HIL_PORT_H
#define HIL_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "hil_board.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rate of the line after boot, if it has one. */
#ifndef HIL_BAUD
#define HIL_BAUD 115200u
#endif

/* Initialises clocks, link and stack mark. Call it once, before anything else. `baud`: the line's
 * rate at boot; a port whose line has no rate ignores it. */
void hil_port_init(uint32_t baud);

/* Reads up to `limit` received bytes and returns their number; may sleep until the first one comes,
 * or return 0. */
size_t hil_port_read(uint8_t *data, size_t limit);

/* Sends all bytes, or drops them if nobody reads. A hil_write_t; `context` is not used. */
void hil_port_write(void *context, const uint8_t *data, size_t length);

/* See hil_setup_t.set_baud. A port whose line has no rate does not define it. */
uint8_t hil_port_set_baud(uint32_t baud, uint8_t apply) __attribute__((weak));

/* Identity, stopwatch, memory and uptime. */
extern const hil_board_t hil_port_board;

#ifdef __cplusplus
}
#endif
#endif
