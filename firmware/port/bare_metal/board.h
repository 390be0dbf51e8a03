/* SPDX-License-Identifier: Apache-2.0 */
/* The members of hil_port_board that all emulated bare-metal boards share. */
#ifndef HIL_BARE_METAL_BOARD_H
#define HIL_BARE_METAL_BOARD_H

#include "bare_metal/memory.h"

/* The port defines the functions of the same name. */
#define BARE_METAL_BOARD                                                          \
  .window = 4, .room = HIL_ROOM_WAITS, .stopwatch_start = stopwatch_start,        \
  .stopwatch_stop = stopwatch_stop, .memory = memory, .reset_marks = paint_stack, \
  .uptime_ms = uptime_ms, .now_us = now_us

#endif
