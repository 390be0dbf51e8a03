// SPDX-License-Identifier: Apache-2.0
// The benchmark's firmware: serves the networks of one image over a serial line.
#include <stdint.h>

#ifdef ARDUINO
#include <Arduino.h>  // declares setup and loop as the core calls them
#endif

#include "hil_engine/hil_engine.h"
#include "hil_image.h"
#include "hil_session/hil_context.h"  // the session lies in static memory, so its size must be known
#include "hil_session/hil_port.h"
#include "hil_session/hil_session.h"

#ifndef HIL_FIRMWARE
#define HIL_FIRMWARE "tinyml-hil"
#endif
#ifndef HIL_TOOLCHAIN
#define HIL_TOOLCHAIN "gcc " __VERSION__
#endif
// Without an element count, the byte count serves: it is never smaller.
#ifndef HIL_INPUT_ELEMENTS
#define HIL_INPUT_ELEMENTS HIL_INPUT_BYTES
#endif
// Smaller on a board short of RAM: an int8 model then takes only small inputs in float32.
#if defined(HIL_SHORT_OF_RAM) && HIL_INPUT_ELEMENTS > 64
#define HIL_MAX_PAYLOAD (HIL_INPUT_BYTES + HIL_REQUEST_HEAD)
#endif
#ifndef HIL_MAX_PAYLOAD
#define HIL_MAX_PAYLOAD HIL_MAX_PAYLOAD_WITH(HIL_INPUT_ELEMENTS, HIL_INPUT_BYTES)
#endif

namespace {

static_assert(HIL_MODEL_COUNT >= 1 && HIL_MODEL_COUNT <= 255, "an image has 1 to 255 models");
static_assert(HIL_MAX_PAYLOAD >= HIL_INPUT_BYTES + HIL_REQUEST_HEAD,
              "the receive buffer doubles as the model's input");

alignas(16) uint8_t rx[HIL_RX_BYTES(HIL_MAX_PAYLOAD) + HIL_LOAD_BYTES(HIL_INPUT_ELEMENTS)];
alignas(16) uint8_t arena[HIL_ARENA_BYTES];
alignas(16) uint8_t output[HIL_OUTPUT_BYTES];
hil_session_t session;

// __extension__: before C++20, designated initialisers are one of GCC and clang.
__extension__ const hil_setup_t SETUP = {
    .board = &hil_port_board,
    .firmware = HIL_FIRMWARE,
    .toolchain = HIL_TOOLCHAIN,
    .models = hil_models,
    .model_count = HIL_MODEL_COUNT,
    .rx = rx,
    .max_payload = HIL_MAX_PAYLOAD,
    .arena = arena,
    .arena_size = sizeof arena,
    .output = output,
    .convert = hil_input_convert,
    .write = hil_port_write,
    .write_context = nullptr,
    .set_baud = hil_port_set_baud,
    .rx_size = sizeof rx,
};

}  // namespace

void setup();  // called by the core, or by firmware/sketch/entry.cpp
void loop();

void setup() {
  hil_port_init(HIL_BAUD);
  hil_session_init(&session, &SETUP);
}

void loop() {
  uint8_t received[64];
  const size_t count = hil_port_read(received, sizeof received);
  for (size_t i = 0; i < count; i++) {
    hil_session_feed(&session, received[i]);
  }
}
