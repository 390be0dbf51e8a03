/* SPDX-License-Identifier: Apache-2.0 */
/* The `db` command: collects the bytes of an input from hexadecimal digits. */
#ifndef HIL_LOAD_H
#define HIL_LOAD_H

#include "hil_context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Cuts the next word out of the zero-terminated `*rest` and returns it; NULL if there is none. */
char *hil_next_word(char **rest);

/* The number in `word`, from 0 to 2^31 - 1; -1 if it is not a number. */
int32_t hil_number_of(const char *word);

/* Answers `db`, except for m-ready; `rest` holds its arguments. */
void hil_load_command(hil_session_t *session, char *rest);

/* Converts the complete load to the model's input; returns 0 if the load is not complete. */
int hil_load_input(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
