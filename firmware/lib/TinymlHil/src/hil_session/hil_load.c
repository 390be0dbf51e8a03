/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_load.h"

#include "hil_infer.h"
#include "hil_input.h"
#include "hil_more.h"
#include "hil_say.h"

#if HIL_MLPERF

enum { A_LINE = 8 }; /* bytes per line of `db print` */

HIL_COLD static int is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

HIL_COLD char *hil_next_word(char **rest) {
  char *at = *rest, *word;

  while (is_space(*at)) {
    at++;
  }
  word = at;
  while (*at != '\0' && !is_space(*at)) {
    at++;
  }
  *rest = *at == '\0' ? at : at + 1;
  *at = '\0';
  return at == word ? NULL : word;
}

HIL_COLD int32_t hil_number_of(const char *word) {
  int32_t number = 0;
  uint8_t digit;

  do {
    digit = (uint8_t)(*word - '0');
    if (digit > 9 || number > (INT32_MAX - digit) / 10) {
      return -1;
    }
    number = 10 * number + digit;
  } while (*++word != '\0');
  return number;
}

/* The first byte of the load. It is kept unchanged, after the input made from it; if the model
 * takes the bytes unchanged, the load is that input. */
HIL_COLD static uint8_t *kept(const hil_session_t *session) {
  const hil_mlperf_t *state = &session->mlperf;

  return state->in_place ? hil_input_of(session)
                         : session->setup.rx + session->setup.rx_size - state->wanted;
}

HIL_COLD static const hil_tensor_t *input(const hil_session_t *session) {
  return &session->setup.models[session->mlperf.model].input;
}

/* Starts a load if `bytes` is the size of an input and there is room for it. */
HIL_COLD static int begin(hil_session_t *session, uint8_t encoding, uint32_t bytes) {
  const hil_setup_t *setup = &session->setup;
  const uint32_t head = (uint32_t)(hil_input_of(session) - setup->rx);
  const uint32_t room = setup->rx_size > head ? setup->rx_size - head : 0;
  const uint8_t in_place =
      encoding == HIL_ENC_FLOAT32 && input(session)->dtype == HIL_FLOAT32; /* hil_input.c */
  const uint32_t converted = in_place ? 0 : hil_tensor_bytes(input(session));

  if (bytes != hil_input_wire_bytes(input(session), encoding) || bytes > room ||
      converted > room - bytes) {
    return 0;
  }
  session->mlperf.in_place = in_place;
  session->mlperf.encoding = encoding;
  session->mlperf.wanted = bytes;
  return 1;
}

HIL_COLD static void load(hil_session_t *session, const char *word) {
  const hil_model_t *model = &session->setup.models[session->mlperf.model];
  const int32_t bytes = word ? hil_number_of(word) : 0;

  session->mlperf.wanted = 0;
  session->mlperf.got = 0;
  if (hil_more(model) || !hil_is_plain(&model->input) || !hil_is_plain(&model->output)) {
    HIL_SAY(session, "e-[Model ");
    hil_say_text(session, model->name, 31);
    HIL_SAY(session, " cannot be loaded: ");
    HIL_SAY(session, "these commands are for one input and one output, and no state]\r\n");
  } else if (!word) {
    HIL_SAY(session, "e-[Command 'db load' requires the # of bytes]\r\n");
  } else if (bytes <= 0) {
    HIL_SAY(session, "e-[Command 'db load' must be >0 bytes]\r\n");
  } else if (begin(session, HIL_ENC_PIXELS, (uint32_t)bytes) ||
             begin(session, HIL_ENC_FLOAT32, (uint32_t)bytes)) {
    HIL_SAY(session, "m-[Expecting ");
    hil_say_number(session, (uint32_t)bytes);
    HIL_SAY(session, " bytes]\r\n");
  } else {
    HIL_SAY(session, "e-[Command 'db load' must be ");
    hil_say_number(session, input(session)->elements);
    HIL_SAY(session, " bytes, or four times that for float32 where it fits]\r\n");
  }
}

HIL_COLD static int value_of(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  digit |= 0x20; /* lower case */
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Takes all bytes of the line, or none if one is wrong, so that the line can be sent again. */
HIL_COLD static void take(hil_session_t *session, char *digits) {
  hil_mlperf_t *state = &session->mlperf;
  uint32_t length = 0, i;

  while (digits[length] != '\0') {
    length++;
  }
  if (length % 2u != 0) {
    HIL_SAY(session, "e-[Insufficent number of hex digits]\r\n");
    return;
  }
  if (state->got == state->wanted) {
    HIL_SAY(session, "e-[Command 'db' expects no bytes]\r\n");
    return;
  }
  length /= 2u;
  if (length > state->wanted - state->got) {
    length = state->wanted - state->got; /* ignore the excess */
  }
  for (i = 0; i < length; i++) {
    if (value_of(digits[2 * i]) < 0 || value_of(digits[2 * i + 1]) < 0) {
      HIL_SAY(session, "e-[Invalid hex digit '");
      hil_say_text(session, digits + 2 * i, 2);
      HIL_SAY(session, "']\r\n");
      return;
    }
  }
  for (i = 0; i < length; i++) {
    kept(session)[state->got++] =
        (uint8_t)(value_of(digits[2 * i]) << 4 | value_of(digits[2 * i + 1]));
  }
  if (state->got == state->wanted) {
    HIL_SAY(session, "m-load-done\r\n");
  }
}

HIL_COLD static void print(hil_session_t *session) {
  const uint8_t *bytes = kept(session);
  const uint32_t count = session->mlperf.got;
  char text[3 * A_LINE + 1]; /* "0a-0b-...-11\r\n" */
  uint8_t at = 0;
  uint32_t i;

  for (i = 0; i < count; i++) {
    if (at == 0) {
      HIL_SAY(session, "m-buffer-");
    }
    text[at++] = (char)(bytes[i] >> 4 < 10 ? '0' + (bytes[i] >> 4) : 'a' - 10 + (bytes[i] >> 4));
    text[at++] = (char)((bytes[i] & 15) < 10 ? '0' + (bytes[i] & 15) : 'a' - 10 + (bytes[i] & 15));
    if (i % A_LINE == A_LINE - 1 || i + 1 == count) {
      text[at] = '\0';
      hil_say_text(session, text, sizeof text);
      HIL_SAY(session, "\r\n");
      at = 0;
    } else {
      text[at++] = '-';
    }
  }
}

HIL_COLD void hil_load_command(hil_session_t *session, char *rest) {
  char *word = hil_next_word(&rest);

  if (!word) {
    HIL_SAY(session, "e-[Command 'db' requires a subcommand]\r\n");
  } else if (HIL_IS(word, "load")) {
    load(session, hil_next_word(&rest));
  } else if (HIL_IS(word, "print")) {
    print(session);
  } else {
    take(session, word);
  }
}

HIL_COLD int hil_load_input(hil_session_t *session) {
  const hil_mlperf_t *state = &session->mlperf;

  if (state->wanted == 0 || state->got != state->wanted) {
    return 0;
  }
  hil_input_convert_to(input(session), state->encoding, kept(session), hil_input_of(session));
  return 1;
}

#endif
