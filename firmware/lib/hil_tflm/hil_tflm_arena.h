/* TFLM's allocator of one arena, whose failures leave.
 *
 * TFLM's kernels take memory without looking whether they got it: the checks are debug assertions,
 * which its release build drops, and a convolution then writes through null. So a failed allocation
 * does not return here; it jumps back to whoever sets TFLM up. C++ only. */
#ifndef HIL_TFLM_ARENA_H
#define HIL_TFLM_ARENA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"

namespace hil_tflm {

/* Takes of the arena what its base does, to the byte. */
class Arena final : public tflite::SingleArenaBufferAllocator {
 public:
  /* The allocator, itself at the end of `arena`, which is 16-byte aligned and of any size. */
  static Arena *create(uint8_t *arena, size_t size);

  /* Where failures jump to from now on, of every arena; null: they return null, as the base's do.
   * Between setjmp and the jump nothing may live whose destructor does something: it is skipped. */
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
