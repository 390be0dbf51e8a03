/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a host's whole conversation with the session. The input determines the steps; most send
 * frames with a right COBS and CRC, because others do not get past the decoder. The last step is a
 * HELLO, which must be answered whatever came before it.
 *
 * Checked after every step: the guards around all buffers are intact, every reply is a complete
 * frame, at most one comes per delimiter, a complete request on its own gets one reply with its
 * number, and a text command gets printable lines that end with m-ready. */
#include <string.h>

#include "fake_board.h"
#include "fake_more.h"
#include "fuzz.h"

enum { RAW, FRAME, INPUT, OTHER_VERSION, DAMAGED, CUT_OFF, OVERSIZE, TIME, TEXT, STEPS };

static uint8_t line[2048];
static uint32_t length;
static uint32_t replies, delimiters;
static uint16_t number; /* of the last reply */
static const hil_model_t *models;
static uint8_t model_count;
static hil_decoder_t reply;

static void append(void *context, const uint8_t *data, size_t count) {
  (void)context;
  fuzz_expect(length + count <= sizeof line, "the fuzzer's own buffer");
  memcpy(line + length, data, count);
  length += (uint32_t)count;
}

#if HIL_MLPERF
/* Checks the answer to a command: printable lines, the last one m-ready. */
static void check_text(void) {
  static const char ready[] = "m-ready\r\n";
  const uint32_t size = sizeof ready - 1u;
  uint32_t i;

  fuzz_expect(
      fake.reply_length >= size && memcmp(fake.reply + fake.reply_length - size, ready, size) == 0,
      "a command without m-ready");
  for (i = 0; i < fake.reply_length; i++) {
    const uint8_t c = fake.reply[i];

    fuzz_expect((c >= 0x20 && c <= 0x7e) || c == '\r' || c == '\n', "an unprintable reply");
  }
}

/* Appends a command of MLPerf Tiny, or something similar. */
static void put_text(fuzz_bytes_t *from) {
  static const char *const words[] = {"%",
                                      "name%",
                                      "timestamp%",
                                      "profile%",
                                      "help%",
                                      "db load 4%",
                                      "db load 1%",
                                      "db load 16%",
                                      "db print%",
                                      "db 01fE0304%",
                                      "db 0000803f%",
                                      "db 01%",
                                      "db ",
                                      "db load ",
                                      "infer%",
                                      "infer 3 0%",
                                      "infer ",
                                      "infer 1 ",
                                      "results%",
                                      "model%",
                                      "model x%",
                                      "model greedy",
                                      "model broken%",
                                      "model fake_int8%",
                                      " ",
                                      "\r\n",
                                      "x%",
                                      "model fake_float32%"};
  const uint32_t last = sizeof words / sizeof words[0] - 1u;
  const uint32_t chosen = fuzz_take(from) % (last + 1u);
  const char *const word =
      chosen == last && models == more_models ? "model counter%" : words[chosen];
  uint32_t count = strlen(word);

  append(NULL, (const uint8_t *)word, count);
  if (word[count - 1u] == ' ') { /* arguments from the input, and the command's end */
    for (count = fuzz_take(from) % 100u; count > 0 && from->left > 0; count--) {
      const uint8_t byte = fuzz_take(from);
      append(NULL, &byte, 1);
    }
    append(NULL, (const uint8_t *)"%", 1);
  }
}
#endif

/* Sends the bytes in `line`, and checks everything that comes back. */
static void send(void) {
  uint32_t i, j;

  for (i = 0; i < length; i++) {
    fake.reply_length = 0;
    hil_session_feed(&fake.session, line[i]);
    delimiters += line[i] == 0;
#if HIL_MLPERF
    if (line[i] == HIL_TEXT_END && fake.reply_length > 0) {
      check_text();
      continue;
    }
#endif
    for (j = 0; j < fake.reply_length; j++) {
      const hil_decode_t kind = hil_decoder_push(&reply, fake.reply[j]);

      fuzz_expect(kind == HIL_DECODE_FRAME || kind == HIL_DECODE_MORE, "a broken reply");
      fuzz_expect((kind == HIL_DECODE_FRAME) == (fake.reply[j] == 0), "a reply without an end");
      if (kind == HIL_DECODE_FRAME) {
        fuzz_expect((reply.header.type & HIL_MSG_REPLY) != 0, "not a reply");
        number = reply.header.seq;
        replies++;
      }
    }
    fuzz_expect(replies <= delimiters, "a reply without a request");
  }
  length = 0;
  fuzz_expect(fake_guards_stand(), "written outside a buffer");
}

static void put_frame(uint8_t type, uint16_t seq, const uint8_t *payload, uint32_t count) {
  hil_encoder_t encoder;

  hil_encoder_begin(&encoder, append, NULL, type, seq);
  hil_encoder_put(&encoder, payload, count);
  hil_encoder_end(&encoder);
}

/* A complete request, not inside another one: answered once, with its number. */
static void ask(uint8_t type, uint16_t seq, const uint8_t *payload, uint32_t count) {
  static const uint8_t delimiters_two[2] = {0, 0}; /* with only one, it could look like text */
  uint32_t before;

  append(NULL, delimiters_two, 2);
  send();
  before = replies;
  put_frame(type, seq, payload, count);
  send();
  fuzz_expect(replies == before + 1u, "a request is not answered once");
  fuzz_expect(number == (count > FAKE_MAX_PAYLOAD ? 0 : seq), "the answer to another request");
}

/* A request with an input of the length that its encoding needs, sometimes off by a byte. */
static void ask_input(fuzz_bytes_t *from, uint16_t seq) {
  static const uint8_t types[] = {HIL_MSG_INFER, HIL_MSG_LAYERS, HIL_MSG_PROFILE};
  uint8_t payload[64] = {0};
  const uint8_t which = fuzz_take(from), shape = fuzz_take(from);
  const uint8_t type = shape == 0x5Au ? HIL_MSG_REPEAT : types[which % 3u];
  const uint8_t model = (uint8_t)(which / 3u % 5u);
  const uint8_t own = models == more_models && which >= 0x80u;
  uint8_t encoding = (uint8_t)(own ? HIL_ENC_OWN : 1u + shape % 3u);
  const uint32_t wanted = model >= model_count   ? 4u
                          : own && model == PAIR ? more_pair.input_bytes
                          : own && model == WIDE
                              ? 16u
                              : models[model].input.elements * (encoding == 3 ? 4u : 1u);
  uint32_t head = type == HIL_MSG_LAYERS ? 8u : 4u, count = wanted, i;

  if (shape & 0x80u) {
    encoding |= HIL_ENC_PACKED;
    head = type == HIL_MSG_INFER ? HIL_PACKED_HEAD : head;
    count = shape >> 2 & 15u;
  } else if ((shape & 0x70u) == 0x70u) {
    count += (shape & 8u) ? 1u : 0u - 1u;
  }
  payload[0] = model;
  payload[1] = encoding;
  payload[2] = head > 2u ? (uint8_t)(which >> 4 == 15 ? 255u : which >> 4 & 3u) : 0;
  payload[3] = payload[2] == 255u ? 255u : 0; /* layer 0xFFFF: the input */
  if (models == more_models && model == COUNTER && type == HIL_MSG_INFER && (shape & 8u)) {
    memcpy(payload + 2, &fake.session.steps.next, 2); /* so that a sequence continues */
  }
  if (type == HIL_MSG_LAYERS) {
    payload[4] = fuzz_take(from);
    payload[7] = payload[4] == 255u ? 255u : 0;
  }
  for (i = 0; i < count; i++) {
    payload[head + i] = fuzz_take(from);
  }
  ask(type, seq, payload, head + count);
  if (reply.header.type != HIL_MSG_ERROR) { /* check the result */
    fuzz_expect(model < model_count, "an answer from an unknown model");
    if (models == hil_models && model == FAKE_INT8 && type == HIL_MSG_INFER &&
        encoding == HIL_ENC_INT8) {
      const uint8_t *const output = reply.payload + sizeof(hil_result_t);

      fuzz_expect(count == wanted && output[0] == payload[4] && output[1] == payload[7],
                  "a wrong answer");
    }
  } else if (model >= model_count) { /* only INFER checks the model first */
    fuzz_expect(reply.payload[0] == HIL_ERR_MODEL || type != HIL_MSG_INFER, "another error");
  }
}

static void step(fuzz_bytes_t *from) {
  const uint8_t what = fuzz_take(from);
  const uint16_t seq = (uint16_t)(what * 257u);
  uint8_t payload[160];
  uint32_t count, at, i;
  uint8_t type;

  fake_ticks_more = what >> 4;
  switch (what % STEPS) {
    case RAW:
      for (count = fuzz_take(from); count > 0 && from->left > 0; count--) {
        const uint8_t byte = fuzz_take(from);
        append(NULL, &byte, 1);
      }
      send();
      return;
    case INPUT:
      ask_input(from, seq);
      return;
    case TEXT:
#if HIL_MLPERF
      put_text(from);
      send();
#endif
      return;
    case TIME: /* ms pass, and the stopwatch changes */
      fake_now += fuzz_take16(from) << (what >> 5);
      fake_ticks = fuzz_take16(from) << (what >> 3);
      return;
    default:
      break;
  }
  type = fuzz_take(from);
  type = type < 0xC0u ? (uint8_t)(1u + type % 8u) : type; /* mostly an existing type */
  count = fuzz_take(from) % (what % STEPS == OVERSIZE ? sizeof payload : FAKE_MAX_PAYLOAD + 1u);
  for (i = 0; i < count; i++) {
    payload[i] = fuzz_take(from);
  }
  if (what % STEPS == FRAME || what % STEPS == OVERSIZE) {
    ask(type, seq, payload, count);
    return;
  }
  if (what % STEPS == OTHER_VERSION) {
    const uint8_t header[4] = {fuzz_take(from), type, what, 0};
    hil_encoder_t encoder;

    hil_encoder_begin(&encoder, append, NULL, type, 0x0101);
    encoder.crc = 0; /* the header is still in the block: replace it */
    encoder.used = 0;
    hil_encoder_put(&encoder, header, sizeof header);
    hil_encoder_put(&encoder, payload, count);
    hil_encoder_end(&encoder);
  } else {
    put_frame(type, seq, payload, count);
    at = fuzz_take(from) % length;
    if (what % STEPS == CUT_OFF) {
      length = at;
    } else {
      line[at] ^= (uint8_t)(1u << (what >> 5));
    }
  }
  send();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t bytes[2048];
  fuzz_bytes_t from = {data, size};
  uint8_t overhead;

  fake_now = 0xFFFFFF00u; /* close to a wrap */
  overhead = fuzz_take(&from);
  models = overhead >= 0xE0u ? more_models : hil_models;
  model_count = models == more_models ? MORE_MODELS : HIL_MODEL_COUNT;
  if (models == more_models) {
    fake_boot_more(overhead);
  } else {
    fake_boot(overhead);
  }
  hil_decoder_init(&reply, bytes, sizeof bytes);
  length = replies = delimiters = 0;
  while (from.left > 0) {
    step(&from);
  }
  ask(HIL_MSG_HELLO, 0x4321, NULL, 0);
  fuzz_expect(reply.header.type == (HIL_MSG_REPLY | HIL_MSG_HELLO), "HELLO is refused");
  return 0;
}
