// The benchmark's firmware: the networks of one image behind a serial line.
#include <stdint.h>

#ifdef ARDUINO
#include <Arduino.h>  // declares setup and loop as the core calls them
#endif

#include "hil_context.h"  // the session lies in static memory, so its size must be known
#include "hil_engine.h"
#include "hil_image.h"
#include "hil_port.h"
#include "hil_session.h"

#ifndef HIL_FIRMWARE
#define HIL_FIRMWARE "tinyml-hil"
#endif
#ifndef HIL_TOOLCHAIN
#define HIL_TOOLCHAIN "gcc " __VERSION__
#endif
// A generator that does not count elements counts bytes, which are never fewer.
#ifndef HIL_INPUT_ELEMENTS
#define HIL_INPUT_ELEMENTS HIL_INPUT_BYTES
#endif
// A board short of RAM sets it lower: an int8 model then takes no float32 input but a small one.
#if defined(HIL_SHORT_OF_RAM) && HIL_INPUT_ELEMENTS > 64
#define HIL_MAX_PAYLOAD (HIL_INPUT_BYTES + HIL_REQUEST_HEAD)
#endif
#ifndef HIL_MAX_PAYLOAD
#define HIL_MAX_PAYLOAD HIL_MAX_PAYLOAD_OF(HIL_INPUT_ELEMENTS)
#endif

namespace {

static_assert(HIL_MODEL_COUNT >= 1 && HIL_MODEL_COUNT <= 255, "an image has 1 to 255 models");
static_assert(HIL_MAX_PAYLOAD >= HIL_INPUT_BYTES + HIL_REQUEST_HEAD,
              "the receive buffer is the model's input too");

alignas(16) uint8_t rx[HIL_RX_BYTES(HIL_MAX_PAYLOAD) + HIL_LOAD_BYTES(HIL_INPUT_ELEMENTS)];
alignas(16) uint8_t arena[HIL_ARENA_BYTES];
alignas(16) uint8_t output[HIL_OUTPUT_BYTES];
hil_session_t session;

}  // namespace

static void setup_firmware() {
  const hil_setup_t setup = {&hil_port_board,   HIL_FIRMWARE, HIL_TOOLCHAIN,   hil_models,
                             HIL_MODEL_COUNT,   rx,           HIL_MAX_PAYLOAD, arena,
                             sizeof arena,      output,       hil_port_write,  nullptr,
                             hil_port_set_baud, sizeof rx};
  hil_port_init();
  hil_session_init(&session, &setup);
}

static void loop_firmware() {
  uint8_t received[64];
  const size_t count = hil_port_read(received, sizeof received);
  for (size_t i = 0; i < count; i++) {
    hil_session_feed(&session, received[i]);
  }
}

#ifdef ARDUINO
void setup() { setup_firmware(); }
void loop() { loop_firmware(); }
#else
int main() {
  setup_firmware();
  for (;;) {
    loop_firmware();
  }
}
#endif
