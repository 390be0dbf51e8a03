/* SPDX-License-Identifier: Apache-2.0 */
/* Models with several inputs or outputs, or with state. With HIL_MORE 0, `hil_more` is always NULL
 * and the compiler drops all of this. */
#ifndef HIL_MORE_H
#define HIL_MORE_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a model has beyond one input and one output; NULL: nothing. */
static inline const hil_more_t *hil_more(const hil_model_t *model) {
  return HIL_MORE ? model->more : NULL;
}

static inline int hil_is_stateful(const hil_model_t *model) {
  return hil_more(model) && hil_more(model)->reset;
}

/* Bytes of all inputs in one buffer. */
static inline uint32_t hil_input_bytes(const hil_model_t *model) {
  return hil_more(model) ? hil_more(model)->input_bytes : hil_tensor_bytes(&model->input);
}

/* Whether a single input or output has one of the types that every encoding but OWN is about. */
static inline int hil_is_plain(const hil_tensor_t *tensor) {
  return !HIL_MORE || tensor->dtype == HIL_FLOAT32 || tensor->dtype == HIL_INT8 ||
         tensor->dtype == HIL_UINT8;
}

/* Bytes of an INFER input in this encoding; 0 if the model does not take that encoding. */
static inline uint32_t hil_wire_bytes(const hil_model_t *model, uint8_t encoding) {
  if (HIL_MORE && encoding == HIL_ENC_OWN) {
    return hil_input_bytes(model);
  }
  if (!hil_is_plain(&model->input) || (hil_more(model) && hil_more(model)->inputs > 0)) {
    return 0;
  }
  return hil_input_wire_bytes(&model->input, encoding);
}

/* The prepared model starts its sequence again. */
static inline void hil_restart(hil_session_t *session) {
#if HIL_MORE
  session->steps.next = 0;
  session->steps.answered = 0;
#else
  (void)session;
#endif
}

#ifdef __cplusplus
}
#endif
#endif
