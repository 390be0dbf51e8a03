/* SPDX-License-Identifier: Apache-2.0 */
/* A device with Zephyr, on the UART that a board calls its console. */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>

#include "hil_device.h"

enum { PIXELS = 784, CLASSES = 10 };

static const struct device *const line = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

/* Replace it by your network. */
static bool network(const int8_t *pixels, int8_t *scores) {
  for (int i = 0; i < CLASSES; i++) {
    scores[i] = pixels[i * PIXELS / CLASSES];
  }
  return true; /* false: this sample failed */
}
HIL_PREDICT(predict, int8_t, int8_t, network)

/* Polling: the host sends the next request only after an answer (window 1), so none is lost. */
static size_t read_uart(uint8_t *data, size_t limit) {
  size_t count = 0;

  while (count < limit && uart_poll_in(line, &data[count]) == 0) {
    count++;
  }
  return count;
}

static void write_uart(void *context, const uint8_t *data, size_t length) {
  ARG_UNUSED(context);
  while (length-- > 0) {
    uart_poll_out(line, *data++);
  }
}

/* As fine as a tick of the kernel; the cycles are the finer clock. */
static uint32_t micros(void) { return (uint32_t)k_ticks_to_us_floor64(k_uptime_ticks()); }

static uint32_t cycles(void) { return k_cycle_get_32(); }

static uint32_t millis(void) { return k_uptime_get_32(); }

static void memory(hil_memory_t *memory) {
  size_t unused = 0;

  memory->stack_size = CONFIG_MAIN_STACK_SIZE;
  memory->heap_used = HIL_HEAP_UNKNOWN;
  if (k_thread_stack_space_get(k_current_get(), &unused) == 0) {
    memory->stack_used = memory->stack_size - (uint32_t)unused;
  }
}

static HIL_DEVICE_ALIGNED uint8_t rx[HIL_DEVICE_RX_BYTES(PIXELS, int8_t)];
static HIL_DEVICE_ALIGNED uint8_t out[HIL_DEVICE_OUT_BYTES(CLASSES, int8_t)];
static hil_device_t device;

static hil_device_config_t config = {
    .name = "digits",
    .version = "1.0",
    .input = {.dtype = HIL_INT8,
              .rank = 3,
              .dims = {28, 28, 1},
              .scale = 1.0f / 255.0f,
              .zero_point = -128},
    .output = {.dtype = HIL_INT8,
               .rank = 1,
               .dims = {CLASSES},
               .scale = 1.0f / 256.0f,
               .zero_point = -128},
    .convert = hil_convert_to_int8,
    .predict = predict,
    .rx = rx,
    .rx_size = sizeof rx,
    .out = out,
    .out_size = sizeof out,
    .read = read_uart,
    .write = write_uart,
    .board = CONFIG_BOARD,
    .ticks = cycles,
    .micros = micros,
    .millis = millis,
    .memory = memory,
};

int main(void) {
  config.tick_hz = sys_clock_hw_cycles_per_sec();
  (void)hil_device_init(&device, &config);
  for (;;) {
    hil_device_poll(&device);
  }
}
