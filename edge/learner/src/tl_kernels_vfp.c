/*
 * The float32 primitives for Cortex-M cores with an FPU: rows of weights come and go by load- and
 * store-multiple, sums stay in registers. Same order of every sum as tl_kernels.c.
 */
#include "tl_internal.h"

#if defined(__arm__) && defined(__thumb2__) && defined(__ARM_FP)

/* One step of a sum, s + a * b and s - a * b; t is a register to spare, which may be a. */
#define PLAIN_ADD(s, a, b, t) "vmul.f32 " t ", " a ", " b "\n vadd.f32 " s ", " s ", " t "\n"
#define PLAIN_SUB(s, a, b, t) "vmul.f32 " t ", " a ", " b "\n vsub.f32 " s ", " s ", " t "\n"
/* The same two roundings in one instruction: half the code, one cycle more. For tails and rows. */
#define CHAINED_ADD(s, a, b, t) "vmla.f32 " s ", " a ", " b "\n"
#define CHAINED_SUB(s, a, b, t) "vmls.f32 " s ", " a ", " b "\n"
#define FUSED_ADD(s, a, b, t) "vfma.f32 " s ", " a ", " b "\n"
#define FUSED_SUB(s, a, b, t) "vfms.f32 " s ", " a ", " b "\n"

#define FPU_REGISTERS                                                                             \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13",       \
        "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25",       \
        "s26", "s27", "s28", "s29", "s30", "s31", "cc", "memory"

/* Two, four, eight steps: sums from one list of registers, weights in s0 and up, x in s8. */
#define SUM_1(STEP, a) STEP(a, "s0", "s8", "s0")
#define SUM_2(STEP, a, b) SUM_1(STEP, a) STEP(b, "s1", "s8", "s1")
#define SUM_4(STEP, a, b, c, d) SUM_2(STEP, a, b) STEP(c, "s2", "s8", "s2") STEP(d, "s3", "s8", "s3")
#define SUM_8(STEP, a, b, c, d, e, f, g, h)                                                       \
    SUM_4(STEP, a, b, c, d) STEP(e, "s4", "s8", "s4") STEP(f, "s5", "s8", "s5")                   \
    STEP(g, "s6", "s8", "s6") STEP(h, "s7", "s8", "s7")

/* For one tile of z, in registers SUMS: z += sum over i of w[i] * x[i], passing over x == 0.
 * `row` and `rest` are the bytes of a row of w, and those of it outside the tile. */
#define COLUMNS_TILE(NAME, SUMS, BODY)                                                            \
    static inline __attribute__((always_inline)) void NAME(                                       \
        const float *w, const float *x, uint32_t n_in, uint32_t row, uint32_t rest,               \
        const float *start, float *z)                                                             \
    {                                                                                             \
        uint32_t bits;                                                                            \
        __asm__ volatile("vldmia %[start], {" SUMS "}\n"                                          \
                         "1: ldr %[bits], [%[x]], #4\n"                                           \
                         "vmov s8, %[bits]\n"                                                     \
                         "lsls %[bits], %[bits], #1\n"                                            \
                         "beq 2f\n" BODY "add %[w], %[w], %[rest]\n"                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "b 3f\n"                                                                 \
                         "2: add %[w], %[w], %[row]\n"                                            \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "3: vstmia %[z], {" SUMS "}\n"                                           \
                         : [w] "+r"(w), [x] "+r"(x), [n] "+r"(n_in), [bits] "=&r"(bits)           \
                         : [row] "r"(row), [rest] "r"(rest), [z] "r"(z), [start] "r"(start)       \
                         : FPU_REGISTERS);                                                        \
    }

/* One tile of w: w[i] -= g * x[i]. */
#define UPDATE_TILE(NAME, GS, WS, BODY)                                                           \
    static inline __attribute__((always_inline)) void NAME(                                       \
        float *w, const float *x, uint32_t n_in, uint32_t row, uint32_t rest, const float *g)     \
    {                                                                                             \
        uint32_t bits;                                                                            \
        __asm__ volatile("vldmia %[g], {" GS "}\n"                                                \
                         "1: ldr %[bits], [%[x]], #4\n"                                           \
                         "vmov s8, %[bits]\n"                                                     \
                         "lsls %[bits], %[bits], #1\n"                                            \
                         "beq 2f\n"                                                               \
                         "vldmia %[w], {" WS "}\n" BODY "vstmia %[w]!, {" WS "}\n"                \
                         "add %[w], %[w], %[rest]\n"                                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "b 3f\n"                                                                 \
                         "2: add %[w], %[w], %[row]\n"                                            \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "3:\n"                                                                   \
                         : [w] "+r"(w), [x] "+r"(x), [n] "+r"(n_in), [bits] "=&r"(bits)           \
                         : [row] "r"(row), [rest] "r"(rest), [g] "r"(g)                           \
                         : FPU_REGISTERS);                                                        \
    }

/* One tile of d: dx[i] += sum over the tile of w[i] * d. */
#define BACK_TILE(NAME, DS, WS, BODY)                                                             \
    static inline __attribute__((always_inline)) void NAME(                                       \
        const float *w, const float *d, uint32_t n_in, uint32_t rest, float *dx)                  \
    {                                                                                             \
        __asm__ volatile("vldmia %[d], {" DS "}\n"                                                \
                         "1: vldmia %[w]!, {" WS "}\n"                                            \
                         "vldr s8, [%[dx]]\n" BODY "vstmia %[dx]!, {s8}\n"                        \
                         "add %[w], %[w], %[rest]\n"                                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         : [w] "+r"(w), [dx] "+r"(dx), [n] "+r"(n_in)                             \
                         : [rest] "r"(rest), [d] "r"(d)                                           \
                         : FPU_REGISTERS);                                                        \
    }

/* w in s0 and up, d or g in s16 and up; s8 is the sum or the x, s9 is to spare. */
#define DOT_1(STEP) STEP("s8", "s0", "s16", "s9")
#define DOT_2(STEP) DOT_1(STEP) STEP("s8", "s1", "s17", "s9")
#define DOT_4(STEP) DOT_2(STEP) STEP("s8", "s2", "s18", "s9") STEP("s8", "s3", "s19", "s9")
#define DOT_8(STEP)                                                                               \
    DOT_4(STEP) STEP("s8", "s4", "s20", "s9") STEP("s8", "s5", "s21", "s9")                       \
    STEP("s8", "s6", "s22", "s9") STEP("s8", "s7", "s23", "s9")
#define AXPY_1(STEP) STEP("s0", "s16", "s8", "s9")
#define AXPY_2(STEP) AXPY_1(STEP) STEP("s1", "s17", "s8", "s9")
#define AXPY_4(STEP) AXPY_2(STEP) STEP("s2", "s18", "s8", "s9") STEP("s3", "s19", "s8", "s9")
#define AXPY_8(STEP)                                                                              \
    AXPY_4(STEP) STEP("s4", "s20", "s8", "s9") STEP("s5", "s21", "s8", "s9")                      \
    STEP("s6", "s22", "s8", "s9") STEP("s7", "s23", "s8", "s9")

#define AXPY_HIGH_8(STEP)                                                                         \
    STEP("s0", "s24", "s8", "s9") STEP("s1", "s25", "s8", "s9") STEP("s2", "s26", "s8", "s9")     \
    STEP("s3", "s27", "s8", "s9") STEP("s4", "s28", "s8", "s9") STEP("s5", "s29", "s8", "s9")     \
    STEP("s6", "s30", "s8", "s9") STEP("s7", "s31", "s8", "s9")

/* Back and update of one row in one pass: s8 is the sum, s10 the x, g in s24 and up. */
#define FUSED_ROW_1(STEP) STEP("s0", "s24", "s10", "s9")
#define FUSED_ROW_2(STEP) FUSED_ROW_1(STEP) STEP("s1", "s25", "s10", "s9")
#define FUSED_ROW_4(STEP) FUSED_ROW_2(STEP) STEP("s2", "s26", "s10", "s9") STEP("s3", "s27", "s10", "s9")
#define FUSED_ROW_8(STEP)                                                                         \
    FUSED_ROW_4(STEP) STEP("s4", "s28", "s10", "s9") STEP("s5", "s29", "s10", "s9")               \
    STEP("s6", "s30", "s10", "s9") STEP("s7", "s31", "s10", "s9")

/* All rows: dx[i] = sum over o of w[i][o] * d[o], then w[i][o] -= g[o] * x[i]; 0 where x[i] == 0.
 * Counts of eights, and of single ones behind them, of each row. */
#define BACK_UPDATE(NAME, ADD, SUB)                                                               \
    static void NAME(float *w, const float *x, const float *d, const float *g, uint32_t n_in,     \
                     uint32_t n_out, float *dx)                                                   \
    {                                                                                             \
        uint32_t bits, left;                                                                      \
        const float *dp, *gp;                                                                     \
        __asm__ volatile("1: ldr %[bits], [%[x]], #4\n"                                           \
                         "vmov s10, %[bits]\n"                                                    \
                         "lsls %[bits], %[bits], #1\n"                                            \
                         "beq 5f\n"                                                               \
                         "vmov s8, %[zero]\n" \
                         "mov %[dp], %[d]\n"                                                      \
                         "mov %[gp], %[g]\n"                                                      \
                         "subs %[left], %[n_out], #8\n"                                           \
                         "blo 3f\n"                                                               \
                         "2: vldmia %[w], {s0-s7}\n"                                              \
                         "vldmia %[dp]!, {s16-s23}\n"                                             \
                         "vldmia %[gp]!, {s24-s31}\n"                                             \
                         "subs %[left], %[left], #8\n" DOT_8(ADD) FUSED_ROW_8(SUB)                \
                         "vstmia %[w]!, {s0-s7}\n"                                                \
                         "bhs 2b\n"                                                               \
                         "3: adds %[left], %[left], #8\n"                                         \
                         "beq 6f\n"                                                               \
                         "4: vldr s0, [%[w]]\n"                                                   \
                         "vldmia %[dp]!, {s16}\n"                                                 \
                         "vldmia %[gp]!, {s24}\n"                                                 \
                         "subs %[left], %[left], #1\n" DOT_1(ADD) FUSED_ROW_1(SUB)                \
                         "vstmia %[w]!, {s0}\n"                                                   \
                         "bne 4b\n"                                                               \
                         "6: vstmia %[dx]!, {s8}\n"                                               \
                         "subs %[n_in], %[n_in], #1\n"                                            \
                         "bne 1b\n"                                                               \
                         "b 7f\n"                                                                 \
                         "5: add %[w], %[w], %[n_out], lsl #2\n"                                  \
                         "str %[zero], [%[dx]], #4\n"                                             \
                         "subs %[n_in], %[n_in], #1\n"                                            \
                         "bne 1b\n"                                                               \
                         "7:\n"                                                                   \
                         : [w] "+r"(w), [x] "+r"(x), [n_in] "+r"(n_in), [dx] "+r"(dx),            \
                           [bits] "=&r"(bits), [left] "=&r"(left), [dp] "=&r"(dp), [gp] "=&r"(gp) \
                         : [d] "r"(d), [g] "r"(g), [n_out] "r"(n_out), [zero] "r"(0)              \
                         : FPU_REGISTERS);                                                        \
    }

/* Rows of w as in the file. Four rows at a time: x in s0-s7, one row of w in s8-s15. */
#define ROW_8(ADD, s)                                                                             \
    ADD(s, "s8", "s0", "s8") ADD(s, "s9", "s1", "s9") ADD(s, "s10", "s2", "s10")                  \
    ADD(s, "s11", "s3", "s11") ADD(s, "s12", "s4", "s12") ADD(s, "s13", "s5", "s13")              \
    ADD(s, "s14", "s6", "s14") ADD(s, "s15", "s7", "s15")

#define ROWS_4(NAME, ADD)                                                                         \
    static void NAME(const float *w, uint32_t stride, const float *x, uint32_t n_in, float *z)    \
    {                                                                                             \
        const float *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;                       \
        __asm__ volatile("vldmia %[z], {s16-s19}\n"                                               \
                         "subs %[n], %[n], #8\n"                                                  \
                         "blo 3f\n"                                                               \
                         "2: vldmia %[x]!, {s0-s7}\n"                                             \
                         "vldmia %[w0]!, {s8-s15}\n" ROW_8(ADD, "s16")                            \
                         "vldmia %[w1]!, {s8-s15}\n" ROW_8(ADD, "s17")                            \
                         "vldmia %[w2]!, {s8-s15}\n" ROW_8(ADD, "s18")                            \
                         "vldmia %[w3]!, {s8-s15}\n" ROW_8(ADD, "s19")                            \
                         "subs %[n], %[n], #8\n"                                                  \
                         "bhs 2b\n"                                                               \
                         "3: adds %[n], %[n], #8\n"                                               \
                         "beq 5f\n"                                                               \
                         "4: vldmia %[x]!, {s0}\n"                                                \
                         "vldmia %[w0]!, {s8}\n"                                                  \
                         "vldmia %[w1]!, {s9}\n"                                                  \
                         "vldmia %[w2]!, {s10}\n"                                                 \
                         "vldmia %[w3]!, {s11}\n" ADD("s16", "s8", "s0", "s8")                    \
                         ADD("s17", "s9", "s0", "s9") ADD("s18", "s10", "s0", "s10")              \
                         ADD("s19", "s11", "s0", "s11")                                           \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 4b\n"                                                               \
                         "5: vstmia %[z], {s16-s19}\n"                                            \
                         : [x] "+r"(x), [n] "+r"(n_in), [w0] "+r"(w), [w1] "+r"(w1),              \
                           [w2] "+r"(w2), [w3] "+r"(w3)                                           \
                         : [z] "r"(z)                                                             \
                         : FPU_REGISTERS);                                                        \
    }

#define SUMS_LOW "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23"
#define SUMS_HIGH "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"
#define EXPAND(MACRO, ...) MACRO(__VA_ARGS__)

/* Tiles of other widths than 8 and 1 make it faster, and are left out where size counts. */
#define WIDE (!TL_DENSE_ONLY)

/* The five primitives of one contract. */
#define KERNELS(NAME, ADD, SUB, SHORT_ADD, SHORT_SUB)                                             \
    COLUMNS_TILE(NAME##_columns_16, "s16-s31",                                                    \
                 "vldmia %[w]!, {s0-s7}\n" EXPAND(SUM_8, ADD, SUMS_LOW)                           \
                 "vldmia %[w]!, {s0-s7}\n" EXPAND(SUM_8, ADD, SUMS_HIGH))                         \
    COLUMNS_TILE(NAME##_columns_8, "s16-s23", "vldmia %[w]!, {s0-s7}\n" EXPAND(SUM_8, ADD, SUMS_LOW)) \
    COLUMNS_TILE(NAME##_columns_4, "s16-s19",                                                     \
                 "vldmia %[w]!, {s0-s3}\n" SUM_4(SHORT_ADD, "s16", "s17", "s18", "s19"))                \
    COLUMNS_TILE(NAME##_columns_2, "s16-s17", "vldmia %[w]!, {s0-s1}\n" SUM_2(SHORT_ADD, "s16", "s17")) \
    COLUMNS_TILE(NAME##_columns_1, "s16", "vldmia %[w]!, {s0}\n" SUM_1(SHORT_ADD, "s16"))               \
    UPDATE_TILE(NAME##_update_16, "s16-s31", "s0-s7",                                             \
                AXPY_8(SUB) "vstmia %[w]!, {s0-s7}\n"                                             \
                            "vldmia %[w], {s0-s7}\n" AXPY_HIGH_8(SUB))                            \
    UPDATE_TILE(NAME##_update_8, "s16-s23", "s0-s7", AXPY_8(SUB))                                 \
    UPDATE_TILE(NAME##_update_2, "s16-s17", "s0-s1", AXPY_2(SHORT_SUB))                                 \
    UPDATE_TILE(NAME##_update_1, "s16", "s0", AXPY_1(SHORT_SUB))                                        \
    BACK_TILE(NAME##_back_8, "s16-s23", "s0-s7", DOT_8(ADD))                                      \
    BACK_TILE(NAME##_back_1, "s16", "s0", DOT_1(SHORT_ADD))                                             \
    BACK_UPDATE(NAME##_back_update, ADD, SUB)                                                     \
    ROWS_4(NAME##_rows_4, SHORT_ADD)                                                                    \
    static void NAME##_columns(const float *w, const float *x, uint32_t n_in, uint32_t n_out,     \
                               const float *start, float *z)                                      \
    {                                                                                             \
        uint32_t row = 4u * n_out, o = 0;                                                         \
        for (; WIDE && o + 16 <= n_out; o += 16) {                                                \
            NAME##_columns_16(w + o, x, n_in, row, row - 64u, start + o, z + o);\
        }                                                                                         \
        for (; o + 8 <= n_out; o += 8) {                                                          \
            NAME##_columns_8(w + o, x, n_in, row, row - 32u, start + o, z + o);\
        }                                                                                         \
        for (; WIDE && o + 4 <= n_out; o += 4) {                                                  \
            NAME##_columns_4(w + o, x, n_in, row, row - 16u, start + o, z + o);\
        }                                                                                         \
        for (; WIDE && o + 2 <= n_out; o += 2) {                                                  \
            NAME##_columns_2(w + o, x, n_in, row, row - 8u, start + o, z + o);\
        }                                                                                         \
        for (; o < n_out; o++) {                                                                  \
            NAME##_columns_1(w + o, x, n_in, row, row - 4u, start + o, z + o);\
        }                                                                                         \
    }                                                                                             \
    static void NAME##_back(const float *w, const float *d, uint32_t n_in, uint32_t n_out,        \
                            float *dx)                                                            \
    {                                                                                             \
        uint32_t row = 4u * n_out, o = 0;                                                         \
        for (; o + 8 <= n_out; o += 8) {                                                          \
            NAME##_back_8(w + o, d + o, n_in, row - 32u, dx);                                     \
        }                                                                                         \
        for (; o < n_out; o++) {                                                                  \
            NAME##_back_1(w + o, d + o, n_in, row - 4u, dx);                                      \
        }                                                                                         \
    }                                                                                             \
    static void NAME##_update(float *w, const float *x, const float *g, uint32_t n_in,            \
                              uint32_t n_out)                                                     \
    {                                                                                             \
        uint32_t row = 4u * n_out, o = 0;                                                         \
        for (; WIDE && o + 16 <= n_out; o += 16) {                                                \
            NAME##_update_16(w + o, x, n_in, row, row - 64u, g + o);                              \
        }                                                                                         \
        for (; o + 8 <= n_out; o += 8) {                                                          \
            NAME##_update_8(w + o, x, n_in, row, row - 32u, g + o);                               \
        }                                                                                         \
        for (; WIDE && o + 2 <= n_out; o += 2) {                                                  \
            NAME##_update_2(w + o, x, n_in, row, row - 8u, g + o);                                \
        }                                                                                         \
        for (; o < n_out; o++) {                                                                  \
            NAME##_update_1(w + o, x, n_in, row, row - 4u, g + o);                                \
        }                                                                                         \
    }                                                                                             \
    static void NAME##_rows(const float *w, uint32_t stride, const float *x, uint32_t n_in,       \
                            uint32_t n_out, float *z)                                             \
    {                                                                                             \
        uint32_t o = 0;                                                                           \
        for (; WIDE && o + 4 <= n_out; o += 4) {                                                  \
            NAME##_rows_4(w + o * stride, stride, x, n_in, z + o);                                \
        }                                                                                         \
        for (; o < n_out; o++) {                                                                  \
            NAME##_back(w + o * stride, x, 1, n_in, z + o);                                       \
        }                                                                                         \
    }

KERNELS(plain, PLAIN_ADD, PLAIN_SUB, CHAINED_ADD, CHAINED_SUB)
#if TL_DENSE_ONLY
#define KERNEL(fma, name) ((void)(fma), plain_##name)
#else
KERNELS(fused, FUSED_ADD, FUSED_SUB, FUSED_ADD, FUSED_SUB)
#define KERNEL(fma, name) ((fma) ? fused_##name : plain_##name)
#endif

/* g = rate * d, which may be the same; b -= g. Rates in s24, b in s0 and up, d and g in s16 and up. */
void tl_bias_step(float *b, const float *d, float *g, uint32_t n, float rate)
{
    __asm__ volatile("vmov s24, %[rate]\n"
                     "subs %[n], %[n], #8\n"
                     "blo 3f\n"
                     "2: vldmia %[d]!, {s16-s23}\n"
                     "vldmia %[b], {s0-s7}\n"
                     "subs %[n], %[n], #8\n"
                     "vmul.f32 s16, s16, s24\n vmul.f32 s17, s17, s24\n"
                     "vmul.f32 s18, s18, s24\n vmul.f32 s19, s19, s24\n"
                     "vmul.f32 s20, s20, s24\n vmul.f32 s21, s21, s24\n"
                     "vmul.f32 s22, s22, s24\n vmul.f32 s23, s23, s24\n"
                     "vsub.f32 s0, s0, s16\n vsub.f32 s1, s1, s17\n"
                     "vsub.f32 s2, s2, s18\n vsub.f32 s3, s3, s19\n"
                     "vsub.f32 s4, s4, s20\n vsub.f32 s5, s5, s21\n"
                     "vsub.f32 s6, s6, s22\n vsub.f32 s7, s7, s23\n"
                     "vstmia %[g]!, {s16-s23}\n"
                     "vstmia %[b]!, {s0-s7}\n"
                     "bhs 2b\n"
                     "3: adds %[n], %[n], #8\n"
                     "beq 5f\n"
                     "4: vldmia %[d]!, {s16}\n"
                     "vldr s0, [%[b]]\n"
                     "vmul.f32 s16, s16, s24\n"
                     "vsub.f32 s0, s0, s16\n"
                     "vstmia %[g]!, {s16}\n"
                     "vstmia %[b]!, {s0}\n"
                     "subs %[n], %[n], #1\n"
                     "bne 4b\n"
                     "5:\n"
                     : [b] "+r"(b), [d] "+r"(d), [g] "+r"(g), [n] "+r"(n)
                     : [rate] "r"(rate)
                     : FPU_REGISTERS);
}

/* A single column of weights lies like a single row: the sum is a dot product, and the step is that
 * of one input. */
void tl_columns(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                const float *start, float *z)
{
    if (n_out == 1) {
        *z = *start;
        KERNEL(fma, back)(w, x, 1, n_in, z);
    } else {
        KERNEL(fma, columns)(w, x, n_in, n_out, start, z);
    }
}

void tl_back(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out, float *dx)
{
    if (n_out == 1) {
        KERNEL(fma, columns)(w, d, 1, n_in, dx, dx);
    } else {
        KERNEL(fma, back)(w, d, n_in, n_out, dx);
    }
}

void tl_update(bool fma, float *w, const float *x, const float *g, uint32_t n_in, uint32_t n_out)
{
    if (n_out == 1) {
        KERNEL(fma, update)(w, g, x, 1, n_in);
    } else {
        KERNEL(fma, update)(w, x, g, n_in, n_out);
    }
}

void tl_back_update(bool fma, float *w, const float *x, const float *d, const float *g,
                    uint32_t n_in, uint32_t n_out, float *dx)
{
    KERNEL(fma, back_update)(w, x, d, g, n_in, n_out, dx);
}

void tl_rows(bool fma, const float *w, uint32_t stride, const float *x, uint32_t n_in,
             uint32_t n_out, float *z)
{
    if (stride == 1) {
        KERNEL(fma, columns)(w, x, 1, n_out, z, z);
        return;
    }
    KERNEL(fma, rows)(w, stride, x, n_in, n_out, z);
}

#endif
