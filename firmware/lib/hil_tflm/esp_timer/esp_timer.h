/* SPDX-License-Identifier: Apache-2.0 */
/* TFLM's glue to ESP-NN measures its kernels with this clock of ESP-IDF; elsewhere it reads 0. */
#ifndef HIL_TFLM_ESP_TIMER_H
#define HIL_TFLM_ESP_TIMER_H

#include <stdint.h>

static inline int64_t esp_timer_get_time(void) { return 0; }

#endif
