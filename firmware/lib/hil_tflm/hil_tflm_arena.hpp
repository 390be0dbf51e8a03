// SPDX-License-Identifier: Apache-2.0
/* TFLM's allocator of one arena, in which a failed allocation does not return.
 *
 * TFLM's kernels do not check whether an allocation succeeded: the checks are debug assertions,
 * which its release build removes, and a convolution then writes through a null pointer. So a
 * failure here jumps back to the code that sets TFLM up. C++ only. */
#ifndef HIL_TFLM_ARENA_H
#define HIL_TFLM_ARENA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"

namespace hil_tflm {

/* Uses exactly as many bytes of the arena as its base class. */
class Arena final : public tflite::SingleArenaBufferAllocator {
 public:
  /* Puts the allocator at the end of `arena`, which is 16-byte aligned and may have any size. */
  static Arena *create(uint8_t *arena, size_t size);

  /* Sets where failures of every arena jump to. With null they return null, as in the base class.
   * The jump skips destructors: between it and setjmp, only trivial ones are allowed. */
  static void leave_to(jmp_buf *way_out);

  uint8_t *AllocatePersistentBuffer(size_t size, size_t alignment) override;
  uint8_t *AllocateTemp(size_t size, size_t alignment) override;
  TfLiteStatus ResizeBuffer(uint8_t *buffer, size_t size, size_t alignment) override;

 private:
  using Base = tflite::SingleArenaBufferAllocator;
  using Base::Base;

  uint8_t *end_of_temp() const;
};

}  // namespace hil_tflm

#endif
