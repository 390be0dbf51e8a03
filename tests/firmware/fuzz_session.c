/* Throws random and mutated frames at decoder and session: `fuzz_session SEED ROUNDS`.
 * Built with ASan and UBSan by test_fuzz.py. Exits with 1, and says where, when an invariant
 * breaks: guards stand, every reply is a whole frame or, to a command, lines of text that end with
 * m-ready, at most one comes per delimiter, and a HELLO is answered whatever came before it. */
#include <stdio.h>
#include <stdlib.h>

#include "fake_board.h"
#include "golden.h"

static uint64_t state;

/* xorshift64*, Vigna 2016 */
static uint32_t any(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 0x2545F4914F6CDD1Dull) >> 32);
}

static uint32_t below(uint32_t limit) { return any() % limit; }

static uint8_t bytes[4096];
static uint32_t length;

static void append(void *context, const uint8_t *data, size_t count) {
  (void)context;
  if (length + count <= sizeof bytes) {
    memcpy(bytes + length, data, count);
    length += (uint32_t)count;
  }
}

static void append_random(uint32_t count) {
  while (count-- > 0) {
    const uint8_t byte = (uint8_t)(below(4) == 0 ? 0 : any());
    append(NULL, &byte, 1);
  }
}

/* Well framed, with a payload that may be anything. */
static void append_request(void) {
  static const uint8_t lengths[] = {0, 1, 2, 3, 4, 5, 8, 12, 19, 20, 21, 22, 60};
  uint8_t payload[64];
  hil_encoder_t encoder;
  uint32_t i, count = lengths[below(sizeof lengths)];

  for (i = 0; i < sizeof payload; i++) {
    payload[i] = (uint8_t)any();
  }
  payload[0] = (uint8_t)below(6); /* mostly a model that is there, */
  payload[1] = (uint8_t)below(5); /* mostly an encoding that is one, */
  payload[1] |= (uint8_t)(below(2) ? 0 : HIL_ENC_PACKED);
  if (below(2)) { /* and short runs, of which some unpack to what the model takes */
    for (i = below(2) ? 4 : 2; i < sizeof payload; i += 2) {
      payload[i] = (uint8_t)(below(2) ? 0u - below(5) : below(4));
    }
  }
  hil_encoder_begin(&encoder, append, NULL, (uint8_t)(below(8) ? 1 + below(5) : any()),
                    (uint16_t)any());
  hil_encoder_put(&encoder, payload, count);
  hil_encoder_end(&encoder);
}

static void append_golden(void) {
  const golden_frame_t *frame = &golden_frames[below(COUNT_OF(golden_frames))];

  append(NULL, (const uint8_t *)frame->encoded, frame->encoded_length);
}

/* A line of MLPerf Tiny's, or something like it. */
static void append_text(void) {
  static const char *const some[] = {"%",
                                     "name%",
                                     "db load 4%",
                                     "db 0102030%",
                                     "db 01fe0304%",
                                     "db 01%",
                                     "db load 16%",
                                     "infer%",
                                     "infer 3 0%",
                                     "results%",
                                     "profile%",
                                     "db print%",
                                     "help%",
                                     "model%",
                                     "model x",
                                     "model greedy%",
                                     "model fake_float32%",
                                     "model fake_int8%",
                                     "model broken%",
                                     "db 0000803f0000803f0000803f0000803f%",
                                     "\r\n",
                                     "infer 0%",
                                     "db load 4 4 4 4%",
                                     "timestamp%",
                                     "db load 1%"};
  const char *text = some[below(COUNT_OF(some))];

  append(NULL, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void mutate(void) {
  uint32_t at, count;

  for (count = below(4); count > 0 && length > 0; count--) {
    at = below(length);
    switch (below(4)) {
      case 0:
        bytes[at] ^= (uint8_t)(1u << below(8));
        break;
      case 1:
        bytes[at] = (uint8_t)any();
        break;
      case 2: /* a byte lost */
        memmove(bytes + at, bytes + at + 1, length - at - 1);
        length--;
        break;
      default: /* cut off */
        length = at;
        break;
    }
  }
}

static int expect(int good, const char *what, uint32_t round) {
  if (!good) {
    fprintf(stderr, "round %u: %s\n", round, what);
    exit(1);
  }
  return good;
}

/* What comes back for a command's end: printable lines, m-ready the last of them. */
static void expect_text(uint32_t round) {
  static const char ready[] = "m-ready\r\n";
  const uint32_t size = sizeof ready - 1u;
  uint32_t i;

  expect(fake.reply_length >= size, "a command without a reply", round);
  expect(memcmp(fake.reply + fake.reply_length - size, ready, size) == 0, "not ready", round);
  for (i = 0; i < fake.reply_length; i++) {
    const uint8_t c = fake.reply[i];
    expect((c >= 0x20 && c <= 0x7e) || c == '\r' || c == '\n', "an unprintable reply", round);
  }
}

/* Replies to what lies in `bytes`, each checked to be whole. */
static uint32_t feed_and_count(uint32_t round) {
  static uint8_t reply[2048];
  hil_decoder_t decoder;
  uint32_t i, j, delimiters = 0, replies = 0;

  hil_decoder_init(&decoder, reply, sizeof reply);
  for (i = 0; i < length; i++) {
    fake.reply_length = 0;
    fake_ticks = any();
    hil_session_feed(&fake.session, bytes[i]);
    delimiters += bytes[i] == 0;
    if (bytes[i] == '%' && fake.reply_length > 0) {
      expect_text(round);
      continue;
    }
    for (j = 0; j < fake.reply_length; j++) {
      const hil_decode_t kind = hil_decoder_push(&decoder, fake.reply[j]);
      expect(kind == HIL_DECODE_FRAME || kind == HIL_DECODE_MORE, "a broken reply", round);
      expect((kind == HIL_DECODE_FRAME) == (fake.reply[j] == 0), "a reply without an end", round);
      expect(kind != HIL_DECODE_FRAME || (decoder.header.type & HIL_MSG_REPLY), "no reply", round);
      replies += kind == HIL_DECODE_FRAME;
    }
  }
  expect(replies <= delimiters, "a reply without a request", round);
  expect(fake_guards_stand(), "written outside of a buffer", round);
  return replies;
}

int main(int argc, char **argv) {
  static const uint8_t delimiter = 0;
  uint32_t round, rounds, parts, replies = 0;
  hil_encoder_t encoder;

  state = argc > 1 ? strtoull(argv[1], NULL, 10) * 2u + 1u : 1u;
  rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000u;
  fake_boot(0);
  for (round = 0; round < rounds; round++) {
    length = 0;
    for (parts = 1 + below(4); parts > 0; parts--) {
      switch (below(HIL_MLPERF ? 6 : 4)) {
        case 0:
          append_random(below(300));
          break;
        case 1:
          append_golden();
          break;
        case 4:
        case 5:
          append_text();
          break;
        default:
          append_request();
          break;
      }
    }
    if (below(3) > 0) {
      mutate();
    }
    replies += feed_and_count(round);

    length = 0; /* whatever that was: a delimiter, then HELLO */
    append(NULL, &delimiter, 1);
    (void)feed_and_count(round);
    length = 0;
    hil_encoder_begin(&encoder, append, NULL, HIL_MSG_HELLO, (uint16_t)round);
    hil_encoder_end(&encoder);
    expect(feed_and_count(round) == 1, "HELLO is not answered", round);
    expect(fake.reply_length > 100, "HELLO is refused", round);
  }
  printf("%u rounds, %u replies\n", rounds, replies);
  return 0;
}
