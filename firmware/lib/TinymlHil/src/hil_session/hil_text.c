/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_text.h"

#include "hil_setup.h"

#if HIL_MLPERF

enum { NOTHING = 0, A_FRAME = 1, A_COMMAND = 2 };

/* Between blocks: the kind of block that `byte` starts, if any. */
static uint8_t begins(hil_text_t *text, uint8_t byte) {
  const uint8_t zeros = text->zeros;

  if (byte == 0) {
    text->zeros = zeros ? 2 : 1;
    return NOTHING;
  }
  if (zeros == 0 && (byte == '\r' || byte == '\n')) {
    return NOTHING; /* the line end that a person typed */
  }
  text->zeros = 0;
  return zeros < 2 && byte >= 0x20 && byte <= 0x7e ? A_COMMAND : A_FRAME;
}

static void end(hil_text_t *text, uint8_t zeros) {
  text->inside = NOTHING;
  text->zeros = zeros;
  text->length = 0;
}

hil_text_event_t hil_text_push(hil_text_t *text, uint8_t byte) {
  const uint8_t length = text->length;

  if (text->inside == NOTHING) {
    text->inside = begins(text, byte);
  }
  if (text->inside != A_COMMAND) {
    if (byte == 0 && text->inside == A_FRAME) {
      end(text, 1);
    }
    return text->inside == NOTHING && byte != 0 ? HIL_TEXT_MORE : HIL_TEXT_FRAME;
  }
  if (byte == 0) {
    end(text, 1);
    return HIL_TEXT_DAMAGED;
  }
  if (byte == HIL_TEXT_END) {
    end(text, 0);
    if (length > HIL_TEXT_CHARACTERS) {
      return HIL_TEXT_TOO_LONG;
    }
    text->line[length] = '\0';
    return HIL_TEXT_COMMAND;
  }
  if (length < HIL_TEXT_CHARACTERS) {
    text->line[length] = (char)byte;
  }
  if (length <= HIL_TEXT_CHARACTERS) {
    text->length = (uint8_t)(length + 1u);
  }
  return HIL_TEXT_MORE;
}

#endif
