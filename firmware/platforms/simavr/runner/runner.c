/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an ATmega in simavr, with its UART0 on a pty of this machine.
 *
 *   simavr-runner FIRMWARE.elf MCU HERTZ [CARRIES]
 *
 * Prints `port <path>` on standard output when the port can be opened. Each end has its own rate:
 * the host sets its rate on the pty, the AVR in the registers of UART0. A byte takes the time of
 * ten bits on the line, whatever the firmware does meanwhile. As on a board, firmware that does not
 * read in time loses bytes, and ends with different rates receive garbage. Above CARRIES baud the
 * line garbles everything, like a bad cable. Time is that of the simulation: as fast as this
 * machine while the firmware computes, at most real time while it sleeps.
 *
 * With HIL_MARKER_FILE, each edge of a pin is a line `MICROSECONDS LEVEL PIN` in that file; PIN is
 * the port's letter and the bit. */
#define _GNU_SOURCE
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "line.h"
#include "native/pty.h"
#include "response.h"

static int master = -1;
static uint32_t carries; /* baud; 0: any */
static avr_irq_t *to_avr;

static uint8_t waiting[512]; /* bytes for the AVR, all sent at one rate */
static size_t first, last;
static uint32_t host_rate;

static struct {
  uint8_t byte;
  uint32_t rate;
} leaving[256]; /* bytes for the host; more room than the AVR can fill */
static uint8_t leaving_first, leaving_last;

static avr_cycle_count_t byte_cycles(const avr_t *avr, uint32_t rate) {
  return (avr_cycle_count_t)avr->frequency * BITS_A_BYTE / (rate ? rate : 1u);
}

static uint8_t worn(uint8_t byte, uint32_t rate) {
  return carries != 0 && rate > carries ? byte ^ 0x55u : byte;
}

/* Delivers one byte per byte time while there are any; else polls the pty every millisecond. */
static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *unused) {
  uint8_t heard[LINE_MOST];
  size_t count, i;

  (void)unused;
  if (first == last) {
    const ssize_t got = read(master, waiting, sizeof waiting);

    first = 0;
    last = got > 0 ? (size_t)got : 0;
    host_rate = line_host_rate(master);
  }
  if (first == last) {
    return when + avr->frequency / 1000u;
  }
  count = line_heard(worn(waiting[first++], host_rate), host_rate, line_avr_rate(avr), heard);
  for (i = 0; i < count; i++) {
    avr_raise_irq(to_avr, heard[i]);
  }
  return when + byte_cycles(avr, host_rate);
}

/* The host gets a byte only after its last bit, because it may change its rate in response. */
static avr_cycle_count_t deliver(avr_t *avr, avr_cycle_count_t when, void *unused) {
  const uint32_t rate = leaving[leaving_first].rate;
  const uint8_t byte = worn(leaving[leaving_first++].byte, rate);
  uint8_t heard[LINE_MOST];
  const size_t count = line_heard(byte, rate, line_host_rate(master), heard);

  (void)unused;
  if (count > 0) {
    while (write(master, heard, count) < 0 && pty_wait(master, POLLOUT, PTY_PATIENCE_MS)) {
    }
  }
  return leaving_first == leaving_last ? 0 : when + byte_cycles(avr, leaving[leaving_first].rate);
}

static void from_avr(struct avr_irq_t *irq, uint32_t value, void *context) {
  avr_t *const avr = context;
  const uint32_t rate = line_avr_rate(avr);

  (void)irq;
  if (leaving_first == leaving_last) {
    avr_cycle_timer_register(avr, byte_cycles(avr, rate), deliver, NULL);
  }
  leaving[leaving_last].byte = (uint8_t)value;
  leaving[leaving_last++].rate = rate;
}

/* Replaces usleep: waits for the host, unless bytes are on the line. */
static void sleeping(avr_t *avr, avr_cycle_count_t cycles) {
  if (first == last && leaving_first == leaving_last && cycles > avr->frequency / 10000u) {
    (void)pty_wait(master, POLLIN, (int)(cycles * 1000u / avr->frequency) + 1);
  }
}

/* Called when the chip resets, which clears every simavr timer: drops the bytes on the line and
 * restarts it. */
static void restarted(avr_t *avr) {
  first = last = 0;
  leaving_first = leaving_last = 0;
  avr_cycle_timer_register(avr, avr->frequency / 1000u, feed, NULL);
}

static const avr_t *simulated;
static FILE *edges;

static void edge(struct avr_irq_t *irq, uint32_t value, void *context) {
  static uint8_t levels['L' - 'A' + 1];
  const char port = *(const char *)context;
  const avr_t *const avr = simulated;
  const uint8_t bit = (uint8_t)(1u << irq->irq);
  uint8_t *const level = &levels[port - 'A'];

  if (((*level & bit) != 0) != (value != 0)) {
    *level ^= bit;
    fprintf(edges, "%llu %u %c%u\n", (unsigned long long)(avr->cycle / (avr->frequency / 1000000u)),
            value != 0, port, (unsigned)irq->irq);
    fflush(edges);
  }
}

static void watch_pins(avr_t *avr) {
  static const char ports[] = "ABCDEFGHJKL";
  const char *port;
  int bit;

  simulated = avr;
  edges = fopen(getenv("HIL_MARKER_FILE"), "a");
  for (port = ports; edges && *port != '\0'; port++) {
    for (bit = IOPORT_IRQ_PIN0; bit <= IOPORT_IRQ_PIN7; bit++) {
      avr_irq_t *const pin = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(*port), bit);

      if (pin) {
        avr_irq_register_notify(pin, edge, (void *)(uintptr_t)port);
      }
    }
  }
}

static avr_t *start(const char *file, const char *mcu, uint32_t hertz) {
  static elf_firmware_t firmware;
  avr_t *const avr = avr_make_mcu_by_name(mcu);
  uint32_t flags = 0;

  if (!avr) {
    fprintf(stderr, "simavr does not support the chip %s\n", mcu);
    exit(64);
  }
  if (elf_read_firmware(file, &firmware) != 0) {
    fprintf(stderr, "%s is not an AVR ELF file\n", file);
    exit(66);
  }
  avr_init(avr);
  firmware.frequency = hertz;
  avr_load_firmware(avr, &firmware);
  avr->frequency = hertz;
  avr->sleep = sleeping;
  avr->reset = restarted;
  response_count(avr);
  /* the UART must neither print lines nor sleep by itself */
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  to_avr = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), from_avr,
                          avr);
  if (getenv("HIL_MARKER_FILE")) {
    watch_pins(avr);
  }
  return avr;
}

int main(int argc, char **argv) {
  avr_t *avr;
  int state;
  long hertz;

  if (argc < 4 || argc > 5 || (hertz = atol(argv[3])) < 1000) {
    fprintf(stderr, "usage: %s FIRMWARE.elf MCU HERTZ [CARRIES]\n", argv[0]);
    return 64;
  }
  carries = argc == 5 ? (uint32_t)atol(argv[4]) : 0;
  avr = start(argv[1], argv[2], (uint32_t)hertz);
  master = pty_open();
  avr_cycle_timer_register(avr, avr->frequency / 1000u, feed, NULL);
  do {
    state = avr_run(avr);
  } while (state != cpu_Done && state != cpu_Crashed);
  fprintf(stderr, "the AVR %s\n", state == cpu_Crashed ? "crashed" : "stopped");
  return 70;
}
