// SPDX-License-Identifier: Apache-2.0
#include "hil_tflm.h"

#include <setjmp.h>
#include <string.h>

#include <new>

#include "hil_tflm_arena.hpp"
#include "hil_tflm_ops.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using Interpreter = tflite::MicroInterpreter;

const uint32_t kAlignment = 16; /* of every TFLM buffer */

tflite::MicroMutableOpResolver<HIL_TFLM_OP_COUNT> resolver;
bool registered;

alignas(Interpreter) uint8_t space[sizeof(Interpreter)];
Interpreter *interpreter;
uint32_t allocated; /* bytes of the arena that the interpreter was set up in */

/* Allocates everything in the arena, in the order of TFLM's own default. */
bool set_up(const uint8_t *tflite, uint8_t *arena, uint32_t size) {
  hil_tflm::Arena *allocator = hil_tflm::Arena::create(arena, size);
  uint8_t *planner = allocator->AllocatePersistentBuffer(sizeof(tflite::GreedyMemoryPlanner),
                                                         alignof(tflite::GreedyMemoryPlanner));
  tflite::MicroAllocator *micro =
      tflite::MicroAllocator::Create(allocator, new (planner) tflite::GreedyMemoryPlanner());
  tflite::MicroResourceVariables *variables = nullptr;

  if (HIL_TFLM_VARIABLES > 0) {
    variables = tflite::MicroResourceVariables::Create(micro, HIL_TFLM_VARIABLES);
  }
  interpreter = new (static_cast<void *>(space))
      Interpreter(tflite::GetModel(tflite), resolver, micro, variables);
  allocated = size;
  return interpreter->AllocateTensors() == kTfLiteOk;
}

/* Returns false if `size` bytes are too few. The old interpreter is not destroyed: its destructor
 * would visit nodes in an arena that other models have overwritten, and it owns nothing else. */
bool allocate(const uint8_t *tflite, void *arena, uint32_t size) {
  jmp_buf way_out;

  if (setjmp(way_out) != 0) {
    hil_tflm::Arena::leave_to(nullptr);
    return false;
  }
  hil_tflm::Arena::leave_to(&way_out);
  const bool done = set_up(tflite, static_cast<uint8_t *>(arena), size);
  hil_tflm::Arena::leave_to(nullptr); /* a running operator allocates nothing */
  return done;
}

uint32_t size_of(const hil_tensor_t &tensor) {
  switch (tensor.dtype) {
    case HIL_INT64:
      return tensor.elements * 8u;
    case HIL_FLOAT32:
    case HIL_INT32:
      return tensor.elements * 4u;
    case HIL_INT16:
      return tensor.elements * 2u;
    default:
      return tensor.elements;
  }
}

/* Bytes from one tensor to the next in a buffer of several. */
uint32_t step_of(const hil_tensor_t &tensor) { return (size_of(tensor) + 3u) & ~3u; }

uint32_t inputs_of(const hil_model_t &model) { return 1u + (model.more ? model.more->inputs : 0u); }

uint32_t outputs_of(const hil_model_t &model) {
  return 1u + (model.more ? model.more->outputs : 0u);
}

const hil_tensor_t &input_of(const hil_model_t &model, uint32_t i) {
  return i == 0 ? model.input : model.more->input[i - 1];
}

const hil_tensor_t &output_of(const hil_model_t &model, uint32_t i) {
  return i == 0 ? model.output : model.more->output[i - 1];
}

/* Whether TFLM's inputs and outputs are those of the image's description. */
bool as_described(const hil_model_t &model) {
  if (interpreter->inputs_size() != inputs_of(model) ||
      interpreter->outputs_size() != outputs_of(model)) {
    return false;
  }
  for (uint32_t i = 0; i < inputs_of(model); i++) {
    if (interpreter->input(i)->bytes != size_of(input_of(model, i))) {
      return false;
    }
  }
  for (uint32_t i = 0; i < outputs_of(model); i++) {
    if (interpreter->output(i)->bytes != size_of(output_of(model, i))) {
      return false;
    }
  }
  return true;
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
  *needed = self->arena_bytes;           /* always enough; TFLM does not report the exact size */
  arena_size -= arena_size % kAlignment; /* so that the size reported below works again */
  if (!allocate(tflite, arena, arena_size)) {
    return arena_size < self->arena_bytes ? HIL_ENGINE_ARENA : failed(HIL_TFLM_ALLOCATE, needed);
  }
  /* Allocation needs more than what is in use afterwards: for alignment and for planning. */
  size = static_cast<uint32_t>(interpreter->arena_used_bytes());
  size = (size + kAlignment - 1) / kAlignment * kAlignment;
  while (size < arena_size && !allocate(tflite, arena, size)) {
    size += kAlignment;
  }
  if (size >= arena_size) {
    size = arena_size;
    (void)allocate(tflite, arena, size); /* this size worked above */
  }
  if (!as_described(*self)) {
    return failed(HIL_TFLM_TENSORS, needed);
  }
  *needed = size;
  return HIL_ENGINE_OK;
}

hil_engine_status_t hil_tflm_run(const hil_model_t *self, const void *input, void *output,
                                 uint32_t *needed) {
  const uint8_t *from = static_cast<const uint8_t *>(input);
  uint8_t *to = static_cast<uint8_t *>(output);

  for (uint32_t i = 0; i < inputs_of(*self); i++) {
    memcpy(interpreter->input(i)->data.data, from, size_of(input_of(*self, i)));
    from += step_of(input_of(*self, i));
  }
  if (interpreter->Invoke() != kTfLiteOk) {
    return failed(HIL_TFLM_INVOKE, needed);
  }
  for (uint32_t i = 0; i < outputs_of(*self); i++) {
    memcpy(to, interpreter->output(i)->data.data, size_of(output_of(*self, i)));
    to += step_of(output_of(*self, i));
  }
  return HIL_ENGINE_OK;
}

/* Interpreter::Reset would leave variables that CALL_ONCE initialises at zero. */
void hil_tflm_reset(const uint8_t *tflite, void *arena) {
  (void)allocate(tflite, arena, allocated); /* this size worked in prepare */
}
