/*
 * The primitives at positions next to one another, on Cortex-M cores with an FPU. Eight outputs,
 * what small convolutions have, stay in registers while the weights pass by two rows at a time;
 * their steps are vmla and vmls, which round twice as vmul and vadd do, in half the code.
 */
#include "tl_internal.h"

#if defined(__arm__) && defined(__thumb2__) && defined(__ARM_FP) && !TL_DENSE_ONLY

#define FPU_REGISTERS                                                                             \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s16", "s17", "s18", "s19",       \
        "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", \
        "memory"

/* Eight sums in s0 and up, two rows of weights in s16 and up, their inputs in s8 and s9. */
#define SUMS(OP)                                                                                  \
    OP " s0, s16, s8\n" OP " s1, s17, s8\n" OP " s2, s18, s8\n" OP " s3, s19, s8\n"               \
    OP " s4, s20, s8\n" OP " s5, s21, s8\n" OP " s6, s22, s8\n" OP " s7, s23, s8\n"               \
    OP " s0, s24, s9\n" OP " s1, s25, s9\n" OP " s2, s26, s9\n" OP " s3, s27, s9\n"               \
    OP " s4, s28, s9\n" OP " s5, s29, s9\n" OP " s6, s30, s9\n" OP " s7, s31, s9\n"
/* Eight deltas in s0 and up; the two sums in s8 and s9. */
#define DOTS(OP)                                                                                  \
    OP " s8, s16, s0\n" OP " s9, s24, s0\n" OP " s8, s17, s1\n" OP " s9, s25, s1\n"               \
    OP " s8, s18, s2\n" OP " s9, s26, s2\n" OP " s8, s19, s3\n" OP " s9, s27, s3\n"               \
    OP " s8, s20, s4\n" OP " s9, s28, s4\n" OP " s8, s21, s5\n" OP " s9, s29, s5\n"               \
    OP " s8, s22, s6\n" OP " s9, s30, s6\n" OP " s8, s23, s7\n" OP " s9, s31, s7\n"
#define STEPS(OP)                                                                                 \
    OP " s16, s0, s8\n" OP " s17, s1, s8\n" OP " s18, s2, s8\n" OP " s19, s3, s8\n"               \
    OP " s20, s4, s8\n" OP " s21, s5, s8\n" OP " s22, s6, s8\n" OP " s23, s7, s8\n"               \
    OP " s24, s0, s9\n" OP " s25, s1, s9\n" OP " s26, s2, s9\n" OP " s27, s3, s9\n"               \
    OP " s28, s4, s9\n" OP " s29, s5, s9\n" OP " s30, s6, s9\n" OP " s31, s7, s9\n"

/* One position: `pairs` of inputs. */
#define EIGHT(NAME, ADD, SUB)                                                                     \
    static inline __attribute__((always_inline)) void NAME##_columns(                             \
        const float *w, const float *x, uint32_t pairs, float *z)                                 \
    {                                                                                             \
        uint32_t a, b;                                                                            \
        __asm__ volatile("vldmia %[z], {s0-s7}\n"                                                 \
                         "1: ldrd %[a], %[b], [%[x]], #8\n"                                       \
                         "vmov s8, s9, %[a], %[b]\n"                                              \
                         "orrs %[a], %[a], %[b]\n"                                                \
                         "beq 2f\n"                                                               \
                         "vldmia %[w]!, {s16-s31}\n" SUMS(ADD)                                    \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "b 3f\n"                                                                 \
                         "2: adds %[w], %[w], #64\n"                                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "3: vstmia %[z], {s0-s7}\n"                                              \
                         : [w] "+r"(w), [x] "+r"(x), [n] "+r"(pairs), [a] "=&r"(a), [b] "=&r"(b)  \
                         : [z] "r"(z)                                                             \
                         : FPU_REGISTERS);                                                        \
    }                                                                                             \
    static inline __attribute__((always_inline)) void NAME##_back(                                \
        const float *w, const float *d, uint32_t pairs, float *dx)                                \
    {                                                                                             \
        __asm__ volatile("vldmia %[d], {s0-s7}\n"                                                 \
                         "1: vldmia %[w]!, {s16-s31}\n"                                           \
                         "vldmia %[dx], {s8-s9}\n" DOTS(ADD)                                      \
                         "vstmia %[dx]!, {s8-s9}\n"                                               \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         : [w] "+r"(w), [dx] "+r"(dx), [n] "+r"(pairs)                            \
                         : [d] "r"(d)                                                             \
                         : FPU_REGISTERS);                                                        \
    }                                                                                             \
    static inline __attribute__((always_inline)) void NAME##_update(                              \
        float *w, const float *x, const float *g, uint32_t pairs)                                 \
    {                                                                                             \
        uint32_t a, b;                                                                            \
        __asm__ volatile("vldmia %[g], {s0-s7}\n"                                                 \
                         "1: ldrd %[a], %[b], [%[x]], #8\n"                                       \
                         "vmov s8, s9, %[a], %[b]\n"                                              \
                         "orrs %[a], %[a], %[b]\n"                                                \
                         "beq 2f\n"                                                               \
                         "vldmia %[w], {s16-s31}\n" STEPS(SUB)                                    \
                         "vstmia %[w]!, {s16-s31}\n"                                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "b 3f\n"                                                                 \
                         "2: adds %[w], %[w], #64\n"                                              \
                         "subs %[n], %[n], #1\n"                                                  \
                         "bne 1b\n"                                                               \
                         "3:\n"                                                                   \
                         : [w] "+r"(w), [x] "+r"(x), [n] "+r"(pairs), [a] "=&r"(a), [b] "=&r"(b)  \
                         : [g] "r"(g)                                                             \
                         : FPU_REGISTERS);                                                        \
    }

EIGHT(plain, "vmla.f32", "vmls.f32")
EIGHT(fused, "vfma.f32", "vfms.f32")

static bool fits(uint32_t n_in, uint32_t n_out)
{
    return n_out == 8 && (n_in & 1u) == 0;
}

void tl_columns_run(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                    float *z, uint32_t x_step, uint32_t count)
{
    bool eight = fits(n_in, n_out);
    for (; count != 0; count--, x += x_step, z += n_out) {
        if (!eight) {
            tl_columns(fma, w, x, n_in, n_out, z, z);
        } else if (fma) {
            fused_columns(w, x, n_in / 2u, z);
        } else {
            plain_columns(w, x, n_in / 2u, z);
        }
    }
}

void tl_back_run(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out,
                 float *dx, uint32_t x_step, uint32_t count)
{
    bool eight = fits(n_in, n_out);
    for (; count != 0; count--, dx += x_step, d += n_out) {
        if (!eight) {
            tl_back(fma, w, d, n_in, n_out, dx);
        } else if (fma) {
            fused_back(w, d, n_in / 2u, dx);
        } else {
            plain_back(w, d, n_in / 2u, dx);
        }
    }
}

void tl_update_run(bool fma, float *w, const float *x, const float *g, uint32_t n_in,
                   uint32_t n_out, uint32_t x_step, uint32_t count)
{
    bool eight = fits(n_in, n_out);
    for (; count != 0; count--, x += x_step, g += n_out) {
        if (!eight) {
            tl_update(fma, w, x, g, n_in, n_out);
        } else if (fma) {
            fused_update(w, x, g, n_in / 2u);
        } else {
            plain_update(w, x, g, n_in / 2u);
        }
    }
}

#endif
