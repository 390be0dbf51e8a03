/* One inference: the model prepared, its input where the engine wants it, the invoke timed. */
#ifndef HIL_INFER_H
#define HIL_INFER_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Measures what an empty invoke takes, once, so that it is taken off every measurement. */
void hil_calibrate(hil_session_t *session);

/* One call for the calibration and for the measurement, so that both take the same path and
 * the difference is the invoke's own. */
hil_engine_status_t hil_timed_invoke(const hil_session_t *session, const hil_model_t *model,
                                     const void *input, uint32_t *code, uint32_t *micros,
                                     uint32_t *ticks);

/* Makes `index`, which the image has, the prepared model. ARENA: `*code` bytes are needed; FAILED:
 * it is the engine's own code. */
hil_engine_status_t hil_prepare(hil_session_t *session, uint8_t index, uint32_t *code);

/* Where the model's input lies: in the receive buffer, 16-byte aligned. */
uint8_t *hil_input_of(const hil_session_t *session);

/* The model of a request, prepared, and its input ready, which follows `head` bytes of the payload;
 * answers with an error and returns NULL when that cannot be. */
const hil_model_t *hil_take(hil_session_t *session, uint8_t index, uint8_t encoding, uint32_t head);

/* Answers the INFER request that the decoder holds. */
void hil_infer_request(hil_session_t *session);

/* Feeds the board's watchdog, if it has one: before every inference. */
void hil_alive(const hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
