/* SPDX-License-Identifier: Apache-2.0 */
/* One inference: prepare the model, convert its input in place, time the invoke. */
#ifndef HIL_INFER_H
#define HIL_INFER_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Measures an empty invoke once; that time is subtracted from each measurement. */
void hil_calibrate(hil_session_t *session);

/* Calibration and measurement both call this function, so that both take the same path and the
 * difference is the invoke alone. */
hil_engine_status_t hil_timed_invoke(const hil_session_t *session, const hil_model_t *model,
                                     const void *input, uint32_t *code, uint32_t *micros,
                                     uint32_t *ticks);

/* Prepares model `index`, which must exist. On ARENA, `*code` is the number of bytes needed; on
 * FAILED, it is the engine's own code. */
hil_engine_status_t hil_prepare(hil_session_t *session, uint8_t index, uint32_t *code);

/* The same; on failure replies with an error and returns 0. */
int hil_prepare_or_reply(hil_session_t *session, uint8_t index);

/* Where the model's input lies: in the receive buffer, 16-byte aligned. */
uint8_t *hil_input_of(const hil_session_t *session);

/* Prepares the requested model and its input, which follows `head` bytes of the payload. Returns
 * the model; on failure replies with an error and returns NULL. */
const hil_model_t *hil_take(hil_session_t *session, uint8_t index, uint8_t encoding, uint32_t head);

/* Answers the INFER request in the decoder. */
void hil_infer_request(hil_session_t *session);

/* Drives the board's marker pin, if it has one: high during inferences. */
void hil_mark(const hil_session_t *session, uint8_t high);

/* Feeds the board's watchdog, if it has one. Call it before every inference. */
void hil_alive(const hil_session_t *session);

#if HIL_MORE
/* Answers the RESET_STATE request in the decoder. */
void hil_reset_request(hil_session_t *session);
#endif

#ifdef __cplusplus
}
#endif
#endif
