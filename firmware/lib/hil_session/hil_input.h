/* SPDX-License-Identifier: Apache-2.0 */
/* Converts a request's input to the model's input. */
#ifndef HIL_INPUT_H
#define HIL_INPUT_H

#include <stdint.h>

#include "hil_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a tensor in memory; 0 if its type is not supported. */
uint32_t hil_tensor_bytes(const hil_tensor_t *tensor);

/* Bytes of an INFER input in this encoding; 0 if the model does not take that encoding. */
uint32_t hil_input_wire_bytes(const hil_tensor_t *tensor, uint8_t encoding);

/* Converts `data` in place from `encoding` to the tensor's type. `data` must have room for the
 * larger of the two. For int8: round(real / scale) + zero_point in float32, halves away from zero,
 * clamped (as in TFLite); a pixel is the real number pixel / 255; NaN becomes the lowest value. */
void hil_input_convert(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);

/* The same from `from`, which need not be aligned and is not changed, to `to`. The two must be
 * equal or not overlap. */
void hil_input_convert_to(const hil_tensor_t *tensor, uint8_t encoding, const uint8_t *from,
                          uint8_t *to);

#ifdef __cplusplus
}
#endif
#endif
