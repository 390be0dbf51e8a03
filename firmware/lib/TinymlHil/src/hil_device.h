/* SPDX-License-Identifier: Apache-2.0 */
/* Turns any inference code into a device that tinyml-hil can bench: one callback computes an
 * answer, and this answers the host's requests over a serial line. Plain C for ESP-IDF, Zephyr and
 * bare metal; TinymlHil.h is the same for Arduino sketches. docs/your-sketch.md has examples.
 *
 * Static memory only: the caller owns the device and its two buffers. */
#ifndef HIL_DEVICE_H
#define HIL_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hil_session/hil_context.h" /* the session lies in the caller's static memory */
#include "hil_session/hil_input.h"
#include "hil_session/hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINYML_HIL_VERSION "0.1.0"

/* Error codes of a device, in `needed` of ERROR ENGINE. */
enum {
  HIL_DEVICE_REFUSED = 1,      /* predict returned false */
  HIL_DEVICE_WROTE_AFTER = 2,  /* predict wrote past the end of its output */
  HIL_DEVICE_WROTE_BEFORE = 3, /* predict wrote before the start of its output */
  HIL_DEVICE_CONFIG = 4        /* the configuration contradicts itself: see hil_device_init */
};

/* Bytes on both sides of the output that predict must not change. */
#define HIL_DEVICE_GUARD 16u

/* Size of the receive buffer, which is also the input, for `elements` values of `type`. For an int8
 * input that the host may send in float32, give float. */
#define HIL_DEVICE_RX_BYTES(elements, type) \
  HIL_RX_BYTES(HIL_REQUEST_HEAD + (uint32_t)(elements) * (uint32_t)sizeof(type))

/* Size of the output buffer: the output between two guards. */
#define HIL_DEVICE_OUT_BYTES(elements, type) \
  (2u * HIL_DEVICE_GUARD + (uint32_t)(elements) * (uint32_t)sizeof(type))

/* Both buffers begin at a multiple of 16, except on an AVR, which reads any type at any address. */
#ifdef __AVR__
#define HIL_DEVICE_ALIGNED
#else
#define HIL_DEVICE_ALIGNED __attribute__((aligned(16)))
#endif

/* Computes `out` from `in`; false if that failed. Both are aligned to 16 bytes. `in` may be
 * overwritten; `out` is filled with 0xFF before each call, which is NaN in float32. */
typedef bool (*hil_predict_t)(void *context, const void *in, void *out);

/* Defines `name`, a hil_predict_t that calls `function(const in_type *, out_type *)`. */
#define HIL_PREDICT(name, in_type, out_type, function)         \
  static bool name(void *context, const void *in, void *out) { \
    (void)context;                                             \
    return function((const in_type *)in, (out_type *)out);     \
  }

/* Leave what a program does not need at 0. The device keeps a pointer to it. */
typedef struct {
  const char *name;    /* of the sketch, UTF-8; HELLO carries 31 bytes of it */
  const char *version; /* of the sketch, UTF-8 */

  /* dtype, rank and dims; `elements` 0 means: the product of dims. real = (value - zero_point) *
   * scale; with scale 0, an int8 or uint8 input is a pixel (real = pixel / 255), and an output the
   * number itself. */
  hil_tensor_t input;
  hil_tensor_t output;

  /* hil_convert_to_float32 or hil_convert_to_int8, if the host may send pixels to a float32 or int8
   * input. NULL for uint8, which takes pixels unchanged, and if the host always sends the input's
   * own type. */
  hil_convert_t convert;

  hil_predict_t predict;
  void *context; /* passed to predict */

  uint8_t *rx; /* HIL_DEVICE_RX_BYTES, aligned to 16 bytes */
  uint32_t rx_size;
  uint8_t *out; /* HIL_DEVICE_OUT_BYTES, aligned to 16 bytes */
  uint32_t out_size;

  /* Reads up to `limit` received bytes and returns their number; may wait for the first one, or
   * return 0. Feeds the watchdog, if there is one. */
  size_t (*read)(uint8_t *data, size_t limit);
  /* Sends all bytes. */
  void (*write)(void *context, const uint8_t *data, size_t length);
  void *write_context;

  const uint8_t *sha256; /* optional: 32 bytes that name the network, such as its file's hash */

  /* The rest is optional, and only used by hil_device_init. */
  const char *board;        /* UTF-8, 63 bytes at most */
  const char *toolchain;    /* the same; default: the compiler of this library */
  uint8_t window;           /* as in hil_board_t; 0: one request at a time */
  uint8_t room;             /* as in hil_board_t */
  uint32_t tick_hz;         /* frequency of `ticks`, at least 1 MHz */
  uint32_t (*ticks)(void);  /* a counter that wraps at 2^32, such as DWT_CYCCNT */
  uint32_t (*micros)(void); /* a clock in microseconds that wraps at 2^32 */
  uint32_t (*millis)(void); /* since boot; default: from micros, which wraps after 71 minutes */
  void (*memory)(hil_memory_t *memory);
  void (*reset_marks)(void);                         /* of `memory`: the deepest use of the stack */
  void (*alive)(void);                               /* as in hil_board_t */
  uint8_t (*set_baud)(uint32_t baud, uint8_t apply); /* as in hil_setup_t */
  void (*mark)(uint8_t high);                        /* as in hil_board_t */
} hil_device_config_t;

typedef struct {
  hil_model_t model; /* must come first: the session sees only this */
  hil_session_t session;
  const hil_device_config_t *config;
  uint8_t contradicts; /* the configuration contradicts itself */
  char firmware[65];   /* one byte more than HELLO carries, so that it is cut between characters */
} hil_device_t;

/* Starts a device; there can be only one in a program. False if the configuration contradicts
 * itself: `elements` is not the product of dims, a buffer is too small or not aligned, a type is
 * not known, or predict is missing. The device then answers HELLO, and every inference with ERROR
 * ENGINE 4. Without read, write or a receive buffer of HIL_RX_BYTES(0) it is silent. */
bool hil_device_init(hil_device_t *device, const hil_device_config_t *config);

/* The same on a board that has a port: `board` has everything that is optional above. */
bool hil_device_init_on(hil_device_t *device, const hil_device_config_t *config,
                        const hil_board_t *board);

/* Reads what was received, 64 bytes at most, and answers complete requests. Call it in a loop. */
void hil_device_poll(hil_device_t *device);

#ifdef __cplusplus
}
#endif
#endif
