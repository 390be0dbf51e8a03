/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAKE_TASK_H
#define FAKE_TASK_H

#include <stdint.h>

typedef void *TaskHandle_t;

extern "C" uint8_t *pxTaskGetStackStart(TaskHandle_t task);

#endif
