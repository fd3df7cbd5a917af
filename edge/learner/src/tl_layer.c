/* Sizes of a layer. */
#include "tl_internal.h"

#if !TL_DENSE_ONLY

uint32_t tl_elements(tl_shape shape)
{
    return (uint32_t)shape.h * shape.w * shape.c;
}

bool tl_has_weights(const tl_layer *layer)
{
    return layer->kind <= TL_DEPTHWISE;
}

uint32_t tl_inputs_of_one(const tl_layer *layer)
{
    uint32_t taps = (uint32_t)layer->kernel_h * layer->kernel_w;
    return layer->kind == TL_DENSE       ? layer->in.c
           : layer->kind == TL_CONV      ? taps * layer->in.c
           : layer->kind == TL_DEPTHWISE ? taps
                                         : 0;
}

uint32_t tl_weight_count(const tl_layer *layer)
{
    return tl_inputs_of_one(layer) * layer->out.c;
}

uint32_t tl_macs(const tl_layer *layer)
{
    uint64_t macs = (uint64_t)tl_inputs_of_one(layer) * tl_elements(layer->out);
    return macs > TL_MAX_MACS ? TL_MAX_MACS + 1u : (uint32_t)macs;
}

static uint32_t bytes(uint32_t elements, bool int8)
{
    return int8 ? (elements + 3u) & ~3u : 4u * elements;
}

uint32_t tl_in_bytes(const tl_layer *layer)
{
    return bytes(tl_elements(layer->in), layer->type == TL_INT8);
}

uint32_t tl_out_bytes(const tl_layer *layer)
{
    bool int8 = layer->kind == TL_QUANTIZE ||
                (layer->type == TL_INT8 && layer->kind != TL_DEQUANTIZE);
    return bytes(tl_elements(layer->out), int8);
}

#endif
