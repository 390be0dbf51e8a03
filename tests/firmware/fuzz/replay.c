/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzzer without libFuzzer. `replay SEED ROUNDS FILE...` runs every file, then ROUNDS
 * inputs: files with random changes, or random bytes. */
#include <string.h>

#include "fuzz.h"

enum { FILES = 512, LONGEST = 4096 };

static uint8_t *contents[FILES];
static size_t sizes[FILES];
static uint32_t files;
static uint64_t state;

/* xorshift64*, Vigna 2016 */
static uint32_t below(uint32_t limit) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545F4914F6CDD1Dull) >> 32) % limit;
}

static void load(const char *name) {
  FILE *const file = fopen(name, "rb");
  uint8_t *const bytes = malloc(LONGEST);

  if (!file || !bytes || files == FILES) {
    fprintf(stderr, "%s cannot be read, or there are too many files\n", name);
    exit(2);
  }
  contents[files] = bytes;
  sizes[files++] = fread(bytes, 1, LONGEST, file);
  fclose(file);
}

/* Copies the input to a buffer of its exact size, so that ASan finds a read behind its end. */
static void try(const uint8_t *data, size_t size) {
  uint8_t *const copy = malloc(size ? size : 1u);

  if (!copy) {
    exit(2);
  }
  memcpy(copy, data, size);
  (void)LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static size_t make(uint8_t *bytes) {
  size_t size = below(200), i;
  uint32_t changes;

  if (files == 0 || below(4) == 0) {
    for (i = 0; i < size; i++) {
      bytes[i] = (uint8_t)below(below(2) ? 256 : 12);
    }
    return size;
  }
  size = 0;
  do { /* one file, or two in a row */
    const uint32_t which = below(files);
    const size_t room = LONGEST - size, length = sizes[which] < room ? sizes[which] : room;

    memcpy(bytes + size, contents[which], length);
    size += length;
  } while (below(3) == 0);
  for (changes = below(6); changes > 0 && size > 0; changes--) {
    const size_t at = below((uint32_t)size);

    if (below(4) == 0) { /* a byte lost */
      memmove(bytes + at, bytes + at + 1, size - at - 1u);
      size--;
    } else {
      bytes[at] = (uint8_t)(below(2) ? bytes[at] ^ 1u << below(8) : below(256));
    }
  }
  return size;
}

int main(int argc, char **argv) {
  static uint8_t bytes[LONGEST];
  uint32_t rounds, round;
  int i;

  if (argc < 3) {
    fprintf(stderr, "usage: %s SEED ROUNDS FILE...\n", argv[0]);
    return 2;
  }
  state = strtoull(argv[1], NULL, 10) * 2u + 1u;
  rounds = (uint32_t)strtoul(argv[2], NULL, 10);
  for (i = 3; i < argc; i++) {
    load(argv[i]);
    try(contents[files - 1u], sizes[files - 1u]);
  }
  for (round = 0; round < rounds; round++) {
    try(bytes, make(bytes));
  }
  for (i = 0; i < (int)files; i++) {
    free(contents[i]);
  }
  printf("%u files, %u rounds\n", files, rounds);
  return 0;
}
