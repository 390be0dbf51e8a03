/* SPDX-License-Identifier: Apache-2.0 */
/* newlib requires these as soon as a library calls abort(), malloc() or printf(), as TFLM and
 * sketches do. The heap is what is free between the variables and the stack; our own code does not
 * use it. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "leave.h"

void _exit(int code);
int _kill(int process, int signal);
int _getpid(void);
void *_sbrk(ptrdiff_t more);
int _write(int file, const void *data, size_t size);
int _read(int file, void *data, size_t size);
int _close(int file);
int _fstat(int file, void *status);
int _isatty(int file);
long _lseek(int file, long offset, int origin);

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
extern uint32_t hil_heap_used;

uint32_t hil_heap_used; /* bytes that malloc took so far, which it does in steps */

void *_sbrk(ptrdiff_t more) {
  const ptrdiff_t used = (ptrdiff_t)hil_heap_used;
  const ptrdiff_t size = (ptrdiff_t)((uintptr_t)_stack_bottom - (uintptr_t)end);
  if (more > size - used || more < -used) {
    errno = ENOMEM;
    return (void *)-1;
  }
  void *const old = end + used;
  hil_heap_used = (uint32_t)(used + more);
  return old;
}

/* Libraries of a sketch may print: nobody reads it, and the line is for answers. */
int _write(int file, const void *data, size_t size) {
  (void)file;
  (void)data;
  return (int)size;
}

static int no_file(void) {
  errno = EBADF;
  return -1;
}

int _read(int file, void *data, size_t size) {
  (void)file;
  (void)data;
  (void)size;
  return no_file();
}

int _close(int file) {
  (void)file;
  return no_file();
}

int _fstat(int file, void *status) {
  (void)file;
  (void)status;
  return no_file();
}

int _isatty(int file) {
  (void)file;
  return 0;
}

long _lseek(int file, long offset, int origin) {
  (void)file;
  (void)offset;
  (void)origin;
  return no_file();
}
