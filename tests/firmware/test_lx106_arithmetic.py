# SPDX-License-Identifier: Apache-2.0
"""The LX106's software arithmetic, compiled for this machine and compared with its hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.firmware import FIRMWARE, STRICT, run

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]
BSP = FIRMWARE / "platforms/bare_metal/bsp/xtensa"

MAIN = r"""
#include <stdint.h>
#include <stdio.h>
#include <string.h>

float __addsf3(float a, float b);
float __subsf3(float a, float b);
float __mulsf3(float a, float b);
float __floatsisf(int32_t number);
float __floatunsisf(uint32_t number);
uint32_t __fixunssfsi(float a);
uint32_t __udivsi3(uint32_t number, uint32_t by);
uint32_t __umodsi3(uint32_t number, uint32_t by);
int32_t __divsi3(int32_t number, int32_t by);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t number, uint64_t by);
uint64_t __umoddi3(uint64_t number, uint64_t by);
int64_t __divdi3(int64_t number, int64_t by);

/* from libgcc; not in this machine's */
uint64_t __udivmoddi4(uint64_t number, uint64_t by, uint64_t *rest);
uint64_t __udivmoddi4(uint64_t number, uint64_t by, uint64_t *rest) {
  if (rest) *rest = number % by;
  return number / by;
}

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static float real(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static int failed;
static void same_real(const char *what, uint32_t a, uint32_t b, float got, float want) {
  if ((got != got && want != want) || memcmp(&got, &want, sizeof got) == 0) return;
  if (failed++ < 20) printf("%s %08x %08x: %a, not %a\n", what, a, b, got, want);
}
static void same(const char *what, uint64_t a, uint64_t b, uint64_t got, uint64_t want) {
  if (got == want) return;
  if (failed++ < 20) printf("%s %llx %llx: %llx, not %llx\n", what, (unsigned long long)a,
                            (unsigned long long)b, (unsigned long long)got,
                            (unsigned long long)want);
}
static void reals(uint32_t a, uint32_t b) {
  const float x = real(a), y = real(b);
  same_real("+", a, b, __addsf3(x, y), x + y);
  same_real("-", a, b, __subsf3(x, y), x - y);
  same_real("*", a, b, __mulsf3(x, y), x * y);
  same_real("int", a, 0, __floatsisf((int32_t)a), (float)(int32_t)a);
  same_real("unsigned", a, 0, __floatunsisf(a), (float)a);
  if (x > -1.0f && x < 4294967296.0f) same("to", a, 0, __fixunssfsi(x), (uint32_t)x);
}
static void integers(uint64_t a, uint64_t b) {
  const uint32_t n = (uint32_t)a, d = (uint32_t)b;
  same("u32 * u32", n, d, __umulsidi3(n, d), (uint64_t)n * d);
  same("u64 * u64", a, b, __muldi3(a, b), a * b);
  if (d != 0) {
    same("u32 / u32", n, d, __udivsi3(n, d), n / d);
    same("u32 % u32", n, d, __umodsi3(n, d), n % d);
    if (!(n == 0x80000000u && d == 0xFFFFFFFFu))
      same("i32 / i32", n, d, (uint32_t)__divsi3((int32_t)n, (int32_t)d),
           (uint32_t)((int32_t)n / (int32_t)d));
  }
  if (b != 0) {
    same("u64 / u64", a, b, __udivdi3(a, b), a / b);
    same("u64 % u64", a, b, __umoddi3(a, b), a % b);
    if (!(a == 0x8000000000000000u && b == UINT64_MAX))
      same("i64 / i64", a, b, (uint64_t)__divdi3((int64_t)a, (int64_t)b),
           (uint64_t)((int64_t)a / (int64_t)b));
  }
}

int main(void) {
  static const uint32_t magnitudes[] = {
      0,          1,          2,          3,          0x400000,   0x7FFFFE,   0x7FFFFF,
      0x800000,   0x800001,   0xFFFFFF,   0x1000000,  0x20000000, 0x33000000, 0x33800000,
      0x33800001, 0x34000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40000000,
      0x4B000000, 0x4B7FFFFF, 0x4B800000, 0x4B800001, 0x4F000000, 0x4F7FFFFF, 0x5F000000,
      0x7E800000, 0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000, 0x7FC00000};
  const unsigned count = sizeof magnitudes / sizeof magnitudes[0];
  static const uint64_t edges[] = {1, 2, 3, 7, 10, 255, 65535, 65536, 0x7FFFFFFF, 0x80000000u,
                                   0xFFFFFFFFu, 0x100000000u, 0x7FFFFFFFFFFFFFFFu,
                                   0x8000000000000000u, UINT64_MAX, 0};
  for (unsigned i = 0; i < 2 * count; i++)
    for (unsigned j = 0; j < 2 * count; j++)
      reals(magnitudes[i / 2] | (i % 2) << 31, magnitudes[j / 2] | (j % 2) << 31);
  for (unsigned i = 0; i < 16; i++)
    for (unsigned j = 0; j < 16; j++) integers(edges[i], edges[j]);
  for (unsigned i = 0; i < ROUNDS; i++) {
    const uint64_t both = next(), other = next();
    const uint32_t a = (uint32_t)both, b = (uint32_t)(both >> 32);
    reals(a, b);
    /* close exponents, so that mantissas overlap, and exponents of a subnormal product */
    reals(a, (b & 0x807FFFFFu) | ((a + ((b >> 23 & 0x3Fu) << 23) - (32u << 23)) & 0x7F800000u));
    reals(a, (b & 0x807FFFFFu) | ((0x34000000u + (b >> 23 & 0x3Fu) * 0x800000u - a) & 0x7F800000u));
    reals(a & 0xFFFF0000u, b & 0xFFF00000u); /* halves, to round to even */
    integers(both, other);
    integers(both >> (other & 63u), other >> (both & 63u));
  }
  printf("%d differ\n", failed);
  return failed != 0;
}
"""


def verdict(folder: Path, *sources: Path) -> str:
    (folder / "main.c").write_text(MAIN)
    # GCC must not replace these functions by builtins, nor fuse what the LX106 rounds twice
    flags = [*STRICT, "-O2", "-fno-builtin", "-ffp-contract=off", "-DROUNDS=1000000"]
    files = [str(folder / "main.c"), *map(str, sources)]
    run(["gcc", "-std=c11", *flags, *files, "-o", str(folder / "main")])
    return run([str(folder / "main")])


def test_every_result_equals_the_hardwares(tmp_path: Path) -> None:
    assert verdict(tmp_path, BSP / "float32.c", BSP / "integers.c") == "0 differ\n"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("rest == 4u && (bits & 1u) != 0u", "rest == 4u"),  # half up, not to even
        ("mantissa |= (uint32_t)(low != 0u);", ""),
        ("distance < 27 ?", "distance < 24 ?"),
        ("exponent > -27 ?", "exponent > -20 ?"),
        ("(a & ~SIGN) != 0u ? a : a & b", "a"),  # -0 + 0
    ],
)
def test_a_wrong_rounding_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    source = (BSP / "float32.c").read_text()
    assert source.count(right) == 1
    (tmp_path / "float32.c").write_text(source.replace(right, wrong))
    with pytest.raises(AssertionError, match="differ"):
        verdict(tmp_path, tmp_path / "float32.c", BSP / "integers.c")
