/*
 * One client at a time, its weights in the first-level cache, vectors over the outputs of a layer.
 * Sums are reordered and products fused, and what a ReLU made 0 is passed over.
 */
#include <stdbool.h>
#include <string.h>

#include "fleet.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define WIDTH 8u
typedef float vec __attribute__((vector_size(4 * WIDTH)));

static uint32_t cells(uint32_t n)
{
    return (n + WIDTH - 1u) / WIDTH;
}

/* A layer above another with one output is a single dot product. */
static bool narrow(const fleet_job *job, uint32_t i)
{
    return i != 0 && job->layers[i].n_out == 1u;
}

/* A layer's weights are [n_in + 1][cells(n_out)], the biases last; a narrow one's [cells(n_in)]
 * and its bias. */
static uint32_t layer_cells(const fleet_job *job, uint32_t i)
{
    const fleet_layer *l = &job->layers[i];
    return narrow(job, i) ? cells(l->n_in) + 1u : (l->n_in + 1u) * cells(l->n_out);
}

static uint32_t all_cells(const fleet_job *job)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < job->n_layers; i++) {
        n += layer_cells(job, i);
    }
    return n;
}

static uint32_t widest(const fleet_job *job)
{
    uint32_t n = job->layers[0].n_in;
    for (uint32_t i = 0; i < job->n_layers; i++) {
        n = job->layers[i].n_out > n ? job->layers[i].n_out : n;
    }
    return cells(n);
}

uint64_t fleet_scratch(const fleet_job *job)
{
    uint64_t n = 4u * (uint64_t)all_cells(job) + (job->n_layers + 3u) * (uint64_t)widest(job);
    return n * sizeof(vec) + 4u * ((uint64_t)job->n_layers * widest(job) * WIDTH + 16u);
}

#define EACH(C) for (uint32_t c = 0; c < (C); c++)
/* z = bias + x w for C cells of outputs, their sums in registers; `rows` are those with an x. */
#define FORWARD(C, SETS)                                                                          \
    static inline void forward_##C(const vec *w, uint32_t stride, uint32_t n_in, const float *x,  \
                                   const uint32_t *rows, uint32_t count, vec *z)                  \
    {                                                                                             \
        vec sum[SETS][C];                                                                         \
        EACH(C) sum[0][c] = w[n_in * stride + c];                                                 \
        for (uint32_t k = 1; k < SETS; k++) {                                                     \
            EACH(C) sum[k][c] = (vec){0};                                                         \
        }                                                                                         \
        uint32_t at = 0;                                                                          \
        for (; at + SETS <= count; at += SETS) {                                                  \
            for (uint32_t k = 0; k < SETS; k++) {                                                 \
                const vec *row = w + rows[at + k] * stride;                                       \
                float xi = x[rows[at + k]];                                                       \
                EACH(C) sum[k][c] += row[c] * xi;                                                 \
            }                                                                                     \
        }                                                                                         \
        for (; at < count; at++) {                                                                \
            EACH(C) sum[0][c] += w[rows[at] * stride + c] * x[rows[at]];                          \
        }                                                                                         \
        for (uint32_t k = 1; k < SETS; k++) {                                                     \
            EACH(C) sum[0][c] += sum[k][c];                                                       \
        }                                                                                         \
        EACH(C) z[c] = sum[0][c];                                                                 \
    }

typedef float half __attribute__((vector_size(2 * WIDTH)));

/* The sums of four vectors. */
static inline half totals(vec a, vec b, vec c, vec d)
{
    vec ab = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
             __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    vec cd = __builtin_shufflevector(c, d, 0, 8, 2, 10, 4, 12, 6, 14) +
             __builtin_shufflevector(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
    vec all = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
              __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(all, all, 0, 1, 2, 3) +
           __builtin_shufflevector(all, all, 4, 5, 6, 7);
}

static inline float total(vec v)
{
    return totals(v, v, v, v)[0];
}

/* dx += w d and w -= g x, for the rows that count, four at a time. */
#define BACKWARD(C)                                                                               \
    static inline void backward_##C(vec *w, uint32_t stride, uint32_t n_in, const float *x,       \
                                    const uint32_t *rows, uint32_t count, const vec *d,           \
                                    float rate, float *dx)                                        \
    {                                                                                             \
        vec g[C], slope[C];                                                                       \
        EACH(C) { slope[c] = d[c]; g[c] = rate * d[c]; }                                          \
        for (uint32_t at = 0; at < count; at += 4) {                                              \
            uint32_t n = count - at < 4u ? count - at : 4u;                                       \
            vec dot[4] = {{0}};                                                                   \
            for (uint32_t k = 0; k < n; k++) {                                                    \
                vec *row = w + rows[at + k] * stride;                                             \
                float xi = x[rows[at + k]];                                                       \
                EACH(C) {                                                                         \
                    vec was = row[c];                                                             \
                    dot[k] += was * slope[c];                                                     \
                    row[c] = was - g[c] * xi;                                                     \
                }                                                                                 \
            }                                                                                     \
            half sums = totals(dot[0], dot[1], dot[2], dot[3]);                                   \
            for (uint32_t k = 0; dx != 0 && k < n; k++) {                                         \
                dx[rows[at + k]] += sums[k];                                                      \
            }                                                                                     \
        }                                                                                         \
        EACH(C) w[n_in * stride + c] -= g[c];                                                     \
    }

FORWARD(1, 4) FORWARD(2, 4) FORWARD(3, 2) FORWARD(4, 2) FORWARD(5, 2) FORWARD(6, 2)
BACKWARD(1) BACKWARD(2) BACKWARD(3) BACKWARD(4) BACKWARD(5) BACKWARD(6)

#define MOST 6u
#define CHOOSE(NAME, N, ...)                                                                      \
    switch (N) {                                                                                  \
    case 1: NAME##_1(__VA_ARGS__); break;                                                         \
    case 2: NAME##_2(__VA_ARGS__); break;                                                         \
    case 3: NAME##_3(__VA_ARGS__); break;                                                         \
    case 4: NAME##_4(__VA_ARGS__); break;                                                         \
    case 5: NAME##_5(__VA_ARGS__); break;                                                         \
    default: NAME##_6(__VA_ARGS__); break;                                                        \
    }

/* Which of n values are not 0; without a branch that cannot be foreseen. */
static uint32_t where(const float *x, uint32_t n, uint32_t *rows)
{
    uint32_t count = 0, i = 0;
#if defined(__AVX512F__)
    __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; i + 16 <= n; i += 16, index = _mm512_add_epi32(index, _mm512_set1_epi32(16))) {
        __mmask16 alive =
            _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i), _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_si512(rows + count, _mm512_maskz_compress_epi32(alive, index));
        count += (uint32_t)__builtin_popcount(alive);
    }
#endif
    for (; i < n; i++) {
        rows[count] = i;
        count += x[i] != 0.0f;
    }
    return count;
}

static void forward(const fleet_layer *l, const vec *w, const float *x, const uint32_t *rows,
                    uint32_t count, vec *z)
{
    uint32_t stride = cells(l->n_out);
    for (uint32_t at = 0; at < stride; at += MOST) {
        uint32_t n = stride - at < MOST ? stride - at : MOST;
        CHOOSE(forward, n, w + at, stride, l->n_in, x, rows, count, z + at)
    }
    for (uint32_t c = 0; l->relu && c < stride; c++) {
        typedef int32_t bits __attribute__((vector_size(4 * WIDTH)));
        z[c] = (vec)((bits)z[c] & ~(z[c] < 0.0f));
    }
}

static void backward_wide(const fleet_layer *l, vec *w, const float *x, uint32_t *rows,
                          uint32_t count, const vec *d, float rate, vec *dx, bool relu)
{
    uint32_t stride = cells(l->n_out);
    for (uint32_t c = 0; dx != 0 && c < cells(l->n_in); c++) {
        dx[c] = (vec){0};
    }
    if (dx != 0 && !relu) { /* what is 0 has a slope all the same */
        for (count = 0; count < l->n_in; count++) {
            rows[count] = count;
        }
    }
    for (uint32_t at = 0; at < stride; at += MOST) {
        uint32_t n = stride - at < MOST ? stride - at : MOST;
        CHOOSE(backward, n, w + at, stride, l->n_in, x, rows, count, d + at, rate, (float *)dx)
    }
}

static void forward_narrow(const fleet_layer *l, const vec *w, const vec *x, vec *z)
{
    uint32_t n = cells(l->n_in);
    vec sum = {0};
    for (uint32_t c = 0; c < n; c++) {
        sum += w[c] * x[c];
    }
    float out = total(sum) + w[n][0];
    z[0] = (vec){l->relu && out < 0.0f ? 0.0f : out};
}

static void backward_narrow(const fleet_layer *l, vec *w, const vec *x, float d, float rate, vec *dx,
                            bool relu)
{
    typedef int32_t bits __attribute__((vector_size(4 * WIDTH)));
    uint32_t n = cells(l->n_in);
    float g = rate * d;
    for (uint32_t c = 0; c < n; c++) {
        vec was = w[c];
        if (dx != 0) {
            bits dead = relu ? x[c] == 0.0f : (bits){0};
            dx[c] = (vec)((bits)(was * d) & ~dead);
        }
        w[c] = was - g * x[c];
    }
    w[n][0] -= g;
}

static float exponential(float x)
{
    return __builtin_expf(x);
}

static float loss_of(const fleet_job *job, const float *y, const float *target, uint32_t n, float *d)
{
    float loss = 0.0f;
    if (!job->cross_entropy) {
        for (uint32_t i = 0; i < n; i++) {
            float error = y[i] - target[i];
            loss += error * error;
            d[i] = 2.0f / (float)n * error;
        }
        return loss / (float)n;
    }
    float most = y[0], sum = 0.0f;
    uint32_t kind = (uint32_t)target[0];
    for (uint32_t i = 1; i < n; i++) {
        most = y[i] > most ? y[i] : most;
    }
    for (uint32_t i = 0; i < n; i++) {
        sum += d[i] = exponential(y[i] - most);
    }
    for (uint32_t i = 0; i < n; i++) {
        d[i] = d[i] / sum - (i == kind ? 1.0f : 0.0f);
    }
    return __builtin_logf(sum) - (y[kind] - most);
}

/* What a step works with: room for the outputs of every layer, two deltas, and which inputs of
 * every layer are not 0. */
typedef struct work {
    vec *weights, *outputs, *d, *dx;
    uint32_t *rows;
} work;

static float learn(const fleet_job *job, const work *m, const float *x, const float *target,
                   float rate)
{
    uint32_t wide = widest(job), count[FLEET_MAX_LAYERS], *rows = m->rows;
    vec *w = m->weights, *z = m->outputs, *d = m->d, *dx = m->dx;
    const float *in = x;
    for (uint32_t i = 0; i < job->n_layers; i++, z += wide, rows += wide * WIDTH) {
        if (narrow(job, i)) {
            forward_narrow(&job->layers[i], w, (const vec *)in, z);
        } else {
            count[i] = where(in, job->layers[i].n_in, rows);
            forward(&job->layers[i], w, in, rows, count[i], z);
        }
        in = (const float *)z;
        w += layer_cells(job, i);
    }
    uint32_t n = job->layers[job->n_layers - 1u].n_out;
    d[cells(n) - 1u] = (vec){0};
    float loss = loss_of(job, in, target, n, (float *)d);
    for (uint32_t i = job->n_layers; i-- > job->first;) {
        const fleet_layer *l = &job->layers[i];
        bool lowest = i == job->first;
        w -= layer_cells(job, i);
        z -= wide;
        rows -= wide * WIDTH;
        const float *below = i == 0 ? x : (const float *)(z - wide);
        bool relu = !lowest && job->layers[i - 1u].relu;
        if (narrow(job, i)) {
            backward_narrow(l, w, (const vec *)below, ((float *)d)[0], rate, lowest ? 0 : dx, relu);
        } else {
            backward_wide(l, w, below, rows, count[i], d, rate, lowest ? 0 : dx, relu);
        }
        vec *swap = d;
        d = dx;
        dx = swap;
    }
    return loss;
}

/* Where the weight from input k (n_in: the bias) to output o of layer i is, in floats. */
static uint32_t place(const fleet_job *job, uint32_t i, uint32_t k, uint32_t o)
{
    const fleet_layer *l = &job->layers[i];
    if (narrow(job, i)) {
        return k < l->n_in ? k : WIDTH * cells(l->n_in);
    }
    return k * WIDTH * cells(l->n_out) + o;
}

/* For each parameter in the order of the file, where it is. */
#define EACH_PARAMETER(JOB)                                                                       \
    for (uint32_t i = 0, first = 0, at = 0; i < (JOB)->n_layers;                                  \
         first += WIDTH * layer_cells(JOB, i), i++)                                               \
        for (uint32_t o = 0, n_in = (JOB)->layers[i].n_in, n_out = (JOB)->layers[i].n_out,        \
                      begin = at; o < n_out; o++)                                                 \
            for (uint32_t k = 0; k <= n_in; k++, at++)

#define IN_FILE (begin + (k < n_in ? o * n_in + k : n_in * n_out + o))

static void spread(const fleet_job *job, const float *file, float *w)
{
    memset(w, 0, all_cells(job) * sizeof(vec));
    EACH_PARAMETER(job) w[first + place(job, i, k, o)] = file[IN_FILE];
}

static void gather(const fleet_job *job, const float *w, float *file)
{
    EACH_PARAMETER(job) file[IN_FILE] = w[first + place(job, i, k, o)];
}

static void collect(const fleet_job *job, const double *sums, double *file)
{
    EACH_PARAMETER(job) file[IN_FILE] += sums[first + place(job, i, k, o)];
}

static bool all_finite(const float *w, uint32_t n)
{
    uint32_t most = 0; /* by the bits: -ffast-math knows no infinity */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, w + i, 4);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return most < 0x7f800000u;
}

static bool near(const fleet_job *job, const float *w, const float *start, uint32_t n)
{
    double squares = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        double delta = (double)(w[i] - start[i]);
        squares += delta * delta;
    }
    return squares <= job->limit * job->limit;
}

static void add(const float *w, const float *start, uint32_t n, double *sums)
{
    for (uint32_t i = 0; i < n; i++) {
        sums[i] += (double)(w[i] - start[i]);
    }
}

void fleet_train(const fleet_job *job, uint32_t clients, const float *x, const float *y,
                 void *scratch, double *sum, float *losses, float *trained)
{
    uint32_t n = all_cells(job), steps = job->epochs * job->samples, wide = widest(job);
    vec *start = (vec *)scratch;
    work m = {.weights = start + n};
    m.outputs = m.weights + n;
    m.d = m.outputs + (job->n_layers + 1u) * wide;
    m.dx = m.d + wide;
    double *sums = (double *)(void *)(m.dx + wide);
    m.rows = (uint32_t *)(void *)(sums + n * WIDTH);
    memset(sums, 0, n * WIDTH * sizeof *sums);
    uint32_t n_in = job->layers[0].n_in;
    spread(job, job->start, (float *)start);
    for (uint32_t client = 0; client < clients; client++) {
        const float *xs = x + (uint64_t)client * job->samples * n_in;
        const float *ys = y + (uint64_t)client * job->samples * job->n_target;
        memcpy(m.weights, start, n * sizeof(vec));
        float losses_sum = 0.0f;
        for (uint32_t i = 0; i < steps; i++) {
            uint32_t sample = i % job->samples;
            losses_sum += learn(job, &m, xs + sample * n_in, ys + sample * job->n_target, job->rates[i]);
        }
        bool good = all_finite((const float *)m.weights, n * WIDTH) && all_finite(&losses_sum, 1);
        losses[client] = losses_sum / (float)steps;
        if (good && near(job, (const float *)m.weights, (const float *)start, n * WIDTH)) {
            add((const float *)m.weights, (const float *)start, n * WIDTH, sums);
        } else {
            uint32_t nan = 0x7fc00000u;
            memcpy(&losses[client], &nan, 4);
        }
        if (trained != 0) {
            gather(job, (const float *)m.weights, trained + (uint64_t)client * job->n_parameters);
        }
    }
    collect(job, sums, sum);
}
