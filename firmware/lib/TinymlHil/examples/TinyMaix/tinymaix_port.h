/* SPDX-License-Identifier: Apache-2.0 */
/* The options of TinyMaix that its include/tm_port.h holds: include this before <tinymaix.h>.
 * No printf, no clock and no heap. */
#ifndef TINYMAIX_PORT_H
#define TINYMAIX_PORT_H
#define __TM_PORT_H /* so that include/tm_port.h is empty */

#include <stddef.h>
#include <stdint.h>

/* names of the values below, as <tinymaix.h> and src/ test them */
#define TM_ARCH_CPU 0
#define TM_ARCH_ARM_SIMD 1
#define TM_ARCH_ARM_NEON 2
#define TM_ARCH_ARM_MVEI 3
#define TM_ARCH_RV32P 4
#define TM_ARCH_RV64V 5
#define TM_ARCH_CSKYV2 6
#define TM_ARCH_X86_SSE2 7
#define TM_OPT0 0
#define TM_OPT1 1

#define TM_ARCH TM_ARCH_CPU /* plain C */
#define TM_OPT_LEVEL TM_OPT0
#define TM_MDL_TYPE TM_MDL_INT8
#define TM_FASTSCALE 0
#define TM_LOCAL_MATH 0
#define TM_ENABLE_STAT 0
/* The largest channels, kernel, and kernel times channels of the network: four, one and one byte
 * each, in static memory. */
#define TM_MAX_CSIZE 64
#define TM_MAX_KSIZE (5 * 5)
#define TM_MAX_KCSIZE (3 * 3 * 64)

#define TM_INLINE __attribute__((always_inline)) static inline
#define TM_WEAK __attribute__((weak))
#define tm_malloc(size) NULL /* tm_load() is given a buffer */
#define tm_free(memory) ((void)(memory))
#define TM_PRINTF(...) ((void)0)
#define TM_DBGT_INIT() ((void)0)
#define TM_DBG(...)
#define TM_PERF_REG(name)
#define TM_PERF_EXTREG(name)
#define TM_PERF_INIT(name)
#define TM_PERF_START(name)
#define TM_PERF_ADD(name)

#endif
