/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <asm/termbits.h> /* termios2, for rates without a B constant; conflicts with <termios.h> */
#include <simavr/avr_uart.h>
#include <simavr/sim_regbit.h>
#include <string.h>
#include <sys/ioctl.h>

uint32_t line_host_rate(int descriptor) {
  struct termios2 settings;

  return ioctl(descriptor, TCGETS2, &settings) == 0 ? settings.c_ospeed : 0;
}

uint32_t line_avr_rate(avr_t *avr) {
  avr_io_t *io;

  for (io = avr->io_port; io; io = io->next) {
    avr_uart_t *const uart = (avr_uart_t *)io; /* the io is the first member */

    if (strcmp(io->kind, "uart") == 0 && uart->name == '0') {
      const uint32_t high = avr_regbit_get(avr, uart->ubrrh),
                     low = avr_regbit_get(avr, uart->ubrrl);
      const uint32_t bit_cycles =
          ((high << 8 | low) + 1u) * (avr_regbit_get(avr, uart->u2x) ? 8 : 16);

      uart->cycles_per_byte = bit_cycles * BITS_A_BYTE; /* simavr always adds a parity bit */
      return avr->frequency / bit_cycles;
    }
  }
  return 0;
}

/* The unit of time is 1 / (from * to) seconds: a bit takes the sender `to` units and the receiver
 * `from`. */
size_t line_heard(uint8_t byte, uint32_t from, uint32_t to, uint8_t heard[LINE_MOST]) {
  const uint32_t levels = 0xFFFFFE00u | (uint32_t)byte << 1; /* start bit, data, stop, idle */
  uint64_t ready = 0;
  size_t count = 0;
  unsigned edge, bit;

  for (edge = 0; edge < BITS_A_BYTE && from != 0 && to != 0; edge++) {
    const uint64_t begin = (uint64_t)edge * to;
    uint8_t value = 0;

    if ((levels >> edge & 1u) || (edge > 0 && !(levels >> (edge - 1) & 1u)) || begin < ready) {
      continue; /* not a falling edge, or the receiver is still reading the previous byte */
    }
    for (bit = 0; bit < 8; bit++) {
      const uint64_t at = (begin + (2u * bit + 3u) * (uint64_t)from / 2u) / to;

      value |= (uint8_t)((at < BITS_A_BYTE ? levels >> at & 1u : 1u) << bit);
    }
    heard[count++] = value;
    ready = begin + 19u * (uint64_t)from / 2u; /* the middle of its stop bit */
  }
  return count;
}
