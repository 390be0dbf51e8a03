/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of the line: goes up when the host asks, and back to the boot rate when frames fail. */
#ifndef HIL_RATE_H
#define HIL_RATE_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A new rate must bring a good frame within this time; if not, the next byte ends the trial. */
#define HIL_RATE_TRIAL_MS 1000u
/* This many bad frames in a row end the rate. */
#define HIL_RATE_BAD_FRAMES 4u
/* This many zeros in a row count as one bad frame. Zeros are all that a line at 2 Mbaud receives
 * from a host at 115200, whose start bit alone is longer than a byte at 2 Mbaud. */
#define HIL_RATE_ZEROS 8u

/* Answers the BAUD request in the decoder, and changes the rate after the reply. */
void hil_rate_request(hil_session_t *session);

/* Call it for every received byte with the decoder's event, before that event is answered. */
void hil_rate_watch(hil_session_t *session, uint8_t byte, hil_decode_t event);

#ifdef __cplusplus
}
#endif
#endif
