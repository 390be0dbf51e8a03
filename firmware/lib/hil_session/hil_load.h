/* `db`: the bytes of an input, gathered from hexadecimal digits. */
#ifndef HIL_LOAD_H
#define HIL_LOAD_H

#include "hil_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The next word of `*rest`, which ends with a zero, cut out of it; NULL when there is none. */
char *hil_next_word(char **rest);

/* The number that `word` is, from 0 to 2^31 - 1; -1 when it is none. */
int32_t hil_number_of(const char *word);

/* Answers `db`, but for m-ready; `rest` are its arguments. */
void hil_load_command(hil_session_t *session, char *rest);

/* Puts the whole load where the model's input lies, as the model wants it; 0 when there is none. */
int hil_load_input(hil_session_t *session);

#ifdef __cplusplus
}
#endif
#endif
