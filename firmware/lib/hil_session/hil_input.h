/* A request's input -> the model's input, in place. */
#ifndef HIL_INPUT_H
#define HIL_INPUT_H

#include <stdint.h>

#include "hil_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that a tensor takes in memory; 0 for a type that is not known. */
uint32_t hil_tensor_bytes(const hil_tensor_t *tensor);

/* Bytes of an INFER's input in this encoding; 0 when the model does not take it. */
uint32_t hil_input_wire_bytes(const hil_tensor_t *tensor, uint8_t encoding);

/* Rewrites `data` from its encoding to the tensor's type. `data` holds the larger of the two.
 * int8: round(real / scale) + zero_point in float32, halves away from zero, clamped (as TFLite);
 * pixels are real = pixel / 255; NaN gives the least value. */
void hil_input_convert(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data);

/* The same from `from`, which need not be aligned and stays as it is, to `to`. They are the same,
 * or do not overlap. */
void hil_input_convert_to(const hil_tensor_t *tensor, uint8_t encoding, const uint8_t *from,
                          uint8_t *to);

#ifdef __cplusplus
}
#endif
#endif
