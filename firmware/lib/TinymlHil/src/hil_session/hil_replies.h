/* SPDX-License-Identifier: Apache-2.0 */
/* The replies of a session, each streamed out as one frame. */
#ifndef HIL_REPLIES_H
#define HIL_REPLIES_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

void hil_reply_hello(hil_session_t *session);
void hil_reply_result(hil_session_t *session, uint8_t model, uint32_t micros, uint32_t ticks);
#ifdef HIL_LAYERS
/* `data` points to the layer's bytes from `layer->offset` on. */
void hil_reply_layer(hil_session_t *session, const hil_layer_t *layer, const void *data,
                     uint32_t length);
void hil_reply_profile(hil_session_t *session, const hil_profiled_t *head, const hil_lap_t *laps,
                       uint32_t length);
#endif
#if HIL_REPEAT
/* The output of the last inference follows `total`. */
void hil_reply_repeated(hil_session_t *session, const hil_repeated_t *total);
#endif
void hil_reply_status(hil_session_t *session);

#if HIL_MORE
/* Empty: the state was reset. */
void hil_reply_reset(hil_session_t *session);
#endif
void hil_reply_baud(hil_session_t *session, uint32_t baud);
void hil_reply_clock(hil_session_t *session, uint32_t micros, uint32_t ticks, uint32_t reads);

/* An ERROR for the request in the decoder. */
void hil_reply_error(hil_session_t *session, uint8_t code, uint32_t needed, uint32_t available);

/* An ERROR for bytes that were not a frame: sequence 0, type 0. */
void hil_reply_unreadable(hil_session_t *session, uint8_t code, uint32_t available);

#ifdef __cplusplus
}
#endif
#endif
