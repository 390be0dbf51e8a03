/* SPDX-License-Identifier: Apache-2.0 */
/* A TCG plugin of QEMU: how often each instruction ran in each window of the firmware's stopwatch.
 *
 *   -plugin counts.so,start=ADDRESS,stop=ADDRESS,out=FILE
 *
 * A window opens after the instruction at `start` (decimal) and closes before the one at `stop`.
 * Each appends to FILE the lines `i ADDRESS SIZE COUNT` of its instructions, `j FROM TO COUNT` of
 * the jumps between translated blocks (FROM: the block's last instruction), and `end`.
 *
 * The declarations are those of QEMU's plugin interface, version 1, tried with QEMU 7.2. Debian has
 * no package with its header. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, INLINE_ADD_U64 = 0, BUCKETS = 1 << 16 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *),
                                            int, void *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int,
                                          void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

typedef struct entry {
  struct entry *next; /* in its bucket */
  uint64_t from, to;  /* an instruction and its size, or a jump */
  uint64_t count;
} entry_t;

typedef struct {
  uint64_t first, last; /* addresses of its first and last instruction */
} block_t;

static entry_t *instructions[BUCKETS], *jumps[BUCKETS];
static uint64_t start, stop, left; /* left: the last instruction of the block before */
static FILE *out;

static entry_t *found(entry_t **table, uint64_t from, uint64_t to) {
  entry_t **place = &table[(from * 31 + to) / 2 % BUCKETS];
  entry_t *one;

  for (one = *place; one; one = one->next) {
    if (one->from == from && one->to == to) {
      return one;
    }
  }
  one = calloc(1, sizeof *one);
  if (!one) {
    abort();
  }
  one->from = from;
  one->to = to;
  one->next = *place;
  return *place = one;
}

static void each(entry_t **table, const char *kind) {
  unsigned i;
  entry_t *one;

  for (i = 0; i < BUCKETS; i++) {
    for (one = table[i]; one; one = one->next) {
      if (kind && one->count) {
        fprintf(out, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", kind, one->from, one->to,
                one->count);
      }
      one->count = 0;
    }
  }
}

static void opened(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  each(instructions, NULL);
  each(jumps, NULL);
}

static void closed(unsigned cpu, void *unused) {
  (void)cpu, (void)unused;
  each(instructions, "i");
  each(jumps, "j");
  fputs("end\n", out);
  fflush(out);
}

static void entered(unsigned cpu, void *context) {
  const block_t *block = context;

  (void)cpu;
  found(jumps, left, block->first)->count++;
  left = block->last;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  const size_t count = qemu_plugin_tb_n_insns(tb);
  block_t *const block = malloc(sizeof *block);
  size_t i;

  (void)id;
  if (!block) {
    abort();
  }
  for (i = 0; i < count; i++) {
    struct qemu_plugin_insn *const one = qemu_plugin_tb_get_insn(tb, i);
    const uint64_t at = qemu_plugin_insn_vaddr(one);

    if (i == 0) {
      block->first = at;
    }
    block->last = at;
    if (at == stop) {
      qemu_plugin_register_vcpu_insn_exec_cb(one, closed, NO_REGISTERS, NULL);
    }
    qemu_plugin_register_vcpu_insn_exec_inline(
        one, INLINE_ADD_U64, &found(instructions, at, qemu_plugin_insn_size(one))->count, 1);
    if (at == start) { /* after its own count */
      qemu_plugin_register_vcpu_insn_exec_cb(one, opened, NO_REGISTERS, NULL);
    }
  }
  qemu_plugin_register_vcpu_tb_exec_cb(tb, entered, NO_REGISTERS, block);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const void *info, int count,
                                                               char **words) {
  int i;

  (void)info;
  for (i = 0; i < count; i++) {
    if (strncmp(words[i], "start=", 6) == 0) {
      start = strtoull(words[i] + 6, NULL, 10);
    } else if (strncmp(words[i], "stop=", 5) == 0) {
      stop = strtoull(words[i] + 5, NULL, 10);
    } else if (strncmp(words[i], "out=", 4) == 0) {
      out = fopen(words[i] + 4, "w");
    }
  }
  if (!start || !stop || !out) {
    fputs("counts.so: start, stop and out are required\n", stderr);
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
