/* How finely the board's stopwatch ticks, as the board sees it itself. */
#ifndef HIL_CLOCK_H
#define HIL_CLOCK_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* So many steps of a clock are enough to know its smallest. */
#define HIL_CLOCK_STEPS 16u
/* A clock that does not move is given up after so long, or so many turns of an empty loop. */
#define HIL_CLOCK_MS 500u
#ifndef HIL_CLOCK_TURNS /* a fuzzer has not the time */
#define HIL_CLOCK_TURNS 500000u
#endif

/* Answers the CLOCK request that the decoder holds: times empty loops, each a little longer than
 * the one before, and tells the smallest step from one reading to the next. */
void hil_clock_request(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
