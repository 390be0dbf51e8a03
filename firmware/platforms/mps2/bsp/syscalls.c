/* SPDX-License-Identifier: Apache-2.0 */
/* newlib requires these as soon as a library calls abort() or malloc(), as TFLM and sketches do.
 * The heap is what is free between the variables and the stack; our own code does not use it. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

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

extern char end[], _stack_bottom[]; /* of the linker script */

void *_sbrk(ptrdiff_t more) {
  static ptrdiff_t used;
  const ptrdiff_t size = (ptrdiff_t)((uintptr_t)_stack_bottom - (uintptr_t)end);
  if (more > size - used || more < -used) {
    errno = ENOMEM;
    return (void *)-1;
  }
  void *const old = end + used;
  used += more;
  return old;
}
