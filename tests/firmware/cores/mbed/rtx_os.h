/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STUB_RTX_OS_H
#define STUB_RTX_OS_H
#include <stdint.h>
typedef void *osThreadId_t;
struct osRtxThread_t {
  void *stack_mem;
  uint32_t stack_size;
};
extern "C" osThreadId_t osThreadGetId();
#endif
