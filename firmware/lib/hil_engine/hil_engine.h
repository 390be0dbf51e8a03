/* The one interface between the firmware and any inference engine.
 *
 * An engine's generator writes, for one image, `hil_image.h` (the number of models and
 * the largest arena, input and output, as macros) and `hil_image.c` (the table below). The firmware
 * owns the buffers; an engine owns nothing and allocates nothing. */
#ifndef HIL_ENGINE_H
#define HIL_ENGINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_MAX_RANK 6

/* TFLite TensorType codes. */
enum { HIL_FLOAT32 = 0, HIL_UINT8 = 3, HIL_INT8 = 9 };

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
  HIL_ENGINE_ARENA = 1, /* the arena is too small: *needed says how much it takes */
  HIL_ENGINE_FAILED = 2 /* *needed carries the engine's own code */
} hil_engine_status_t;

#ifdef HIL_LAYERS
/* Told of each layer's output, in order, while it lies whole in memory. */
typedef struct hil_observer {
  void (*layer)(struct hil_observer *self, uint16_t layer, uint8_t dtype, const void *data,
                uint32_t bytes);
} hil_observer_t;
#endif

typedef struct hil_model {
  const char *name;   /* "student" */
  const char *engine; /* "aot" */
  uint8_t sha256[32]; /* of the .tflite file */
  hil_tensor_t input;
  hil_tensor_t output;
  uint32_t arena_bytes; /* RAM of one inference beyond input and output, enough anywhere */
  uint32_t flash_bytes; /* constants: weights, biases, multipliers */
  /* Called when the image switches to this model, and when HELLO asks what it takes; never timed.
   * OK: *needed is the bytes of arena it takes on this machine, arena_bytes at most. */
  hil_engine_status_t (*prepare)(const struct hil_model *self, void *arena, uint32_t arena_size,
                                 uint32_t *needed);
  /* Called after prepare, any number of times; this call alone is timed. Buffers are 16-byte
   * aligned and never overlap. */
  hil_engine_status_t (*invoke)(const struct hil_model *self, const void *input, void *output,
                                void *arena, uint32_t *needed);
  uint8_t probabilities; /* the graph's last operator makes them (a softmax, a sigmoid) */
#ifdef HIL_LAYERS
  uint16_t layers; /* how many `observe` tells of; 0: the engine has none to show */
  /* As invoke, and tells `observer`; NULL where there are no layers. */
  hil_engine_status_t (*observe)(const struct hil_model *self, const void *input, void *output,
                                 void *arena, uint32_t *needed, hil_observer_t *observer);
#endif
} hil_model_t;

/* Defined by the generated hil_image.c, HIL_MODEL_COUNT long. */
extern const hil_model_t hil_models[];

#ifdef __cplusplus
}
#endif
#endif
