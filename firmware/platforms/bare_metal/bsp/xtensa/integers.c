/* SPDX-License-Identifier: Apache-2.0 */
/* Integer division and wide products. Debian's libgcc for the lx106 does not have these functions,
 * because an ESP8266 has them in ROM; QEMU does not have that ROM. GCC chose the names. */
#include <stdint.h>

uint32_t __udivsi3(uint32_t number, uint32_t by);
uint32_t __umodsi3(uint32_t number, uint32_t by);
int32_t __divsi3(int32_t number, int32_t by);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t number, uint64_t by);
uint64_t __umoddi3(uint64_t number, uint64_t by);
int64_t __divdi3(int64_t number, int64_t by);
uint64_t __udivmoddi4(uint64_t number, uint64_t by, uint64_t *rest); /* in libgcc */

static inline uint32_t divided(uint32_t number, uint32_t by, uint32_t *rest) {
  uint32_t quotient = 0;

  if (by == 0u) {
    __builtin_trap();
  }
  if (number >= by) {
    int32_t shift = __builtin_clz(by) - __builtin_clz(number);

    for (by <<= shift; shift >= 0; shift--, by >>= 1) {
      quotient <<= 1;
      if (number >= by) {
        number -= by;
        quotient |= 1u;
      }
    }
  }
  *rest = number;
  return quotient;
}

uint32_t __udivsi3(uint32_t number, uint32_t by) {
  uint32_t rest;

  return divided(number, by, &rest);
}

uint32_t __umodsi3(uint32_t number, uint32_t by) {
  uint32_t rest;

  (void)divided(number, by, &rest);
  return rest;
}

int32_t __divsi3(int32_t number, int32_t by) {
  uint32_t rest;
  const uint32_t size = divided(number < 0 ? 0u - (uint32_t)number : (uint32_t)number,
                                by < 0 ? 0u - (uint32_t)by : (uint32_t)by, &rest);

  return (int32_t)((number ^ by) < 0 ? 0u - size : size);
}

/* From halves of 16 bits, because the core's products have 32 bits. */
uint64_t __umulsidi3(uint32_t a, uint32_t b) {
  const uint32_t low = (a & 0xFFFFu) * (b & 0xFFFFu);
  const uint32_t one = (a >> 16) * (b & 0xFFFFu) + (low >> 16); /* no carry out of 32 bits */
  const uint32_t two = (a & 0xFFFFu) * (b >> 16) + (one & 0xFFFFu);
  const uint32_t high = (a >> 16) * (b >> 16) + (one >> 16) + (two >> 16);

  return (uint64_t)high << 32 | (two << 16 | (low & 0xFFFFu));
}

uint64_t __muldi3(uint64_t a, uint64_t b) {
  const uint32_t crossed = (uint32_t)a * (uint32_t)(b >> 32) + (uint32_t)(a >> 32) * (uint32_t)b;

  return __umulsidi3((uint32_t)a, (uint32_t)b) + ((uint64_t)crossed << 32);
}

uint64_t __udivdi3(uint64_t number, uint64_t by) { return __udivmoddi4(number, by, 0); }

uint64_t __umoddi3(uint64_t number, uint64_t by) {
  uint64_t rest;

  (void)__udivmoddi4(number, by, &rest);
  return rest;
}

int64_t __divdi3(int64_t number, int64_t by) {
  const uint64_t size = __udivmoddi4(number < 0 ? 0u - (uint64_t)number : (uint64_t)number,
                                     by < 0 ? 0u - (uint64_t)by : (uint64_t)by, 0);

  return (int64_t)((number < 0) != (by < 0) ? 0u - size : size);
}
