#include "hil_tflm.h"

#include <string.h>

#include <new>

#include "hil_tflm_ops.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using Interpreter = tflite::MicroInterpreter;

const uint32_t kAlignment = 16; /* TFLM's, of every buffer */
/* TFLM puts its own allocators into the arena first, and does not look whether they fit. */
const uint32_t kLeast = sizeof(tflite::SingleArenaBufferAllocator) +
                        sizeof(tflite::GreedyMemoryPlanner) + sizeof(tflite::MicroAllocator) +
                        8 * kAlignment;

tflite::MicroMutableOpResolver<HIL_TFLM_OP_COUNT> resolver;
bool registered;

alignas(Interpreter) uint8_t space[sizeof(Interpreter)];
Interpreter *interpreter;

/* The old interpreter is dropped, not destroyed: it would visit nodes that an arena long used by
 * others no longer holds, and owns nothing else. */
bool allocate(const uint8_t *tflite, void *arena, uint32_t size) {
  interpreter = new (static_cast<void *>(space))
      Interpreter(tflite::GetModel(tflite), resolver, static_cast<uint8_t *>(arena), size);
  return interpreter->AllocateTensors() == kTfLiteOk;
}

uint32_t size_of(const hil_tensor_t &tensor) {
  return tensor.elements * (tensor.dtype == HIL_FLOAT32 ? 4u : 1u);
}

hil_engine_status_t failed(uint32_t code, uint32_t *needed) {
  *needed = code;
  return HIL_ENGINE_FAILED;
}

}  // namespace

hil_engine_status_t hil_tflm_prepare(const hil_model_t *self, const uint8_t *tflite, void *arena,
                                     uint32_t arena_size, uint32_t *needed) {
  uint32_t size;

  if (!registered) {
    registered = HIL_TFLM_ADD_OPS(resolver);
    if (!registered) {
      return failed(HIL_TFLM_OPERATORS, needed);
    }
  }
  if (tflite::GetModel(tflite)->version() != TFLITE_SCHEMA_VERSION) {
    return failed(HIL_TFLM_SCHEMA, needed);
  }
  *needed = self->arena_bytes;           /* what certainly does: TFLM does not say what it lacks */
  arena_size -= arena_size % kAlignment; /* so that what is said here is said again, exactly */
  if (arena_size < kLeast) {
    return HIL_ENGINE_ARENA;
  }
  if (!allocate(tflite, arena, arena_size)) {
    return arena_size < self->arena_bytes ? HIL_ENGINE_ARENA : failed(HIL_TFLM_ALLOCATE, needed);
  }
  /* What is used is not enough to allocate in: buffers are aligned, and planning takes some. */
  size = static_cast<uint32_t>(interpreter->arena_used_bytes());
  size = (size + kAlignment - 1) / kAlignment * kAlignment;
  while (size < arena_size && !allocate(tflite, arena, size)) {
    size += kAlignment;
  }
  if (size >= arena_size) {
    size = arena_size;
    (void)allocate(tflite, arena, size); /* as above, where it did */
  }
  if (interpreter->input(0)->bytes != size_of(self->input) ||
      interpreter->output(0)->bytes != size_of(self->output)) {
    return failed(HIL_TFLM_TENSORS, needed);
  }
  *needed = size;
  return HIL_ENGINE_OK;
}

hil_engine_status_t hil_tflm_run(const hil_model_t *self, const void *input, void *output,
                                 uint32_t *needed) {
  memcpy(interpreter->input(0)->data.data, input, size_of(self->input));
  if (interpreter->Invoke() != kTfLiteOk) {
    return failed(HIL_TFLM_INVOKE, needed);
  }
  memcpy(output, interpreter->output(0)->data.data, size_of(self->output));
  return HIL_ENGINE_OK;
}
