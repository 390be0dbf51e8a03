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

/* What RESULT reports for `ticks`: one per instruction. */
static inline uint32_t instructions_in(uint64_t ticks) {
  const uint64_t one = (uint64_t)HIL_CLOCK_KHZ << HIL_ICOUNT_SHIFT; /* a millionth of its ticks */
  const uint64_t count = (ticks * 1000000u + one / 2) / one;

  return count < HIL_TICKS_WRAPPED ? (uint32_t)count : HIL_TICKS_WRAPPED;
}

#endif
