/* SPDX-License-Identifier: Apache-2.0 */
/* A device without an operating system: an mps2-an500 (Cortex-M7), whose UART and timer are used by
 * their registers. Replace those by your board's. In QEMU, with the start-up code of this project:
 *
 *   F=../../firmware; L=$F/lib/TinymlHil/src; B=$F/platforms/bare_metal/bsp; D=-Wl,--defsym=
 *   arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard -Os \
 *     -ffunction-sections -fdata-sections -Wl,--gc-sections --specs=nano.specs -nostartfiles \
 *     -I$L -I$F/port main.c $B/arm/(all).c $L/hil_device*.c $L/hil_session/(all).c \
 *     $L/hil_wire/(all).c -lm -o firmware.elf -T $B/bare_metal.ld ${D}__flash=0 \
 *     ${D}__flash_size=4M ${D}__ram=0x20000000 ${D}__ram_size=4M ${D}__stack_size=64K
 *   qemu-system-arm -M mps2-an500 -display none -monitor none -serial pty -kernel firmware.elf */
#include "hil_device.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* CMSDK UART 0. */
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_BAUDDIV REGISTER(0x40004010u)
enum { TX_FULL = 1, RX_FULL = 2, TX_ENABLE = 1, RX_ENABLE = 2, CLOCK_HZ = 25000000, BAUD = 115200 };

/* Counts microseconds: 25 MHz divided by one more than PRESCALE. */
#define COUNTER REGISTER(0x40028018u)
#define PRESCALE REGISTER(0x4002801Cu)

/* ---- The network: any code. Here: how bright each half of the picture is. */
enum { PIXELS = 784, HALVES = 2 };

static bool brightness(const uint8_t *pixels, float *halves) {
  int i;

  halves[0] = halves[1] = 0.0f;
  for (i = 0; i < PIXELS; i++) {
    halves[i * HALVES / PIXELS] += (float)pixels[i];
  }
  return true; /* false: this sample failed */
}
HIL_PREDICT(predict, uint8_t, float, brightness)

/* ---- The board. */
static size_t read_uart(uint8_t *data, size_t limit) {
  size_t count = 0;

  while (count < limit && (UART_STATE & RX_FULL) != 0u) {
    data[count++] = (uint8_t)UART_DATA;
  }
  return count;
}

static void write_uart(void *context, const uint8_t *data, size_t length) {
  (void)context;
  while (length-- > 0) {
    while ((UART_STATE & TX_FULL) != 0u) {
    }
    UART_DATA = *data++;
  }
}

static uint32_t micros(void) { return COUNTER; }

/* ---- The device. */
static HIL_DEVICE_ALIGNED uint8_t rx[HIL_DEVICE_RX_BYTES(PIXELS, uint8_t)];
static HIL_DEVICE_ALIGNED uint8_t out[HIL_DEVICE_OUT_BYTES(HALVES, float)];
static hil_device_t device;

static const hil_device_config_t config = {
    .name = "brightness",
    .version = "1.0",
    .input = {.dtype = HIL_UINT8, .rank = 3, .dims = {28, 28, 1}},
    .output = {.dtype = HIL_FLOAT32, .rank = 1, .dims = {HALVES}},
    .predict = predict,
    .rx = rx,
    .rx_size = sizeof rx,
    .out = out,
    .out_size = sizeof out,
    .read = read_uart,
    .write = write_uart,
    .board = "mps2-an500, UART 0",
    .micros = micros,
};

int main(void) {
  UART_BAUDDIV = CLOCK_HZ / BAUD;
  UART_CTRL = TX_ENABLE | RX_ENABLE;
  PRESCALE = CLOCK_HZ / 1000000u - 1u;
  (void)hil_device_init(&device, &config);
  for (;;) {
    hil_device_poll(&device);
  }
}
