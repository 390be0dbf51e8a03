/* SPDX-License-Identifier: Apache-2.0 */
#include "hil_mlperf.h"

#include "hil_infer.h"
#include "hil_load.h"
#include "hil_results.h"
#include "hil_say.h"

#if HIL_MLPERF

enum { NAME = 63, WARMUPS = 10 };

HIL_COLD static const hil_model_t *chosen(const hil_session_t *session) {
  return &session->setup.models[session->mlperf.model];
}

#if HIL_MLPERF_ENERGY
/* A falling edge on the marker pin, which is high otherwise, instead of a time in text. */
HIL_COLD static void timestamp(hil_session_t *session) {
  const hil_board_t *board = session->setup.board;
  uint32_t began;

  board->mark(0);
  began = board->now_us();
  while (board->now_us() - began < HIL_MLPERF_PULSE_US) {
  }
  board->mark(1);
}
#else
HIL_COLD static void timestamp(hil_session_t *session) {
  const uint32_t now = session->setup.board->now_us();

  HIL_SAY(session, "m-lap-us-");
  hil_say_number(session, now);
  HIL_SAY(session, "\r\n");
}
#endif

HIL_COLD static void say_model(hil_session_t *session, const hil_model_t *model) {
  HIL_SAY(session, "m-model-[");
  hil_say_text(session, model->name, NAME);
  if (model->input.dtype == HIL_INT8) {
    HIL_SAY(session, " int8 ");
  } else {
    HIL_SAY(session, " float32 ");
  }
  hil_say_text(session, model->engine, NAME);
  HIL_SAY(session, "]\r\n");
}

HIL_COLD static void name(hil_session_t *session) {
  HIL_SAY(session, "m-name-dut-[tinyml-hil ");
  hil_say_text(session, session->setup.board->name, NAME);
  if (!session->setup.board->has_micros) {
    HIL_SAY(session, ", m-lap-us is no time"); /* hosts match it; words: ignore */
  }
  HIL_SAY(session, "]\r\n");
}

HIL_COLD static void help(hil_session_t *session) {
  HIL_SAY(session,
          "name, profile, timestamp, help: who it is, what runs, its clock, this\r\n"
          "db load N, db HH.., db print: N bytes of input, pixels or float32\r\n"
          "infer [N [W]]: N times (1) after W to warm up (10)\r\n"
          "results: of the last inference, as probabilities\r\n"
          "model [NAME]: the models, or another one (no command of MLPerf Tiny)\r\n");
}

HIL_COLD static void model(hil_session_t *session, const char *word) {
  uint8_t i;

  for (i = 0; i < session->setup.model_count; i++) {
    if (!word) {
      say_model(session, &session->setup.models[i]);
    } else if (hil_same(word, session->setup.models[i].name)) {
      hil_mlperf_forget(session);
      session->mlperf.model = i;
      say_model(session, chosen(session));
      return;
    }
  }
  if (word) {
    HIL_SAY(session, "e-[Unknown model: ");
    hil_say_text(session, word, HIL_TEXT_CHARACTERS);
    HIL_SAY(session, "]\r\n");
  }
}

HIL_COLD static void say_failure(hil_session_t *session, hil_engine_status_t status,
                                 uint32_t code) {
  if (status == HIL_ENGINE_ARENA) {
    HIL_SAY(session, "e-[The arena is too small: bytes needed: ");
  } else {
    HIL_SAY(session, "e-[The engine failed: ");
  }
  hil_say_number(session, code);
  HIL_SAY(session, "]\r\n");
}

/* Runs the prepared model `count` times; if that fails, reports it and returns 0. */
HIL_COLD static int run(hil_session_t *session, uint32_t count) {
  const hil_model_t *current = chosen(session);
  uint32_t code = 0;

  while (count-- > 0) {
    hil_engine_status_t status;

    hil_alive(session);
    status = current->invoke(current, hil_input_of(session), session->setup.output,
                             session->setup.arena, &code);

    if (status != HIL_ENGINE_OK) {
      session->prepared = -1;
      say_failure(session, status, code);
      return 0;
    }
    session->inferences++;
  }
  return 1;
}

HIL_COLD static void infer(hil_session_t *session, char *rest) {
  const char *word = hil_next_word(&rest);
  const int32_t count = word ? hil_number_of(word) : 1;
  int32_t warmups;
  hil_engine_status_t status;
  uint32_t code;
  int ran;

  word = hil_next_word(&rest);
  warmups = word ? hil_number_of(word) : (int32_t)WARMUPS;
  if (count <= 0) {
    HIL_SAY(session, "e-[Inference iterations must be >0]\r\n");
    return;
  }
  if (warmups < 0) {
    HIL_SAY(session, "e-[Inference warmup must be >=0]\r\n");
    return;
  }
  if (count > HIL_MLPERF_MOST || warmups > HIL_MLPERF_MOST) {
    HIL_SAY(session, "e-[Inference iterations and warmup must be <=");
    hil_say_number(session, HIL_MLPERF_MOST);
    HIL_SAY(session, "]\r\n");
    return;
  }
  session->mlperf.has_results = 0;
  if (!hil_load_input(session)) {
    HIL_SAY(session, "e-[Input is not loaded: ");
    hil_say_number(session, session->mlperf.got);
    HIL_SAY(session, " of ");
    hil_say_number(session, session->mlperf.wanted);
    HIL_SAY(session, " bytes]\r\n");
    return;
  }
  status = hil_prepare(session, session->mlperf.model, &code);
  if (status != HIL_ENGINE_OK) {
    say_failure(session, status, code);
    return;
  }
  HIL_SAY(session, "m-warmup-start-");
  hil_say_number(session, (uint32_t)warmups);
  HIL_SAY(session, "\r\n");
  if (!run(session, (uint32_t)warmups)) {
    return;
  }
  HIL_SAY(session, "m-warmup-done\r\nm-infer-start-");
  hil_say_number(session, (uint32_t)count);
  HIL_SAY(session, "\r\n");
  timestamp(session);
  hil_mark(session, 1);
  ran = run(session, (uint32_t)count);
  hil_mark(session, 0);
  if (!ran) {
    return;
  }
  timestamp(session);
  HIL_SAY(session, "m-infer-done\r\n");
  session->mlperf.has_results = 1;
  hil_results(session, chosen(session));
}

HIL_COLD static void results(hil_session_t *session) {
  if (session->mlperf.has_results) {
    hil_results(session, chosen(session));
  } else {
    HIL_SAY(session, "e-[There are no results: nothing was inferred]\r\n");
  }
}

HIL_COLD static void answer(hil_session_t *session, char *rest) {
  const char *word = hil_next_word(&rest);

  if (!word) {
    return; /* a lone %: m-ready is the whole answer */
  }
  if (HIL_IS(word, "name")) {
    name(session);
  } else if (HIL_IS(word, "timestamp")) {
    timestamp(session);
  } else if (HIL_IS(word, "profile")) {
    HIL_SAY(session, "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n");
    say_model(session, chosen(session));
  } else if (HIL_IS(word, "help")) {
    help(session);
  } else if (HIL_IS(word, "db")) {
    hil_load_command(session, rest);
  } else if (HIL_IS(word, "infer")) {
    infer(session, rest);
  } else if (HIL_IS(word, "results")) {
    results(session);
  } else if (HIL_IS(word, "model")) {
    model(session, hil_next_word(&rest));
  } else {
    HIL_SAY(session, "e-[Unknown command: ");
    hil_say_text(session, word, HIL_TEXT_CHARACTERS);
    HIL_SAY(session, "]\r\n");
  }
}

HIL_COLD void hil_mlperf_command(hil_session_t *session, hil_text_event_t event) {
  if (event == HIL_TEXT_TOO_LONG) {
    HIL_SAY(session, "e-[Command of more than 80 characters]\r\n");
  } else {
    answer(session, session->text.line);
  }
  HIL_SAY(session, "m-ready\r\n");
}

HIL_COLD void hil_mlperf_boot(hil_session_t *session) {
#if HIL_MLPERF_ENERGY
  HIL_SAY(session, "m-timestamp-mode-energy\r\n");
#else
  HIL_SAY(session, "m-timestamp-mode-performance\r\n");
#endif
  timestamp(session);
  HIL_SAY(session, "m-init-done\r\nm-ready\r\n");
}

#if HIL_MLPERF_ENERGY
HIL_COLD void hil_mlperf_start(hil_session_t *session) { timestamp(session); }
#endif

HIL_COLD void hil_mlperf_forget(hil_session_t *session) {
  session->mlperf.wanted = 0;
  session->mlperf.got = 0;
  session->mlperf.has_results = 0;
}

#endif
