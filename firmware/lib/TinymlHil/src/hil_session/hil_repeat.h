/* SPDX-License-Identifier: Apache-2.0 */
/* One inference many times between two edges of the marker pin, without traffic on the line: what
 * an instrument needs that is too slow for a single one. */
#ifndef HIL_REPEAT_H
#define HIL_REPEAT_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most inferences of a request: its field has 16 bits. */
#define HIL_REPEAT_MOST 0xFFFFu
/* No inference starts later than this after the first one, because only a reset could stop it. Less
 * than the watchdog's timeout: on an ESP32 with one core, the idle task waits for all of it. */
#ifndef HIL_REPEAT_MS
#define HIL_REPEAT_MS 30000u
#endif

/* Answers the REPEAT request in the decoder. */
void hil_repeat_request(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
