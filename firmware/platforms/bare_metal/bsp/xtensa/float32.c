/* SPDX-License-Identifier: Apache-2.0 */
/* float32 in software, rounding to nearest even. Debian's libgcc for the lx106 does not have these
 * functions, because an ESP8266 has them in ROM; QEMU does not have that ROM. GCC chose the names.
 *
 * Before packing, bit 26 of a mantissa is its leading one (a lower bit in a subnormal), bits 2 to 0
 * decide the rounding, and bit 0 is set if any lower bit was. */
#include <stdint.h>

#define SIGN 0x80000000u
#define INFINITE 0x7F800000u
#define NOT_A_NUMBER 0x7FC00000u
#define QUIET 0x00400000u
#define LEADING 0x00800000u
#define FRACTION 0x007FFFFFu

float __addsf3(float a, float b);
float __subsf3(float a, float b);
float __mulsf3(float a, float b);
float __floatsisf(int32_t number);
float __floatunsisf(uint32_t number);
uint32_t __fixunssfsi(float a);

typedef union {
  float real;
  uint32_t bits;
} word_t;

static inline float real_of(uint32_t bits) {
  word_t word;

  word.bits = bits;
  return word.real;
}

static inline uint32_t bits_of(float real) {
  word_t word;

  word.real = real;
  return word.bits;
}

/* mantissa / 2^shift, for a shift of 1 to 31. */
static inline uint32_t shifted(uint32_t mantissa, uint32_t shift) {
  return mantissa >> shift | (uint32_t)(mantissa << (32u - shift) != 0u);
}

static inline float packed(uint32_t sign, int32_t exponent, uint32_t mantissa) {
  const uint32_t rest = mantissa & 7u;
  uint32_t bits;

  if (exponent >= 255) {
    return real_of(sign | INFINITE);
  }
  bits = ((uint32_t)(exponent - 1) << 23) + (mantissa >> 3); /* the leading one adds 1 to it */
  bits += (uint32_t)(rest > 4u || (rest == 4u && (bits & 1u) != 0u)); /* may carry to infinity */
  return real_of(sign | bits);
}

static inline float sum(uint32_t a, uint32_t b) {
  uint32_t larger, smaller;
  int32_t exponent, distance;

  if ((a & ~SIGN) < (b & ~SIGN)) {
    const uint32_t other = a;

    a = b;
    b = other;
  }
  exponent = (int32_t)(a >> 23 & 0xFFu);
  distance = (int32_t)(b >> 23 & 0xFFu);
  larger = a & FRACTION;
  smaller = b & FRACTION;
  if (exponent == 255) { /* b has exponent 255 only if a does */
    if (larger != 0u) {
      return real_of(a | QUIET);
    }
    return real_of(distance == 255 && a != b ? NOT_A_NUMBER : a);
  }
  if (distance != 0) {
    smaller |= LEADING;
  } else if (smaller == 0u) { /* b is zero */
    return real_of((a & ~SIGN) != 0u ? a : a & b);
  } else {
    distance = 1;
  }
  if (exponent != 0) {
    larger |= LEADING;
  } else {
    exponent = 1;
  }
  distance = exponent - distance;
  larger <<= 3;
  smaller <<= 3;
  if (distance != 0) {
    smaller = distance < 27 ? shifted(smaller, (uint32_t)distance) : 1u;
  }
  if (((a ^ b) & SIGN) == 0u) {
    larger += smaller;
    if (larger >= LEADING << 4) {
      larger = shifted(larger, 1);
      exponent++;
    }
  } else {
    larger -= smaller;
    if (larger == 0u) {
      return 0.0f;
    }
    distance = __builtin_clz(larger) - 5;
    if (distance >= exponent) { /* a subnormal */
      distance = exponent - 1;
    }
    larger <<= distance;
    exponent -= distance;
  }
  return packed(a & SIGN, exponent, larger);
}

float __addsf3(float a, float b) { return sum(bits_of(a), bits_of(b)); }

float __subsf3(float a, float b) {
  const uint32_t bits = bits_of(b);

  return sum(bits_of(a), (bits & ~SIGN) > INFINITE ? bits : bits ^ SIGN);
}

/* The product if a factor is infinite or NaN. */
static float __attribute__((noinline)) special_product(uint32_t a, uint32_t b) {
  if ((a & ~SIGN) > INFINITE) {
    return real_of(a | QUIET);
  }
  if ((b & ~SIGN) > INFINITE) {
    return real_of(b | QUIET);
  }
  if ((a & ~SIGN) == 0u || (b & ~SIGN) == 0u) {
    return real_of(NOT_A_NUMBER);
  }
  return real_of(((a ^ b) & SIGN) | INFINITE);
}

/* Shifts the leading one of a subnormal's mantissa, which is not zero, to its normal place. */
static uint32_t __attribute__((noinline)) normalised(uint32_t mantissa, int32_t *exponent) {
  const int32_t shift = __builtin_clz(mantissa) - 8;

  *exponent = 1 - shift;
  return mantissa << shift;
}

float __mulsf3(float real_a, float real_b) {
  const uint32_t a = bits_of(real_a), b = bits_of(real_b), sign = (a ^ b) & SIGN;
  int32_t exponent = (int32_t)(a >> 23 & 0xFFu), exponent_b = (int32_t)(b >> 23 & 0xFFu);
  uint32_t mantissa = a & FRACTION, mantissa_b = b & FRACTION;
  uint32_t low, middle, high;

  if (exponent == 255 || exponent_b == 255) {
    return special_product(a, b);
  }
  if (exponent != 0) {
    mantissa |= LEADING;
  } else if (mantissa != 0u) {
    mantissa = normalised(mantissa, &exponent);
  } else {
    return real_of(sign);
  }
  if (exponent_b != 0) {
    mantissa_b |= LEADING;
  } else if (mantissa_b != 0u) {
    mantissa_b = normalised(mantissa_b, &exponent_b);
  } else {
    return real_of(sign);
  }
  exponent += exponent_b - 127;
  /* A product of 48 bits (upper 32, lower 16) from halves of 16 bits: the core multiplies to 32. */
  low = (mantissa & 0xFFFFu) * (mantissa_b & 0xFFFFu);
  middle = (mantissa >> 16) * (mantissa_b & 0xFFFFu) + (mantissa & 0xFFFFu) * (mantissa_b >> 16);
  high = (mantissa >> 16) * (mantissa_b >> 16);
  middle += low >> 16;
  high = (high << 16) + middle;
  low &= 0xFFFFu;
  if ((high & SIGN) != 0u) {
    exponent++;
    mantissa = shifted(high, 5);
  } else {
    mantissa = shifted(high, 4);
  }
  mantissa |= (uint32_t)(low != 0u);
  if (exponent <= 0) { /* a subnormal */
    mantissa = exponent > -27 ? shifted(mantissa, (uint32_t)(1 - exponent)) : 1u;
    exponent = 1;
  }
  return packed(sign, exponent, mantissa);
}

float __floatunsisf(uint32_t number) {
  int32_t zeros;

  if (number == 0u) {
    return 0.0f;
  }
  zeros = __builtin_clz(number);
  return packed(0u, 158 - zeros, shifted(number << zeros, 5));
}

float __floatsisf(int32_t number) {
  const float size = __floatunsisf(number < 0 ? 0u - (uint32_t)number : (uint32_t)number);

  return number < 0 ? real_of(bits_of(size) | SIGN) : size;
}

/* Rounds toward zero; saturates, and treats NaN like an infinity of its sign. */
uint32_t __fixunssfsi(float a) {
  const uint32_t bits = bits_of(a);
  const uint32_t exponent = bits >> 23;

  if (exponent < 127u || exponent > 255u) {
    return 0;
  }
  if (exponent > 158u) {
    return UINT32_MAX;
  }
  return ((bits | LEADING) << 8) >> (158u - exponent);
}
