// SPDX-License-Identifier: Apache-2.0
// A device built on MLCommons' reference API (benchmark/api of mlcommons/tiny), as a process on a
// pty: its parser, our callbacks, and a network that `hil headers` wrote. Only these callbacks are
// ours; the API is compiled from the checkout that HIL_MLPERF_TINY_DIR names.
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "api/internally_implemented.h"
#include "api/submitter_implemented.h"
#include "hil_engine.h"
#include "hil_image.h"

static const hil_model_t &model = hil_models[0];
alignas(16) static uint8_t input[HIL_INPUT_BYTES], output[HIL_OUTPUT_BYTES];
alignas(16) static uint8_t arena[HIL_ARENA_BYTES];
static int master;

static void send(const char *text, size_t length) {
  while (length > 0) {
    const ssize_t sent = write(master, text, length);

    if (sent < 0) {
      exit(71);
    }
    text += sent;
    length -= static_cast<size_t>(sent);
  }
}

void th_printf(const char *format, ...) {
  char text[512];
  va_list arguments;

  va_start(arguments, format);
  const int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send(text, static_cast<size_t>(length) < sizeof text ? length : sizeof text - 1);
}

char th_getchar() {
  char c;

  if (read(master, &c, 1) != 1) {
    exit(0);
  }
  return c;
}

void th_load_tensor() {  // by the formula, not by our firmware's code
  static uint8_t loaded[4 * HIL_INPUT_ELEMENTS];
  const bool pixels = ee_get_buffer(loaded, sizeof loaded) == HIL_INPUT_ELEMENTS;

  for (size_t i = 0; i < HIL_INPUT_ELEMENTS; i++) {
    float real = loaded[i] / 255.0f;

    if (!pixels) {
      memcpy(&real, loaded + 4 * i, sizeof real);
    }
    const long code = std::lround(real / model.input.scale) + model.input.zero_point;

    input[i] = static_cast<uint8_t>(code < -128 ? -128 : code > 127 ? 127 : code);
  }
}

void th_infer() {
  uint32_t needed = 0;

  if (model.invoke(&model, input, output, arena, &needed) != HIL_ENGINE_OK) {
    exit(72);
  }
}

void th_results() {
  std::vector<double> shares;
  double sum = 0;

  for (uint32_t i = 0; i < model.output.elements; i++) {
    const int steps = static_cast<int8_t>(output[i]) - model.output.zero_point;

    shares.push_back(std::exp(steps * static_cast<double>(model.output.scale)));
    sum += shares.back();
  }
  th_printf("m-results-[");
  for (size_t i = 0; i < shares.size(); i++) {
    th_printf("%s%.9f", i ? "," : "", shares[i] / sum);
  }
  th_printf("]\r\n");
}

void th_timestamp() {
  timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t us = now.tv_sec * UINT64_C(1000000) + now.tv_nsec / 1000;
  th_printf(EE_MSG_TIMESTAMP, static_cast<unsigned long>(static_cast<uint32_t>(us)));
}

void th_serialport_initialize() {
  termios settings;

  master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    exit(71);
  }
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);  // held open: see port/native
  if (slave < 0 || tcgetattr(slave, &settings) != 0) {
    exit(71);
  }
  cfmakeraw(&settings);
  tcsetattr(slave, TCSANOW, &settings);
  printf("port %s\n", ptsname(master));
  fflush(stdout);
}

void th_timestamp_initialize() {
  th_printf(EE_MSG_TIMESTAMP_MODE);
  th_timestamp();
}

void th_final_initialize() {
  uint32_t needed = 0;

  if (model.prepare(&model, arena, sizeof arena, &needed) != HIL_ENGINE_OK) {
    exit(72);
  }
}

void th_pre() {}
void th_post() {}
void th_command_ready(char volatile *message) {
  ee_serial_command_parser_callback(const_cast<char *>(message));
}

size_t th_strnlen(const char *text, size_t most) { return strnlen(text, most); }

int main() {
  ee_benchmark_initialize();
  for (;;) {
    ee_serial_callback(th_getchar());
  }
}
