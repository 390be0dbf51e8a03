/* The line's rate: goes up when the host asks, and back to the rate of boot when frames fail. */
#ifndef HIL_RATE_H
#define HIL_RATE_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A rate at which no good frame came for so long is given up when the next byte arrives. */
#define HIL_RATE_TRIAL_MS 1000u
/* So many bad frames without a good one between them, and the rate is given up. */
#define HIL_RATE_BAD_FRAMES 4u
/* So many zeros in a row are one bad frame: all that a line at 2 Mbaud hears of a host at 115200,
 * whose start bit alone is longer than its byte. */
#define HIL_RATE_ZEROS 8u

/* Answers the BAUD request that the decoder holds, and changes the rate after the reply. */
void hil_rate_request(hil_session_t *session);

/* Sees every received byte and what it led to, before that is answered. */
void hil_rate_watch(hil_session_t *session, uint8_t byte, hil_decode_t event);

#ifdef __cplusplus
}
#endif
#endif
