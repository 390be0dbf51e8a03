/* SPDX-License-Identifier: Apache-2.0 */
/* Where constants lie, what the core multiplies with, and how kernels are declared.
 * Every generated header contains this file. The number in the guards changes when headers of
 * different versions no longer fit together. */
#include <stdint.h>

/* ==== what generated headers contain ==== */
#if defined(HIL_AOT_HELPERS_1) || defined(HIL_AOT_HELPERS_2)
#error "an older tinyml-hil generated the header above this one: export both of them again"
#endif
#ifndef HIL_AOT_BASE_3
#define HIL_AOT_BASE_3

/* Constants stay in flash: an array is `static HIL_FLASH float w[2] HIL_PROGMEM`, a pointer to it
 * `HIL_FLASH float *p`, and a value is read by `hil_read_f32(p)`, never by `*p`. An AVR would copy
 * an ordinary constant to RAM. GCC's C for it knows __flash, its C++ and its strict C do not. */
#if defined(__FLASH) && !defined(__STRICT_ANSI__)
#define HIL_FLASH const __flash
#define HIL_PROGMEM
#else
#define HIL_FLASH const
#endif
#if defined(__AVR__) && !defined(HIL_PROGMEM)
#include <avr/pgmspace.h>
#define HIL_PROGMEM PROGMEM
static inline int8_t hil_read_i8(const int8_t *p) { return (int8_t)pgm_read_byte(p); }
static inline uint8_t hil_read_u8(const uint8_t *p) { return pgm_read_byte(p); }
static inline int16_t hil_read_i16(const int16_t *p) { return (int16_t)pgm_read_word(p); }
static inline int32_t hil_read_i32(const int32_t *p) { return (int32_t)pgm_read_dword(p); }
static inline int64_t hil_read_i64(const int64_t *p) {
  int64_t value;
  memcpy_P(&value, p, 8);
  return value;
}
static inline float hil_read_f32(const float *p) { return pgm_read_float(p); }
#else
#define hil_read_i8(p) (*(p))
#define hil_read_u8(p) (*(p))
#define hil_read_i64(p) (*(p))
#define hil_read_i16(p) (*(p))
#define hil_read_i32(p) (*(p))
#define hil_read_f32(p) (*(p))
#endif
#if defined(__IMXRT1062__) && !defined(HIL_PROGMEM) /* Teensy 4 copies other constants to RAM */
#define HIL_PROGMEM __attribute__((section(".progmem")))
#endif
#ifndef HIL_PROGMEM /* a build may name a section, where the linker keeps constants in RAM */
#define HIL_PROGMEM
#endif

/* Cortex-M4/M7/M33: two 16-bit products per instruction. The results are the same without. */
#if !defined(HIL_NO_DSP) && defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && \
    defined(__thumb2__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define HIL_DSP 1
#else
#define HIL_DSP 0
#endif

/* Cortex-M55 and M85: vectors of integers. The results are the same without. Not without the
 * optimiser, which would need registers for other things. */
#if !defined(HIL_NO_MVE) && HIL_DSP && defined(__ARM_FEATURE_MVE) && defined(__OPTIMIZE__)
#define HIL_MVE (__ARM_FEATURE_MVE & 1)
#else
#define HIL_MVE 0
#endif

/* Xtensa with the MAC16 option (ESP32, S2, S3): a 16-bit product, its addition and a load in one
 * instruction. The results are the same without. GCC 13 and later know the core's options, before
 * that its header does. */
#if !defined(HIL_NO_MAC16) && defined(__XTENSA_EL__) && defined(__GNUC__)
#if defined(__XCHAL_HAVE_MAC16)
#define HIL_MAC16 \
  (__XCHAL_HAVE_MAC16 && __XCHAL_HAVE_LOOPS && __XCHAL_HAVE_CLAMPS && __XCHAL_HAVE_MINMAX)
#elif defined(__has_include)
#if __has_include(<xtensa/config/core-isa.h>)
#include <xtensa/config/core-isa.h>
#endif
#endif
#if !defined(HIL_MAC16) && defined(XCHAL_HAVE_MAC16)
#define HIL_MAC16 (XCHAL_HAVE_MAC16 && XCHAL_HAVE_LOOPS && XCHAL_HAVE_CLAMPS && XCHAL_HAVE_MINMAX)
#endif
#endif
#ifndef HIL_MAC16
#define HIL_MAC16 0
#endif

/* RISC-V with 31 registers of 32 bits and a multiplier, such as the ESP32-C3's: enough for sixteen
 * sums. The results are the same without. */
#if !defined(HIL_NO_RV32) && defined(__riscv) && __riscv_xlen == 32 && defined(__riscv_mul) && \
    !defined(__riscv_32e) && defined(__GNUC__)
#define HIL_RV32 1
#else
#define HIL_RV32 0
#endif

/* No instruction for the high word of a product: Cortex-M0 and M0+, LX106. */
#if (defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1) || \
    (defined(__XTENSA__) && !(defined(XCHAL_HAVE_MUL32_HIGH) && XCHAL_HAVE_MUL32_HIGH))
#define HIL_SHORT_PRODUCTS 1
#else
#define HIL_SHORT_PRODUCTS 0
#endif

/* Neither two products in an instruction nor products of bytes. */
#if !HIL_DSP && !HIL_MAC16 && !defined(__AVR__)
#define HIL_SINGLES 1
#else
#define HIL_SINGLES 0
#endif
/* Keeps loads after it: GCC would load all values of an unrolled loop first, and then keep the sums
 * on the stack. */
#if (HIL_SINGLES || HIL_MVE) && defined(__GNUC__)
#define HIL_IN_ORDER __asm__ volatile("" ::: "memory")
#else
#define HIL_IN_ORDER (void)0
#endif

/* Cortex-M0, M0+ and M23, whose other instructions do not matter here. */
#if !defined(HIL_NO_THUMB1) && defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && \
    defined(__thumb__) && defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define HIL_THUMB1 1
#else
#define HIL_THUMB1 0
#endif

#if HIL_DSP || HIL_RV32 || HIL_THUMB1 /* functions in assembly */
#define HIL_UNUSED __attribute__((unused))
#ifdef __clang__
#define HIL_NAKED __attribute__((naked, noinline, unused)) static void
#else /* noipa: assume neither preserved registers nor known arguments */
#define HIL_NAKED __attribute__((naked, noinline, noipa, unused)) static void
#endif
#endif

#if defined(__GNUC__)
#define HIL_ALIGNED __attribute__((aligned(4)))
/* Not inlined: a kernel needs all registers, and would share them with outer loops. */
#define HIL_KERNEL static __attribute__((noinline, unused)) void
#else
#define HIL_ALIGNED
#define HIL_KERNEL static inline void
#endif
#if HIL_DSP /* fewer registers than values: leave in memory those that are there */
#define HIL_DSP_KERNEL HIL_KERNEL
#else
#define HIL_DSP_KERNEL static inline void
#endif

#endif /* HIL_AOT_BASE_3 */
