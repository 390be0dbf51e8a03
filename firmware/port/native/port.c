/* A process of this machine on a pty of its own: the protocol and the answers, no time at all.
 * Says `port <path>` on standard output once it can be opened. */
#define _GNU_SOURCE
#include <fcntl.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "hil_port.h"

enum { PATIENCE_MS = 2000 }; /* for a host that sends but never reads */

static int master = -1;
static struct timespec booted;

static void fail(const char *what) {
  perror(what);
  exit(71);
}

/* Raw, and held open by us too: without that every byte is lost until a host opens it, and
 * reading fails when the host closes it. */
static void open_pty(void) {
  struct termios settings;
  int slave;

  master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    fail("pty");
  }
  slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0 || tcgetattr(slave, &settings) != 0) {
    fail("pty");
  }
  cfmakeraw(&settings);
  if (tcsetattr(slave, TCSANOW, &settings) != 0) {
    fail("pty");
  }
  (void)printf("port %s\n", ptsname(master));
  (void)fflush(stdout);
}

static int wait_for(short events, int timeout_ms) {
  struct pollfd entry;

  entry.fd = master;
  entry.events = events;
  entry.revents = 0;
  return poll(&entry, 1, timeout_ms) > 0 && (entry.revents & events) != 0;
}

void hil_port_init(void) {
  clock_gettime(CLOCK_MONOTONIC, &booted);
  open_pty();
}

size_t hil_port_read(uint8_t *data, size_t limit) {
  ssize_t got;

  (void)wait_for(POLLIN, -1);
  got = read(master, data, limit);
  return got > 0 ? (size_t)got : 0;
}

void hil_port_write(void *context, const uint8_t *data, size_t length) {
  (void)context;
  while (length > 0 && wait_for(POLLOUT, PATIENCE_MS)) {
    const ssize_t sent = write(master, data, length);

    if (sent > 0) {
      data += sent;
      length -= (size_t)sent;
    }
  }
}

static void stopwatch_start(void) {}

static void stopwatch_stop(uint32_t *micros, uint32_t *ticks) {
  *micros = 0;
  *ticks = 0;
}

/* A process's stack and sections say nothing about a board's, but what is allocated is. */
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
    "native",       4,      HIL_ROOM_WAITS, 0,         0,      stopwatch_start,
    stopwatch_stop, memory, reset_marks,    uptime_ms, now_us, NULL};
