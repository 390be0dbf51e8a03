/* An ATmega of simavr whose UART0 is a pty of this machine.
 *
 *   simavr-runner FIRMWARE.elf MCU HERTZ [CARRIES]
 *
 * Says `port <path>` on standard output once the port can be opened. Both ends have a rate: the
 * host's is what it sets on the pty, the AVR's what stands in UART0's registers. A byte takes its
 * ten bits' time on the line, whatever the firmware does meanwhile: one that does not read in time
 * loses bytes, and ends that disagree hear garbage, as on a board. Above CARRIES baud the line
 * garbles everything, as a bad cable does. Time is the simulation's own: as fast as this machine
 * while the firmware computes, at most real time while it sleeps. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "line.h"

enum { PATIENCE_MS = 2000 }; /* a host that never reads */

static int master = -1;
static uint32_t carries; /* baud; 0: any */
static avr_irq_t *to_avr;

static uint8_t waiting[512]; /* on their way to the AVR, all sent at one rate */
static size_t first, last;
static uint32_t host_rate;

static struct {
  uint8_t byte;
  uint32_t rate;
} leaving[256]; /* on their way to the host; more than the AVR can have sent */
static uint8_t leaving_first, leaving_last;

static void fail(const char *what) {
  perror(what);
  exit(71);
}

/* Raw, and held open by us too: without that every byte is lost until a host opens it. */
static void open_pty(void) {
  struct termios settings;
  int slave;

  master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    fail("pty");
  }
  slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0 || tcgetattr(slave, &settings) != 0) {
    fail("pty");
  }
  cfmakeraw(&settings);
  if (tcsetattr(slave, TCSANOW, &settings) != 0) {
    fail("pty");
  }
}

static int ready(short events, int timeout_ms) {
  struct pollfd entry = {.fd = master, .events = events};

  return poll(&entry, 1, timeout_ms) > 0 && (entry.revents & events) != 0;
}

static avr_cycle_count_t byte_cycles(const avr_t *avr, uint32_t rate) {
  return (avr_cycle_count_t)avr->frequency * BITS_A_BYTE / (rate ? rate : 1u);
}

static uint8_t worn(uint8_t byte, uint32_t rate) {
  return carries != 0 && rate > carries ? byte ^ 0x55u : byte;
}

/* A byte every byte time while there are any; a look at the pty every millisecond otherwise. */
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

/* The host has a byte when its last bit has left: it may change its rate on the strength of it. */
static avr_cycle_count_t deliver(avr_t *avr, avr_cycle_count_t when, void *unused) {
  const uint32_t rate = leaving[leaving_first].rate;
  const uint8_t byte = worn(leaving[leaving_first++].byte, rate);
  uint8_t heard[LINE_MOST];
  const size_t count = line_heard(byte, rate, line_host_rate(master), heard);

  (void)unused;
  if (count > 0) {
    while (write(master, heard, count) < 0 && ready(POLLOUT, PATIENCE_MS)) {
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

/* Called instead of usleep: waits for the host, unless something is on the line. */
static void sleeping(avr_t *avr, avr_cycle_count_t cycles) {
  if (first == last && leaving_first == leaving_last && cycles > avr->frequency / 10000u) {
    (void)ready(POLLIN, (int)(cycles * 1000u / avr->frequency) + 1);
  }
}

/* A reset of the chip, of which simavr's clears every timer: the line goes on, what was on its way
 * is lost. */
static void restarted(avr_t *avr) {
  first = last = 0;
  leaving_first = leaving_last = 0;
  avr_cycle_timer_register(avr, avr->frequency / 1000u, feed, NULL);
}

static avr_t *start(const char *file, const char *mcu, uint32_t hertz) {
  static elf_firmware_t firmware;
  avr_t *const avr = avr_make_mcu_by_name(mcu);
  uint32_t flags = 0;

  if (!avr) {
    fprintf(stderr, "simavr knows no chip %s\n", mcu);
    exit(64);
  }
  if (elf_read_firmware(file, &firmware) != 0) {
    fprintf(stderr, "%s is no firmware for AVR\n", file);
    exit(66);
  }
  avr_init(avr);
  firmware.frequency = hertz;
  avr_load_firmware(avr, &firmware);
  avr->frequency = hertz;
  avr->sleep = sleeping;
  avr->reset = restarted;
  /* neither print lines nor sleep of its own accord */
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  to_avr = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), from_avr,
                          avr);
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
  open_pty();
  avr_cycle_timer_register(avr, avr->frequency / 1000u, feed, NULL);
  printf("port %s\n", ptsname(master));
  fflush(stdout);
  do {
    state = avr_run(avr);
  } while (state != cpu_Done && state != cpu_Crashed);
  fprintf(stderr, "the AVR %s\n", state == cpu_Crashed ? "crashed" : "stopped");
  return 70;
}
