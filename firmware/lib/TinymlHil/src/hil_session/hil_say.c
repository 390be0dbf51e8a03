/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_say.h"

#if HIL_MLPERF

HIL_COLD static void out(hil_session_t *session, const char *text, uint32_t length) {
  if (length > 0) {
    session->setup.write(session->setup.write_context, (const uint8_t *)text, length);
  }
}

HIL_COLD void hil_say(hil_session_t *session, const char *words, uint32_t length) {
#ifdef __AVR__
  char some[32];
  uint32_t count;

  for (; length > 0; length -= count, words += count) {
    count = length < sizeof some ? length : sizeof some;
    memcpy_P(some, words, count);
    out(session, some, count);
  }
#else
  out(session, words, length);
#endif
}

HIL_COLD int hil_same(const char *one, const char *other) {
  while (*one != '\0' && *one == *other) {
    one++;
    other++;
  }
  return *one == *other;
}

HIL_COLD int hil_is(const char *word, const char *literal) {
#ifdef __AVR__
  return strcmp_P(word, literal) == 0;
#else
  return hil_same(word, literal);
#endif
}

HIL_COLD void hil_say_text(hil_session_t *session, const char *text, uint8_t limit) {
  char some[32];
  uint32_t count = 0;

  for (; *text != '\0' && limit > 0; text++, limit--) {
    some[count++] = (char)(*text < 0x20 || *text > 0x7e ? '?' : *text == ']' ? ')' : *text);
    if (count == sizeof some) {
      out(session, some, count);
      count = 0;
    }
  }
  out(session, some, count);
}

/* Sends the last `digits` digits of `number`; all of them if `digits` is 0. */
HIL_COLD static void say_digits(hil_session_t *session, uint32_t number, uint8_t digits) {
  char text[10];
  uint8_t at = sizeof text;

  do {
    text[--at] = (char)('0' + number % 10u);
    number /= 10u;
  } while (digits ? sizeof text - at < digits : number > 0);
  out(session, text + at, sizeof text - at);
}

HIL_COLD void hil_say_number(hil_session_t *session, uint32_t number) {
  say_digits(session, number, 0);
}

HIL_COLD void hil_say_real(hil_session_t *session, float real) {
  uint32_t whole, parts;

  if (!(real > -4294967296.0f && real < 4294967296.0f)) {
    HIL_SAY(session, "nan");
    return;
  }
  if (real < 0.0f) {
    HIL_SAY(session, "-");
    real = -real;
  }
  whole = (uint32_t)real;
  /* The fraction, as a multiple of 2^-32, then of 10^-9. At most 1 - 2^-24: it does not carry. */
  parts = (uint32_t)((real - (float)whole) * 4294967296.0f);
  parts = (uint32_t)(((uint64_t)parts * 1000000000u + 0x80000000u) >> 32);
  hil_say_number(session, whole);
  HIL_SAY(session, ".");
  say_digits(session, parts, 9);
}

#endif
