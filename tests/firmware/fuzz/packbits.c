/* SPDX-License-Identifier: Apache-2.0 */
/* Compares hil_unpack, which works in place, with a simple unpacker. Input: spare bytes of the
 * buffer u8, wanted u16, then the packed bytes. */
#include <string.h>

#include "fuzz.h"
#include "hil_wire.h"

enum { GUARD = 16, MOST = 4096 };

/* TIFF 6.0, section 9, followed literally; adds the omitted trailing zeros. Returns 0 if the result
 * is not `wanted` bytes. */
static int plainly(const uint8_t *packed, size_t length, uint8_t *out, size_t wanted) {
  size_t at = 0, done = 0, i;

  while (at < length) {
    const int8_t head = (int8_t)packed[at++];

    if (head >= 0) {
      for (i = 0; i < (size_t)head + 1u; i++) {
        if (at >= length || done >= wanted) {
          return 0;
        }
        out[done++] = packed[at++];
      }
    } else if (head != -128) {
      for (i = 0; i < (size_t)(1 - head); i++) {
        if (at >= length || done >= wanted) {
          return 0;
        }
        out[done++] = packed[at];
      }
      at++;
    }
  }
  memset(out + done, 0, wanted - done);
  return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t space[GUARD + 2 * MOST + 256 + GUARD], plain[MOST];
  fuzz_bytes_t from = {data, size};
  const size_t spare = fuzz_take(&from);
  const size_t wanted = fuzz_take16(&from) % (MOST + 1u);
  const size_t length = from.left < MOST ? from.left : MOST;
  const size_t larger = length > wanted ? length : wanted;
  size_t room, found, i;
  const int right = plainly(from.data, length, plain, wanted);

  for (room = larger + spare;;
       room = length + wanted) { /* little room as in the session, then plenty */
    memset(space, 0x77, sizeof space);
    memcpy(space + GUARD + room - length, from.data, length);
    found = hil_unpack(space + GUARD, room, length, wanted);
    for (i = 0; i < GUARD; i++) {
      fuzz_expect(space[i] == 0x77 && space[GUARD + room + i] == 0x77, "written outside");
    }
    fuzz_expect(found == wanted || found > wanted, "neither unpacked nor refused");
    fuzz_expect(found != wanted || right, "unpacked damaged PackBits, or another length");
    fuzz_expect(found != wanted || memcmp(space + GUARD, plain, wanted) == 0, "other bytes");
    if (room == length + wanted) {
      break;
    }
  }
  fuzz_expect(!right || found == wanted, "refused with room for both");
  return 0;
}
