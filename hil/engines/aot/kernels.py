"""The C functions that sum channels two by two: from widened inputs, with weights in pairs.

A weight word w holds two channels: w = 256 * high + low. With sums of x * w and of x * low, the
high channel's sum is their difference / 256: one widening instruction serves four weights. Sums
wrap at 32 bits, so the high channel's must stay below 2^23, which `gather` proves.
"""

from hil.engines.aot.source import read

_TAPS2 = """
#define HIL_TAPS2 \\
  "ldrd r2, r3, [r0], #8\\n"   /* two taps of both points */ \\
  "ldrd r12, lr, [r1], #8\\n"  /* of four channels */ \\
  "smlad r4, r2, r12, r4\\n" \\
  "smlad r5, r3, r12, r5\\n" \\
  "sxtb16 r12, r12\\n" \\
  "smlad r8, r2, lr, r8\\n" \\
  "smlad r9, r3, lr, r9\\n" \\
  "sxtb16 lr, lr\\n" \\
  "smlad r6, r2, r12, r6\\n" \\
  "smlad r7, r3, r12, r7\\n" \\
  "smlad r10, r2, lr, r10\\n" \\
  "smlad r11, r3, lr, r11\\n"
"""

_TAPS1 = """
#define HIL_TAPS1(a, b) /* four taps of one point, in registers a and b */ \\
  "ldm r1!, {r2, r3, r12, lr}\\n" \\
  "smlad r4, " a ", r2, r4\\n" \\
  "smlad r6, " a ", r3, r6\\n" \\
  "sxtb16 r2, r2\\n" \\
  "sxtb16 r3, r3\\n" \\
  "smlad r5, " a ", r2, r5\\n" \\
  "smlad r7, " a ", r3, r7\\n" \\
  "smlad r4, " b ", r12, r4\\n" \\
  "smlad r6, " b ", lr, r6\\n" \\
  "sxtb16 r12, r12\\n" \\
  "sxtb16 lr, lr\\n" \\
  "smlad r5, " b ", r12, r5\\n" \\
  "smlad r7, " b ", lr, r7\\n"
"""


def _naked(name: str, sums: str, pairs: str, many: str, one: str) -> str:
    """A function in assembly: GCC finds no way to keep all of this in its 14 registers.

    ``sums`` are those of ``a``; ``pairs`` the numbers of registers (high, low) in them.
    """
    both = [pair.split() for pair in pairs.split(",")]
    mix = "".join(f'      "add r{h}, r{low}, r{h}, lsl #8\\n"\n' for h, low in both)
    part = "".join(
        f'      "sub r{h}, r{h}, r{low}\\n"\n      "asr r{h}, r{h}, #8\\n"\n' for h, low in both
    )
    return f"""
HIL_NAKED {name}(const int16_t *x HIL_UNUSED, const int16_t *w HIL_UNUSED,
                      int32_t *a HIL_UNUSED, uint32_t groups HIL_UNUSED) {{
  __asm__ volatile(
      "push {{r2, r4-r11, lr}}\\n"
      "ldm r2, {{{sums}}}\\n"
{mix}      "add r12, r1, r3, lsl #4\\n" /* the end of the weights, and that of whole eights */
      "bic r3, r3, #7\\n"
      "add r3, r1, r3, lsl #4\\n"
      "push {{r3, r12}}\\n"
      "cmp r1, r3\\n"
      "beq 2f\\n"
      "1:\\n"
{many}      "ldr r12, [sp]\\n"
      "cmp r1, r12\\n"
      "bne 1b\\n"
      "2:\\n"
      "ldr r12, [sp, #4]\\n"
      "cmp r1, r12\\n"
      "beq 4f\\n"
      "3:\\n"
{one}      "ldr r12, [sp, #4]\\n"
      "cmp r1, r12\\n"
      "bne 3b\\n"
      "4:\\n"
      "ldr r2, [sp, #8]\\n"
      "add sp, #12\\n"
{part}      "stm r2, {{{sums}}}\\n"
      "pop {{r4-r11, pc}}\\n" ::: "memory");
}}
"""


_SUMS2 = _naked(
    "hil_sums2",
    "r4-r11",
    "4 6,5 7,8 10,9 11",
    '      ".rept 16\\n" HIL_TAPS2 ".endr\\n"\n',
    "      HIL_TAPS2 HIL_TAPS2\n",
)
_SUMS1 = _naked(
    "hil_sums1",
    "r4-r7",
    "4 5,6 7",
    '      ".rept 4\\n"\n      "ldm r0!, {r8-r11}\\n"\n'
    '      HIL_TAPS1("r8", "r9") HIL_TAPS1("r10", "r11")\n      ".endr\\n"\n',
    '      "ldrd r8, r9, [r0], #8\\n"\n      HIL_TAPS1("r8", "r9")\n',
)


def _portable(points: int) -> str:
    """The same in C."""
    taps = "".join(
        f"    const hil_half_t x{p}{t} = x[{2 * p + t}];\n" for p in range(points) for t in range(2)
    )
    sums = ""
    for c in range(2):
        for t in range(2):
            sums += f"    h = {read('int16_t', 'w', 2 * c + t)};\n    l = (int8_t)h;\n"
            for p in range(points):
                high, low = f"a{2 * c}{p}", f"a{2 * c + 1}{p}"
                sums += f"    {high} += (uint32_t)HIL_HIGH(x{p}{t}, h, l);\n"
                sums += f"    {low} += (uint32_t)(x{p}{t} * l);\n"
    names = [(f"a{c}{p}", c * points + p) for c in range(4) for p in range(points)]
    start = "".join(f"  uint32_t {n} = (uint32_t)a[{i}];\n" for n, i in names)
    mix = "".join(
        f"  a{c}{p} = HIL_MIX(a{c}{p}, a{c + 1}{p});\n" for c in (0, 2) for p in range(points)
    )
    part = "".join(
        f"  a[{i}] = HIL_PART({n}, a{int(n[1]) + 1}{n[2]});\n"
        if n[1] in "02"
        else f"  a[{i}] = (int32_t){n};\n"
        for n, i in names
    )
    return f"""
HIL_KERNEL hil_sums{points}(const int16_t *x, HIL_FLASH int16_t *w, int32_t *a, uint32_t groups) {{
{start}{mix}  for (uint32_t i = 0; i < 2 * groups; ++i, x += {2 * points}, w += 4) {{
{taps}    hil_half_t h, l;
{sums}  }}
{part}}}
"""


KERNELS = f"""#ifndef HIL_AOT_PAIRS_1
#define HIL_AOT_PAIRS_1

/* ---- int8: four channels at one point or two, two channels to a weight word ----
 * x: taps 0 and 2 of each point, then taps 1 and 3, then the next group of four.
 * a: the sums of all points of channel 0, then of channel 1, ...; they start from what is there. */

#if HIL_DSP
#define HIL_UNUSED __attribute__((unused))
#ifdef __clang__
#define HIL_NAKED __attribute__((naked, noinline, unused)) static void
#else /* no register is taken to be kept, no argument to be known */
#define HIL_NAKED __attribute__((naked, noinline, noipa, unused)) static void
#endif
{_TAPS2}{_SUMS2}{_TAPS1}{_SUMS1}
static inline void hil_widen1(int16_t *s, const int8_t *p) {{
  const hil_x4_t x = hil_x4(p);
  memcpy(s, &x.even, 4);
  memcpy(s + 2, &x.odd, 4);
}}
static inline void hil_widen2(int16_t *s, const int8_t *p, const int8_t *q) {{
  const hil_x4_t x = hil_x4(p), y = hil_x4(q);
  memcpy(s, &x.even, 4);
  memcpy(s + 2, &y.even, 4);
  memcpy(s + 4, &x.odd, 4);
  memcpy(s + 6, &y.odd, 4);
}}
#else
#ifdef __AVR__ /* multiplies bytes: channels are kept apart */
#define HIL_HIGH(x, h, l) ((x) * (hil_half_t)(int8_t)(((h) - (l)) >> 8))
#define HIL_MIX(high, low) (high)
#define HIL_PART(high, low) (int32_t)(high)
#else
#define HIL_HIGH(x, h, l) ((x) * (h))
#define HIL_MIX(high, low) (((high) << 8) + (low))
#define HIL_PART(high, low) ((int32_t)((high) - (low)) >> 8)
#endif
{_portable(2)}{_portable(1)}
static inline void hil_widen1(int16_t *s, const int8_t *p) {{
  s[0] = p[0], s[1] = p[2], s[2] = p[1], s[3] = p[3];
}}
static inline void hil_widen2(int16_t *s, const int8_t *p, const int8_t *q) {{
  s[0] = p[0], s[1] = p[2], s[2] = q[0], s[3] = q[2];
  s[4] = p[1], s[5] = p[3], s[6] = q[1], s[7] = q[3];
}}
#endif
#endif /* HIL_AOT_PAIRS_1 */
"""
