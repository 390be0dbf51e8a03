/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions for the firmware's unit tests, on boards and on the host. A test is a function; main
 * runs each with RUN and returns FINISH(). test_custom_runner.py reads the lines printed here. */
#ifndef HIL_TEST_H
#define HIL_TEST_H

#include <stdint.h>

#if defined(__arm__) || defined(__riscv)
#include "bare_metal/semihosting.h"
static inline void hil_test_say(const char *text) { (void)semihosting_call(SYS_WRITE0, text); }
#elif defined(__XTENSA__)
#include <string.h>

#include "semihosting.h"
static inline void hil_test_say(const char *text) {
  semihosting_write(STANDARD_OUTPUT, text, strlen(text));
}
#else
#include <stdio.h>
static inline void hil_test_say(const char *text) { fputs(text, stdout); }
#endif

static const char *hil_test_name = "";
static const char *hil_test_detail = ""; /* names the iteration in a test that loops */
static int hil_test_failures;            /* of the current test */
static int hil_test_failed;              /* failed tests */

static inline void hil_test_say_number(int32_t value) {
  char text[12];
  char *at = text + sizeof text - 1;
  uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;

  *at = '\0';
  do {
    *--at = (char)('0' + rest % 10u);
    rest /= 10u;
  } while (rest > 0);
  if (value < 0) {
    *--at = '-';
  }
  hil_test_say(at);
}

static inline void hil_test_fail(const char *file, int line, const char *what) {
  hil_test_failures++;
  hil_test_say("FAIL\t");
  hil_test_say(hil_test_name);
  hil_test_say("\t");
  hil_test_say(file);
  hil_test_say("\t");
  hil_test_say_number(line);
  hil_test_say("\t");
  hil_test_say(what);
  if (hil_test_detail[0] != '\0') {
    hil_test_say(", in: ");
    hil_test_say(hil_test_detail);
  }
  hil_test_say("\n");
}

static inline void hil_test_equal(const char *file, int line, const char *what, int64_t wanted,
                                  int64_t got) {
  if (wanted != got) {
    hil_test_say("wanted ");
    hil_test_say_number((int32_t)wanted);
    hil_test_say(", got ");
    hil_test_say_number((int32_t)got);
    hil_test_say("\n");
    hil_test_fail(file, line, what);
  }
}

#define CHECK(condition) ((condition) ? (void)0 : hil_test_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQUAL(wanted, got) \
  hil_test_equal(__FILE__, __LINE__, #got, (int64_t)(wanted), (int64_t)(got))

#define RUN(test)             \
  do {                        \
    hil_test_name = #test;    \
    hil_test_detail = "";     \
    hil_test_failures = 0;    \
    test();                   \
    if (hil_test_failures) {  \
      hil_test_failed++;      \
    } else {                  \
      hil_test_say("PASS\t"); \
      hil_test_say(#test);    \
      hil_test_say("\n");     \
    }                         \
  } while (0)

#define FINISH() (hil_test_say("END\n"), hil_test_failed > 0)

#endif
