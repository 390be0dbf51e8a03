/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the fuzzers: they take input bytes one by one, and a failed check ends the program.
 * Each fuzzer defines LLVMFuzzerTestOneInput, which libFuzzer or replay.c calls. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
  const uint8_t *data;
  size_t left;
} fuzz_bytes_t;

/* The next byte; 0 at the end. */
static inline uint8_t fuzz_take(fuzz_bytes_t *from) {
  if (from->left == 0) {
    return 0;
  }
  from->left--;
  return *from->data++;
}

static inline uint32_t fuzz_take16(fuzz_bytes_t *from) {
  const uint32_t low = fuzz_take(from);

  return low | (uint32_t)fuzz_take(from) << 8;
}

static inline void fuzz_expect(int good, const char *what) {
  if (!good) {
    fprintf(stderr, "broken: %s\n", what);
    abort(); /* libFuzzer saves the input */
  }
}

#endif
