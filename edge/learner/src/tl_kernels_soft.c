/* The float primitives for cores without an FPU: bit for bit what plain float32 gives.
 *
 * A factor that meets many weights is unpacked once into a list, zeros left out. A sum stays
 * unpacked from term to term; an update adds to the bits of a weight in place. What is not
 * ordinary (denormal, infinite, NaN, huge, tiny) goes through plain float arithmetic. */
#include "tl_internal.h"

#if (defined(__arm__) && !defined(__ARM_FP)) || defined(TL_SOFT_ON_HOST)

#include "tl_soft_float.h"

#define TERMS 24u /* a list is on the stack: 16 bytes a term */

typedef struct list {
    uint32_t n;
    uint32_t next; /* first index that was not looked at */
    tl_soft_term term[TERMS];
} list;

static bool ordinary(float x)
{
    return (uint32_t)(tl_soft_exponent(tl_soft_bits(x)) - TL_SOFT_LOW) <=
           (uint32_t)(TL_SOFT_HIGH - TL_SOFT_LOW);
}

/* Unpack nonzero v[next...n - 1] until the list is full or a value is not ordinary; what v[i]
 * meets is at i * step. */
static void gather(list *l, const float *v, uint32_t n, uint32_t step)
{
    uint32_t i = l->next;
    tl_soft_term *t = l->term;
    for (; i < n && t < l->term + TERMS; i++) {
        if (tl_soft_bits(v[i]) << 1 == 0) {
            continue;
        }
        if (!ordinary(v[i])) {
            break;
        }
        *t++ = tl_soft_term_of(tl_soft_bits(v[i]), i * step);
    }
    l->n = (uint32_t)(t - l->term);
    l->next = i;
}

/* sum[r] += sum over i of w[r * row + i * step] * v[i], but not where needed[r] == 0. */
static void sums(const float *w, uint32_t row, uint32_t n_rows, const float *v, uint32_t step,
                 uint32_t n, const float *needed, float *sum)
{
    list l;
    l.next = 0;
    while (l.next < n) {
        gather(&l, v, n, step);
        uint32_t hard = l.next;
        bool is_hard = l.n < TERMS && hard < n;
        l.next += is_hard;
        for (uint32_t r = 0; r < n_rows; r++) {
            if (needed != 0 && tl_soft_bits(needed[r]) << 1 == 0) {
                continue;
            }
            const float *from = w + r * row;
            if (l.n != 0) {
                sum[r] = tl_soft_dot(sum[r], from, l.term, l.term + l.n);
            }
            if (is_hard) {
                sum[r] += from[hard * step] * v[hard];
            }
        }
    }
}

void tl_columns(bool fma, const float *w, const float *x, uint32_t n_in, uint32_t n_out,
                const float *start, float *z)
{
    (void)fma;
    for (uint32_t o = 0; start != z && o < n_out; o++) {
        z[o] = start[o];
    }
    sums(w, 1, n_out, x, n_out, n_in, 0, z);
}

void tl_back(bool fma, const float *w, const float *d, uint32_t n_in, uint32_t n_out, float *dx)
{
    (void)fma;
    sums(w, n_out, n_in, d, 1, n_out, 0, dx);
}

void tl_rows(bool fma, const float *w, uint32_t stride, const float *x, uint32_t n_in,
             uint32_t n_out, float *z)
{
    (void)fma;
    sums(w, stride, n_out, x, 1, n_in, 0, z);
}

void tl_bias_step(float *b, const float *d, float *g, uint32_t n, float rate)
{
    for (uint32_t o = 0; o < n; o++) {
        g[o] = rate * d[o];
        b[o] -= g[o];
    }
}

void tl_update(bool fma, float *w, const float *x, const float *g, uint32_t n_in, uint32_t n_out)
{
    (void)fma;
    list l;
    l.next = 0;
    while (l.next < n_out) {
        gather(&l, g, n_out, 1);
        uint32_t hard = l.next;
        bool is_hard = l.n < TERMS && hard < n_out;
        l.next += is_hard;
        for (uint32_t i = 0; i < n_in; i++) {
            float *row = w + i * n_out;
            if (tl_soft_bits(x[i]) << 1 == 0) {
                continue;
            }
            if (ordinary(x[i])) {
                tl_soft_subtract(row, l.term, l.term + l.n, tl_soft_bits(x[i]));
            } else {
                for (const tl_soft_term *t = l.term; t < l.term + l.n; t++) {
                    row[t->offset] -= g[t->offset] * x[i];
                }
            }
            if (is_hard) {
                row[hard] -= g[hard] * x[i];
            }
        }
    }
}

void tl_back_update(bool fma, float *w, const float *x, const float *d, const float *g,
                    uint32_t n_in, uint32_t n_out, float *dx)
{
    for (uint32_t i = 0; i < n_in; i++) {
        dx[i] = 0.0f;
    }
    sums(w, n_out, n_in, d, 1, n_out, x, dx);
    tl_update(fma, w, x, g, n_in, n_out);
}

#endif
