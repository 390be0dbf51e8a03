/* SPDX-License-Identifier: Apache-2.0 */
/* The interface between the firmware and every inference engine.
 *
 * For one image, an engine's generator writes `hil_image.h` (macros: the number of models, the
 * largest arena, input and output) and `hil_image.c` (the table below). The firmware owns the
 * buffers; an engine owns no memory and allocates none. */
#ifndef HIL_ENGINE_H
#define HIL_ENGINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_MAX_RANK 6

/* TFLite TensorType codes. */
enum {
  HIL_FLOAT32 = 0,
  HIL_INT32 = 2,
  HIL_UINT8 = 3,
  HIL_INT64 = 4,
  HIL_BOOL = 6,
  HIL_INT16 = 7,
  HIL_INT8 = 9
};

typedef struct {
  uint8_t dtype;
  uint8_t rank;
  uint32_t dims[HIL_MAX_RANK];
  uint32_t elements;
  float scale;
  int32_t zero_point;
} hil_tensor_t;

typedef enum {
  HIL_ENGINE_OK = 0,
  HIL_ENGINE_ARENA = 1, /* the arena is too small: *needed is the required size */
  HIL_ENGINE_FAILED = 2 /* *needed is the engine's own error code */
} hil_engine_status_t;

#ifdef HIL_LAYERS
/* Called with each layer's output, in order, while all of it is in memory. */
typedef struct hil_observer {
  void (*layer)(struct hil_observer *self, uint16_t layer, uint8_t dtype, const void *data,
                uint32_t bytes);
} hil_observer_t;
#endif

/* Of a model with several inputs or outputs, or with state. Several inputs (outputs) are in one
 * buffer, in order, each at the next multiple of 4 bytes. */
typedef struct {
  uint8_t inputs;            /* how many in addition to hil_model_t's input */
  uint8_t outputs;           /* the same of outputs */
  const hil_tensor_t *input; /* the additional ones */
  const hil_tensor_t *output;
  uint32_t input_bytes; /* of the buffer with all of them */
  uint32_t output_bytes;
  /* Forgets all earlier inferences; prepare does the same. NULL: the model keeps no state. Until
   * the next prepare, the arena belongs to a model that has it, between its inferences too. */
  void (*reset)(void *arena);
} hil_more_t;

typedef struct hil_model {
  const char *name;   /* "student" */
  const char *engine; /* "aot" */
  uint8_t sha256[32]; /* of the .tflite file */
  hil_tensor_t input;
  hil_tensor_t output;
  uint32_t arena_bytes; /* RAM of one inference besides input and output, on any machine */
  uint32_t flash_bytes; /* constants: weights, biases, multipliers */
  /* Called when the image switches to this model, and when HELLO asks for its arena; never timed.
   * On OK, *needed is the arena it uses on this machine: at most arena_bytes. */
  hil_engine_status_t (*prepare)(const struct hil_model *self, void *arena, uint32_t arena_size,
                                 uint32_t *needed);
  /* Called after prepare, any number of times; only this call is timed. The buffers are 16-byte
   * aligned and do not overlap. */
  hil_engine_status_t (*invoke)(const struct hil_model *self, const void *input, void *output,
                                void *arena, uint32_t *needed);
  uint8_t probabilities; /* the outputs are probabilities: the graph ends in softmax or sigmoid */
  /* Called after invoke, whatever that returned; never timed. Not OK: the output is not valid, and
   * *needed is the engine's own error code. NULL if there is nothing to check. */
  hil_engine_status_t (*verify)(const struct hil_model *self, const void *output, uint32_t *needed);
  const hil_more_t *more; /* NULL: one input, one output, no state */
#ifdef HIL_LAYERS
  uint16_t layers; /* how many `observe` reports; 0: the engine reports none */
  /* As invoke, and calls `observer`; NULL if there are no layers. */
  hil_engine_status_t (*observe)(const struct hil_model *self, const void *input, void *output,
                                 void *arena, uint32_t *needed, hil_observer_t *observer);
#endif
} hil_model_t;

/* Defined in the generated hil_image.c, HIL_MODEL_COUNT entries. */
extern const hil_model_t hil_models[];

#ifdef __cplusplus
}
#endif
#endif
