/* SPDX-License-Identifier: Apache-2.0 */
/* A hand-written image whose models answer predictably, or fail on purpose. */
#ifndef HIL_IMAGE_H
#define HIL_IMAGE_H

#define HIL_MODEL_COUNT 4
#define HIL_ARENA_BYTES 16
#define HIL_INPUT_BYTES 16
#define HIL_INPUT_ELEMENTS 4
#define HIL_OUTPUT_BYTES 16

enum { FAKE_INT8 = 0, FAKE_FLOAT32 = 1, FAKE_GREEDY = 2, FAKE_BROKEN = 3 };
enum { FAKE_BROKEN_CODE = 7, FAKE_GREEDY_ARENA = 4096 };

#endif
