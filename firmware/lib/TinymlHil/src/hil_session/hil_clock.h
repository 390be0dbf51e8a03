/* SPDX-License-Identifier: Apache-2.0 */
/* The resolution of the board's stopwatch, measured on the board. */
#ifndef HIL_CLOCK_H
#define HIL_CLOCK_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* After this many steps of a clock, the smallest one is known. */
#define HIL_CLOCK_STEPS 16u
/* How long to wait for a clock that does not move: in ms, and in turns of an empty loop. */
#define HIL_CLOCK_MS 500u
#ifndef HIL_CLOCK_TURNS /* fewer in a fuzzer, which has no time for them */
#define HIL_CLOCK_TURNS 500000u
#endif

/* Answers the CLOCK request in the decoder: times empty loops, each slightly longer than the one
 * before, and reports the smallest step between two readings. */
void hil_clock_request(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
