/* SPDX-License-Identifier: Apache-2.0 */
/* newlib requires these as soon as a library calls abort() or free(), as TFLM does. No heap. */
#include <errno.h>
#include <stddef.h>

#include "leave.h"

void _exit(int code);
int _kill(int process, int signal);
int _getpid(void);
void *_sbrk(ptrdiff_t more);

void _exit(int code) {
  leave((uint32_t)code);
  for (;;) {
  }
}

int _kill(int process, int signal) {
  (void)process;
  _exit(128 + signal);
  return -1;
}

int _getpid(void) { return 1; }

void *_sbrk(ptrdiff_t more) {
  (void)more;
  errno = ENOMEM;
  return (void *)-1;
}
