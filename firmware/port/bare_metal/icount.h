/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions from ticks of a timer that runs on QEMU's virtual time. Under -icount an instruction
 * takes 2^HIL_ICOUNT_SHIFT ns, as in the board's TOML file; the timer ticks HIL_CLOCK_KHZ times a
 * millisecond. With two ticks or more per instruction, rounding gives the exact count whenever the
 * timer was read. */
#ifndef HIL_ICOUNT_H
#define HIL_ICOUNT_H

#include <stdint.h>

#include "hil_messages.h"

enum { INSTRUCTIONS_A_SECOND = 1000000000 >> HIL_ICOUNT_SHIFT };

/* An instruction takes 2^(HIL_ICOUNT_SHIFT + 1) / PER_TICK ticks, so that no division is needed. */
enum { PER_TICK = 2000000 / HIL_CLOCK_KHZ };
HIL_STATIC_ASSERT(PER_TICK *HIL_CLOCK_KHZ == 2000000,
                  "a tick is a whole number of half nanoseconds");

/* What RESULT reports for `ticks`: one per instruction. */
static inline uint32_t instructions_in(uint64_t ticks) {
  const uint64_t count = (ticks * PER_TICK + (1u << HIL_ICOUNT_SHIFT)) >> (HIL_ICOUNT_SHIFT + 1);

  return count < HIL_TICKS_WRAPPED ? (uint32_t)count : HIL_TICKS_WRAPPED;
}

#endif
