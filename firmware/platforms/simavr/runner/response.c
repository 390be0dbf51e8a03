/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include <simavr/sim_interrupts.h>

/* Called with a vector's number when it starts, and with the interrupted one's or 0 at RETI; only
 * the start has cleared the I flag. */
static void running(struct avr_irq_t *irq, uint32_t vector, void *context) {
  avr_t *const avr = context;

  (void)irq;
  if (vector != 0 && !avr->sreg[S_I]) {
    avr->cycle += avr->address_size + 2u;
  }
}

void response_count(avr_t *avr) {
  avr_irq_register_notify(avr_get_interrupt_irq(avr, AVR_INT_ANY) + AVR_INT_IRQ_RUNNING, running,
                          avr);
}
