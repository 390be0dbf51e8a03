/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_input.h"

#include <string.h>

#include "hil_wire/hil_messages.h"

uint32_t hil_tensor_bytes(const hil_tensor_t *tensor) {
  switch (tensor->dtype) {
#if HIL_MORE
    case HIL_INT64:
      return tensor->elements * 8u;
    case HIL_INT16:
      return tensor->elements * 2u;
    case HIL_INT32:
#endif
    case HIL_FLOAT32:
      return tensor->elements * 4u;
#if HIL_MORE
    case HIL_BOOL:
#endif
    case HIL_UINT8:
    case HIL_INT8:
      return tensor->elements;
    default:
      return 0;
  }
}

uint32_t hil_input_wire_bytes(const hil_tensor_t *tensor, uint8_t encoding) {
  switch (encoding) {
    case HIL_ENC_PIXELS:
      return tensor->elements;
    case HIL_ENC_INT8:
      return tensor->dtype == HIL_INT8 ? tensor->elements : 0;
    case HIL_ENC_FLOAT32:
      return tensor->dtype == HIL_UINT8 ? 0 : tensor->elements * 4u;
    default:
      return 0;
  }
}

uint8_t hil_input_own_encoding(const hil_tensor_t *tensor) {
  switch (tensor->dtype) {
    case HIL_FLOAT32:
      return HIL_ENC_FLOAT32;
    case HIL_INT8:
      return HIL_ENC_INT8;
    default:
      return HIL_ENC_PIXELS;
  }
}

/* round(x), halves away from zero, at most FAR from zero; NaN is the lowest. It works on the bits,
 * because comparing, rounding and converting link 2 KB of functions on a core without FPU. */
enum { EXPONENT_OF_A_HALF = 126, EXPONENT_OF_FAR = 150 };
#define FAR ((int32_t)1 << 23)
#define INFINITY_BITS 0x7F800000u

static int32_t rounded(float x) {
  uint32_t bits, exponent, shift, mantissa;
  int32_t size = FAR;

  memcpy(&bits, &x, sizeof bits);
  exponent = bits >> 23 & 0xFFu;
  if ((bits & 0x7FFFFFFFu) > INFINITY_BITS) {
    return -FAR;
  }
  if (exponent < (uint32_t)EXPONENT_OF_A_HALF) {
    size = 0;
  } else if (exponent < (uint32_t)EXPONENT_OF_FAR) {
    shift = (uint32_t)EXPONENT_OF_FAR - exponent;
    mantissa = (bits & 0x7FFFFFu) | 0x800000u;
    size = (int32_t)((mantissa + ((uint32_t)1 << (shift - 1u))) >> shift);
  }
  return bits >> 31 ? -size : size;
}

static uint8_t quantise(float real, const hil_tensor_t *tensor) {
  const int32_t value = rounded(real / tensor->scale) + tensor->zero_point;

  return (uint8_t)(int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

static float real_of(uint8_t pixel) { return (float)(int32_t)pixel / 255.0f; }

/* Not inlined, like to_int8: two functions call it. */
static __attribute__((noinline)) void to_float32(const hil_tensor_t *tensor, const uint8_t *from,
                                                 uint8_t *to) {
  uint32_t i;
  float real;

  for (i = tensor->elements; i-- > 0;) { /* backwards: in place, floats overwrite pixels */
    real = real_of(from[i]);
    memcpy(to + 4u * i, &real, sizeof real);
  }
}

static __attribute__((noinline)) void to_int8(const hil_tensor_t *tensor, uint8_t encoding,
                                              const uint8_t *from, uint8_t *to) {
  const uint32_t elements = tensor->elements;
  uint32_t i;
  float real;

  if (encoding == HIL_ENC_PIXELS) {
    for (i = 0; i < elements; i++) {
      to[i] = quantise(real_of(from[i]), tensor);
    }
  } else {
    for (i = 0; i < elements; i++) {
      memcpy(&real, from + 4u * i, sizeof real);
      to[i] = quantise(real, tensor);
    }
  }
}

void hil_convert_to_float32(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data) {
  if (encoding == HIL_ENC_PIXELS) {
    to_float32(tensor, data, data);
  }
}

void hil_convert_to_int8(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data) {
  if (encoding != HIL_ENC_INT8) {
    to_int8(tensor, encoding, data, data);
  }
}

void hil_input_convert_to(const hil_tensor_t *tensor, uint8_t encoding, const uint8_t *from,
                          uint8_t *to) {
  if (encoding == hil_input_own_encoding(tensor)) {
    if (from != to) {
      memcpy(to, from, hil_tensor_bytes(tensor));
    }
  } else if (tensor->dtype == HIL_FLOAT32) {
    to_float32(tensor, from, to);
  } else {
    to_int8(tensor, encoding, from, to);
  }
}

void hil_input_convert(const hil_tensor_t *tensor, uint8_t encoding, uint8_t *data) {
  hil_input_convert_to(tensor, encoding, data, data);
}
