/* SPDX-License-Identifier: Apache-2.0 */
/* A process of this machine on its own pty: protocol and answers, but no timing. Prints
 * `port <path>` on standard output when the pty can be opened. */
#define _GNU_SOURCE
#ifdef __linux__
#include <malloc.h>
#endif
#ifdef HIL_MARKER_PIN
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#endif
#include <time.h>
#include <unistd.h>

#include "hil_port.h"
#include "native/pty.h"

static int master = -1;
static struct timespec booted;

void hil_port_init(uint32_t baud) {
  (void)baud;
  clock_gettime(CLOCK_MONOTONIC, &booted);
  master = pty_open();
}

size_t hil_port_read(uint8_t *data, size_t limit) {
  ssize_t got;

  (void)pty_wait(master, POLLIN, -1);
  got = read(master, data, limit);
  return got > 0 ? (size_t)got : 0;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  while (length > 0 && pty_wait(master, POLLOUT, PTY_PATIENCE_MS)) {
    const ssize_t sent = write(master, data, length);

    if (sent > 0) {
      data += sent;
      length -= (size_t)sent;
    }
  }
}

#ifdef HIL_MARKER_PIN
/* A process has no pin: each edge is a line `MICROSECONDS LEVEL` in the file HIL_MARKER_FILE. */
static uint32_t now_us(void);

static void mark(uint8_t high) {
  static int file = -1;
  char line[16];
  int length;

  if (file < 0) {
    const char *name = getenv("HIL_MARKER_FILE");

    file = name ? open(name, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
  }
  if (file >= 0) {
    length = snprintf(line, sizeof line, "%lu %u\n", (unsigned long)now_us(), high);
    if (write(file, line, (size_t)length) != length) {
      _exit(74);
    }
  }
}
#endif

static void stopwatch_start(void) {}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  *micros = 0;
  *ticks = 0;
}

/* Stack and sections of a process say nothing about those of a board; its heap use does. */
static void memory(hil_memory_t *out) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 heap = mallinfo2();

  out->heap_used = (uint32_t)(heap.uordblks + heap.hblkhd);
#else
  out->heap_used = HIL_HEAP_UNKNOWN;
#endif
}

static void reset_marks(void) {}

static uint32_t uptime_ms(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)((now.tv_sec - booted.tv_sec) * 1000 + (now.tv_nsec - booted.tv_nsec) / 1000000);
}

static uint32_t now_us(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)((now.tv_sec - booted.tv_sec) * 1000000 + (now.tv_nsec - booted.tv_nsec) / 1000);
}

const hil_board_t hil_port_board = {
    .name = "native",
    .window = 4,
    .room = HIL_ROOM_WAITS,
    .stopwatch_start = stopwatch_start,
    .stopwatch_stop = stopwatch_stop,
    .memory = memory,
    .reset_marks = reset_marks,
    .uptime_ms = uptime_ms,
    .now_us = now_us,
#ifdef HIL_MARKER_PIN
    .mark = mark,
#endif
};
