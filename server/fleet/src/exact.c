#include "fleet.h"
#include "tl_internal.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef float lane __attribute__((vector_size(4 * FLEET_LANES)));
typedef int32_t mask __attribute__((vector_size(4 * FLEET_LANES)));

#define ROWS 8u /* outputs whose sums run side by side */

typedef struct work {
    lane *weights; /* [n_parameters], as in the file: a layer's [n_out][n_in], then its biases */
    lane *outputs; /* of the input and every layer, one after another */
    lane *delta, *before;
} work;

static uint32_t values(const fleet_job *job)
{
    uint32_t n = job->layers[0].n_in;
    for (uint32_t i = 0; i < job->n_layers; i++) {
        n += job->layers[i].n_out;
    }
    return n;
}

static uint32_t widest(const fleet_job *job)
{
    uint32_t n = job->layers[0].n_in;
    for (uint32_t i = 0; i < job->n_layers; i++) {
        n = job->layers[i].n_out > n ? job->layers[i].n_out : n;
    }
    return n;
}

uint64_t fleet_scratch(const fleet_job *job)
{
    uint64_t lanes = (uint64_t)job->n_parameters + values(job) + 2u * widest(job);
    return lanes * sizeof(lane);
}

static inline lane same(float x)
{
    return x - (lane){0};
}

static inline lane step(uint32_t fma, lane s, lane a, lane b)
{
    if (!fma) {
        return s + a * b;
    }
#if defined(__AVX512F__)
    return (lane)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)s);
#else
    for (uint32_t k = 0; k < FLEET_LANES; k++) {
        s[k] = __builtin_fmaf(a[k], b[k], s[k]);
    }
    return s;
#endif
}

/* Zero for what is negative; NaN stays. */
static inline lane rectified(lane z)
{
    mask keep = ~(z < 0.0f);
    return (lane)((mask)z & keep) + 0.0f;
}

static inline void forward(uint32_t fma, const fleet_layer *l, const lane *w, const lane *x, lane *z)
{
    const lane *bias = w + l->n_in * l->n_out;
    for (uint32_t o = 0; o < l->n_out; o += ROWS) {
        uint32_t n = l->n_out - o < ROWS ? l->n_out - o : ROWS;
        lane sum[ROWS];
        const lane *row[ROWS];
        for (uint32_t k = 0; k < ROWS; k++) {
            row[k] = w + (o + (k < n ? k : 0)) * l->n_in;
            sum[k] = bias[o + (k < n ? k : 0)];
        }
        for (uint32_t i = 0; i < l->n_in; i++) {
            lane xi = x[i];
            for (uint32_t k = 0; k < ROWS; k++) {
                sum[k] = step(fma, sum[k], row[k][i], xi);
            }
        }
        for (uint32_t k = 0; k < n; k++) {
            z[o + k] = l->relu ? rectified(sum[k]) : sum[k];
        }
    }
}

/* dx, where it is asked for, from the weights before the step; then the step. */
static inline void backward(uint32_t fma, const fleet_layer *l, lane *w, const lane *x, const lane *d,
                            lane *dx, lane rate)
{
    lane *bias = w + l->n_in * l->n_out;
    for (uint32_t i = 0; dx != 0 && i < l->n_in; i++) {
        dx[i] = (lane){0};
    }
    for (uint32_t o = 0; o < l->n_out; o++, w += l->n_in) {
        lane g = rate * d[o], slope = d[o];
        if (dx != 0) {
            for (uint32_t i = 0; i < l->n_in; i++) {
                lane was = w[i];
                dx[i] = step(fma, dx[i], was, slope);
                w[i] = step(fma, was, g, -x[i]);
            }
        } else {
            for (uint32_t i = 0; i < l->n_in; i++) {
                w[i] = step(fma, w[i], g, -x[i]);
            }
        }
        bias[o] -= g;
    }
}

/* Loss of each client, and the slope of it; y is overwritten. */
static lane loss_of(const fleet_job *job, lane *y, const float *const *target, uint32_t n, lane *d)
{
    lane loss = {0};
    if (!job->cross_entropy) {
        float scale = 2.0f / (float)n;
        for (uint32_t i = 0; i < n; i++) {
            lane t;
            for (uint32_t k = 0; k < FLEET_LANES; k++) {
                t[k] = target[k][i];
            }
            lane error = y[i] - t;
            loss += error * error;
            d[i] = scale * error;
        }
        return loss / (float)n;
    }
    for (uint32_t k = 0; k < FLEET_LANES; k++) { /* the learner's own loss, a client at a time */
        float z[256], slope[256];
        for (uint32_t i = 0; i < n; i++) {
            z[i] = y[i][k];
        }
        loss[k] = tl_loss_cross_entropy(z, n, (uint32_t)target[k][0], slope);
        for (uint32_t i = 0; i < n; i++) {
            d[i][k] = slope[i];
        }
    }
    return loss;
}

static inline lane learn(uint32_t fma, const fleet_job *job, const work *m,
                         const float *const *target, lane rate)
{
    lane *w = m->weights, *at = m->outputs;
    for (uint32_t i = 0; i < job->n_layers; i++) {
        const fleet_layer *l = &job->layers[i];
        forward(fma, l, w, at, at + l->n_in);
        w += (l->n_in + 1u) * l->n_out;
        at += l->n_in;
    }
    lane *d = m->delta, *dx = m->before;
    lane loss = loss_of(job, at, target, job->layers[job->n_layers - 1u].n_out, d);
    for (uint32_t i = job->n_layers; i-- > job->first;) {
        const fleet_layer *l = &job->layers[i];
        for (uint32_t o = 0; l->relu && o < l->n_out; o++) {
            d[o] = (lane)((mask)d[o] & ~(at[o] == 0.0f));
        }
        w -= (l->n_in + 1u) * l->n_out;
        at -= l->n_in;
        backward(fma, l, w, at, d, i == job->first ? 0 : dx, rate);
        lane *swap = d;
        d = dx;
        dx = swap;
    }
    return loss;
}

static lane steps(uint32_t fma, const fleet_job *job, const work *m, const float *const *x,
                  const float *const *y)
{
    uint32_t n_in = job->layers[0].n_in;
    lane total = {0};
    for (uint32_t step_index = 0; step_index < job->epochs * job->samples; step_index++) {
        uint32_t sample = step_index % job->samples;
        const float *target[FLEET_LANES];
        for (uint32_t k = 0; k < FLEET_LANES; k++) {
            target[k] = y[k] + sample * job->n_target;
            for (uint32_t i = 0; i < n_in; i++) {
                m->outputs[i][k] = x[k][sample * n_in + i];
            }
        }
        total += learn(fma, job, m, target, same(job->rates[step_index]));
    }
    return total / (float)(job->epochs * job->samples);
}

static lane plain_steps(const fleet_job *job, const work *m, const float *const *x,
                        const float *const *y)
{
    return steps(0, job, m, x, y);
}

#if defined(__x86_64__) && !defined(__FMA__)
__attribute__((target("fma")))
#endif
static lane fused_steps(const fleet_job *job, const work *m, const float *const *x,
                        const float *const *y)
{
    return steps(1, job, m, x, y);
}

/* What is not finite, or went too far, makes its lane NaN. */
static lane checked(const fleet_job *job, const work *m, lane loss)
{
    double squares[FLEET_LANES] = {0};
    for (uint32_t i = 0; i < job->n_parameters; i++) {
        lane delta = m->weights[i] - same(job->start[i] + 0.0f);
        for (uint32_t k = 0; k < FLEET_LANES; k++) {
            squares[k] += (double)delta[k] * (double)delta[k];
        }
    }
    for (uint32_t k = 0; k < FLEET_LANES; k++) {
        bool near = squares[k] <= job->limit * job->limit; /* not of a NaN */
        loss[k] = near ? loss[k] : __builtin_nanf("");
    }
    return loss + (loss - loss);
}

#define BLOCK 8u

static void add(const fleet_job *job, const work *m, uint32_t clients, lane loss, double *sum)
{
    for (uint32_t at = 0; at < job->n_parameters; at += BLOCK) {
        uint32_t n = job->n_parameters - at < BLOCK ? job->n_parameters - at : BLOCK;
        double block[BLOCK];
        for (uint32_t i = 0; i < n; i++) {
            block[i] = sum[at + i];
        }
        for (uint32_t k = 0; k < clients; k++) {
            for (uint32_t i = 0; loss[k] == loss[k] && i < n; i++) {
                block[i] += (double)(m->weights[at + i][k] - job->start[at + i]);
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            sum[at + i] = block[i];
        }
    }
}

void fleet_train(const fleet_job *job, uint32_t clients, const float *x, const float *y,
                 void *scratch, double *sum, float *losses, float *trained)
{
    work m;
    m.weights = (lane *)scratch;
    m.outputs = m.weights + job->n_parameters;
    m.delta = m.outputs + values(job);
    m.before = m.delta + widest(job);
    uint64_t x_size = (uint64_t)job->samples * job->layers[0].n_in;
    uint64_t y_size = (uint64_t)job->samples * job->n_target;
    for (uint32_t first = 0; first < clients; first += FLEET_LANES) {
        uint32_t n = clients - first < FLEET_LANES ? clients - first : FLEET_LANES;
        const float *xs[FLEET_LANES], *ys[FLEET_LANES];
        for (uint32_t k = 0; k < FLEET_LANES; k++) { /* spare lanes repeat the first client */
            xs[k] = x + (first + (k < n ? k : 0)) * x_size;
            ys[k] = y + (first + (k < n ? k : 0)) * y_size;
        }
        for (uint32_t i = 0; i < job->n_parameters; i++) {
            m.weights[i] = same(job->start[i] + 0.0f);
        }
        lane loss = checked(job, &m, (job->fma ? fused_steps : plain_steps)(job, &m, xs, ys));
        add(job, &m, n, loss, sum);
        for (uint32_t k = 0; k < n; k++) {
            losses[first + k] = loss[k];
            for (uint32_t i = 0; trained != 0 && i < job->n_parameters; i++) {
                trained[(uint64_t)(first + k) * job->n_parameters + i] = m.weights[i][k];
            }
        }
    }
}
