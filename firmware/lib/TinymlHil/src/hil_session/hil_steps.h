/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a sequence: an INFER of a model with state is answered once, and repeated exactly.
 */
#ifndef HIL_STEPS_H
#define HIL_STEPS_H

#include "hil_context.h"
#include "hil_wire/hil_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

#if HIL_MORE
/* Whether an INFER of a model with state is the next one of its sequence. If not, replies: with the
 * kept answer to a repetition of the latest one, else with an error. `check`: of its payload. */
int hil_step(hil_session_t *session, const hil_infer_t *request, uint32_t check);

/* The INFER was answered with the output in the output buffer: keep that. */
void hil_stepped(hil_session_t *session, const hil_infer_t *request, uint32_t check,
                 uint32_t micros, uint32_t ticks);
#endif

#ifdef __cplusplus
}
#endif
#endif
