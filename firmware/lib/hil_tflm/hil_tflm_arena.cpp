// SPDX-License-Identifier: Apache-2.0
#include "hil_tflm_arena.hpp"

#include <new>

#include "tensorflow/lite/micro/memory_helpers.h"

namespace hil_tflm {

namespace {

jmp_buf *exit_of_failures;

void fail() {
  if (exit_of_failures != nullptr) {
    longjmp(*exit_of_failures, 1);
  }
}

}  // namespace

Arena *Arena::create(uint8_t *arena, size_t size) {
  static_assert(sizeof(Arena) == sizeof(Base), "the arena of a model would grow");
  Arena first(arena, size);
  uint8_t *place = first.AllocatePersistentBuffer(sizeof(Arena), alignof(Arena));

  return place == nullptr ? nullptr : new (place) Arena(first); /* a copy: its place is taken */
}

void Arena::leave_to(jmp_buf *way_out) { exit_of_failures = way_out; }

/* The base class does not expose it, only the greater of it and the end of the planned memory. */
uint8_t *Arena::end_of_temp() const {
  return GetOverlayMemoryAddress() + GetNonPersistentUsedBytes();
}

/* The base class checks only the planned memory, and would hand out memory that temporary tensors
 * still use. */
uint8_t *Arena::AllocatePersistentBuffer(size_t size, size_t alignment) {
  if (size > static_cast<size_t>(tail() - end_of_temp()) ||
      tflite::AlignPointerDown(tail() - size, alignment) < end_of_temp()) {
    fail();
    return nullptr;
  }
  return Base::AllocatePersistentBuffer(size, alignment);
}

/* The base class computes the free space as an unsigned number, which becomes huge when alignment
 * alone crosses the tail. */
uint8_t *Arena::AllocateTemp(size_t size, size_t alignment) {
  const uint8_t *start = tflite::AlignPointerUp(end_of_temp(), alignment);

  if (start > tail() || size > static_cast<size_t>(tail() - start)) {
    fail();
    return nullptr;
  }
  return Base::AllocateTemp(size, alignment);
}

/* The same underflow. */
TfLiteStatus Arena::ResizeBuffer(uint8_t *buffer, size_t size, size_t alignment) {
  if (tflite::AlignPointerUp(GetOverlayMemoryAddress(), alignment) > tail() ||
      Base::ResizeBuffer(buffer, size, alignment) != kTfLiteOk) {
    fail();
    return kTfLiteError;
  }
  return kTfLiteOk;
}

}  // namespace hil_tflm
