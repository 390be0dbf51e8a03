/* SPDX-License-Identifier: Apache-2.0 */
/* Converts a request's input to the model's input. */
#ifndef HIL_INPUT_H
#define HIL_INPUT_H

#include <stdint.h>

#include "hil_engine/hil_engine.h"

/* Also serves models with several inputs or outputs, with state, or with values of other types than
 * float32, int8 and uint8. It is 1 where firmware/scripts/image.py builds an image that has such a
 * model, and 0 in a user's sketch, which has one input and one output. */
#ifndef HIL_MORE
#ifdef HIL_WITH_IMAGE
#define HIL_MORE 1
#else
#define HIL_MORE 0
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a tensor in memory; 0 if its type is not supported. */
uint32_t hil_tensor_bytes(const hil_tensor_t *tensor);

/* Bytes of an INFER input in this encoding; 0 if the model does not take that encoding. */
uint32_t hil_input_wire_bytes(const hil_tensor_t *tensor, uint8_t encoding);

/* The encoding that has the tensor's own type: nothing is converted. */
uint8_t hil_input_own_encoding(const hil_tensor_t *tensor);

/* Converts `data` in place from `encoding` to the tensor's type. `data` must have room for the
 * larger of the two. */
typedef void (*hil_convert_t)(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);

/* To any type. For int8: round(real / scale) + zero_point in float32, halves away from zero,
 * clamped (as in TFLite); a pixel is the real number pixel / 255; NaN becomes the lowest value. To
 * uint8, pixels are not changed. */
void hil_input_convert(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);

/* To one type, so that a program with one input does not contain the others. */
void hil_convert_to_float32(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);
void hil_convert_to_int8(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);

/* As hil_input_convert, from `from`, which need not be aligned and is not changed, to `to`. The two
 * must be equal or not overlap. */
void hil_input_convert_to(const hil_tensor_t *tensor, uint8_t encoding, const uint8_t *from,
                          uint8_t *to);

#ifdef __cplusplus
}
#endif
#endif
