/* SPDX-License-Identifier: Apache-2.0 */
/* Engine `tflm`: TensorFlow Lite Micro behind hil_engine.h.
 *
 * One interpreter at a time, with its tensors in the caller's arena and nothing on the heap. Static
 * memory holds the interpreter and the image's operators: about 200 bytes. */
#ifndef HIL_TFLM_H
#define HIL_TFLM_H

#include "hil_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *needed of HIL_ENGINE_FAILED. */
enum {
  HIL_TFLM_OPERATORS = 1, /* TFLM lacks an operator of the image */
  HIL_TFLM_SCHEMA = 2,    /* the model has another schema version */
  HIL_TFLM_ALLOCATE = 3,  /* in an arena that should do: a kernel needs more, or fails */
  HIL_TFLM_TENSORS = 4,   /* input or output differ from the image's description */
  HIL_TFLM_INVOKE = 5     /* a kernel failed */
};

/* See hil_model_t. `tflite` is the file, 16-byte aligned; it must stay in memory. */
hil_engine_status_t hil_tflm_prepare(const hil_model_t *self, const uint8_t *tflite, void *arena,
                                     uint32_t arena_size, uint32_t *needed);

/* See hil_model_t. Copies the inputs into the arena and the outputs out of it, because TFLM's
 * tensors can lie only there. */
hil_engine_status_t hil_tflm_run(const hil_model_t *self, const void *input, void *output,
                                 uint32_t *needed);

/* See hil_more_t, of the model that was prepared last. */
void hil_tflm_reset(const uint8_t *tflite, void *arena);

#ifdef __cplusplus
}
#endif
#endif
