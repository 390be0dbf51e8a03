/* SPDX-License-Identifier: Apache-2.0 */
/* The pty of a board that is a process of this machine. Define _GNU_SOURCE first. */
#ifndef HIL_PTY_H
#define HIL_PTY_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>

enum { PTY_PATIENCE_MS = 2000 }; /* for a host that sends but never reads */

static inline void pty_fail(const char *what) {
  perror(what);
  exit(71);
}

/* Opens a raw pty, prints `port <path>` and returns the master's descriptor. The slave stays open
 * here too: otherwise bytes are lost until a host opens it, and reading fails when the host closes
 * it. */
static inline int pty_open(void) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  struct termios settings;
  int slave;

  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    pty_fail("pty");
  }
  slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0 || tcgetattr(slave, &settings) != 0) {
    pty_fail("pty");
  }
  cfmakeraw(&settings);
  if (tcsetattr(slave, TCSANOW, &settings) != 0) {
    pty_fail("pty");
  }
  (void)printf("port %s\n", ptsname(master));
  (void)fflush(stdout);
  return master;
}

/* Whether one of `events` occurs within `timeout_ms`; negative: no limit. */
static inline int pty_wait(int master, short events, int timeout_ms) {
  struct pollfd entry = {.fd = master, .events = events};

  return poll(&entry, 1, timeout_ms) > 0 && (entry.revents & events) != 0;
}

#endif
