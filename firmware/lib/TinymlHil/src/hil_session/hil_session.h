/* SPDX-License-Identifier: Apache-2.0 */
/* Answers requests. Bytes go in through hil_session_feed, replies leave through a write callback;
 * the session does no I/O and allocates nothing. */
#ifndef HIL_SESSION_H
#define HIL_SESSION_H

#include <stdint.h>

#include "hil_setup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Defined in hil_context.h, which a caller includes only to reserve memory for one. */
struct hil_session;

void hil_session_init(struct hil_session *session, const hil_setup_t *setup);

/* Takes one received byte. If it completes a request, answers before returning. */
void hil_session_feed(struct hil_session *session, uint8_t byte);

#ifdef __cplusplus
}
#endif
#endif
