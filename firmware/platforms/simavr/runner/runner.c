/* An ATmega of simavr whose UART0 is a pty of this machine.
 *
 *   simavr-runner FIRMWARE.elf MCU HERTZ BAUD
 *
 * Says `port <path>` on standard output once the port can be opened. A byte from the host takes
 * its ten bits' time on the line, whatever the firmware does meanwhile: one that does not read in
 * time loses bytes, as on a board. Time is the simulation's own: as fast as this machine while
 * the firmware computes, at most real time while it sleeps. */
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

enum { BITS_A_BYTE = 10, PATIENCE_MS = 2000 }; /* patience: a host that never reads */

static int master = -1;
static avr_cycle_count_t byte_cycles, idle_cycles;
static avr_irq_t *to_avr;

static uint8_t waiting[512]; /* on their way to the AVR */
static size_t first, last;

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

/* A byte every byte time while there are any; a look at the pty every millisecond otherwise. */
static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *unused) {
  (void)avr;
  (void)unused;
  if (first == last) {
    const ssize_t got = read(master, waiting, sizeof waiting);

    first = 0;
    last = got > 0 ? (size_t)got : 0;
  }
  if (first == last) {
    return when + idle_cycles;
  }
  avr_raise_irq(to_avr, waiting[first++]);
  return when + byte_cycles;
}

static void from_avr(struct avr_irq_t *irq, uint32_t value, void *unused) {
  const uint8_t byte = (uint8_t)value;

  (void)irq;
  (void)unused;
  while (write(master, &byte, 1) != 1 && ready(POLLOUT, PATIENCE_MS)) {
  }
}

/* Called instead of usleep: waits for the host, unless something is on the line. */
static void sleeping(avr_t *avr, avr_cycle_count_t cycles) {
  if (first == last && cycles > byte_cycles) {
    (void)ready(POLLIN, (int)(cycles * 1000u / avr->frequency) + 1);
  }
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
  /* neither print lines nor sleep of its own accord */
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  to_avr = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), from_avr,
                          NULL);
  return avr;
}

int main(int argc, char **argv) {
  avr_t *avr;
  int state;
  long hertz, baud;

  if (argc != 5 || (hertz = atol(argv[3])) < 1000 || (baud = atol(argv[4])) < 300) {
    fprintf(stderr, "usage: %s FIRMWARE.elf MCU HERTZ BAUD\n", argv[0]);
    return 64;
  }
  avr = start(argv[1], argv[2], (uint32_t)hertz);
  byte_cycles = (avr_cycle_count_t)(hertz * BITS_A_BYTE / baud);
  idle_cycles = (avr_cycle_count_t)(hertz / 1000);
  open_pty();
  avr_cycle_timer_register(avr, idle_cycles, feed, NULL);
  printf("port %s\n", ptsname(master));
  fflush(stdout);
  do {
    state = avr_run(avr);
  } while (state != cpu_Done && state != cpu_Crashed);
  fprintf(stderr, "the AVR %s\n", state == cpu_Crashed ? "crashed" : "stopped");
  return 70;
}
