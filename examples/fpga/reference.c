/* Runs a network in whole numbers from the folder that `yoloslim export --format fpga` wrote, and compares every layer
 * with its golden output: first each layer on golden input, then all of them from the picture on.
 *
 *     cc -std=c99 -O2 -I FOLDER reference.c -o reference && ./reference FOLDER
 *
 * Sums are of 32 bits and never leave them; build with -fsanitize=undefined to see that. Exit codes: 0 all equal,
 * 1 not, 2 a file is missing or of the wrong size. The formats are described in docs/fpga.md.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "network.h"

#define BEYOND 65536 /* larger than every code */

static void *allocated(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

/* The bytes of FOLDER/PART/NAME + SUFFIX, which must be `size`. */
static uint8_t *contents(const char *folder, const char *part, const char *name, const char *suffix, size_t size)
{
    char path[4096];
    uint8_t *bytes = allocated(size + 1);
    FILE *file;
    snprintf(path, sizeof path, "%s/%s/%s%s", folder, part, name, suffix);
    file = fopen(path, "rb");
    if (!file || fread(bytes, 1, size + 1, file) != size) {
        fprintf(stderr, "%s: expected a file of %zu bytes\n", path, size);
        exit(2);
    }
    fclose(file);
    return bytes;
}

/* A whole number of 32 bits, lowest byte first. */
static int32_t number(const uint8_t *bytes)
{
    uint32_t bits = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return bits < 0x80000000u ? (int32_t)bits : -(int32_t)(~bits) - 1;
}

/* A code of 8 bits. */
static int32_t code_of(uint8_t byte, int is_signed)
{
    return is_signed && byte > 127 ? (int32_t)byte - 256 : (int32_t)byte;
}

static size_t cells(const ys_layer *layer)
{
    return (size_t)layer->channels * (size_t)layer->height * (size_t)layer->width;
}

/* The golden output of a layer. */
static int32_t *golden_map(const char *folder, const ys_layer *layer)
{
    int are_sums = layer->low == layer->high;
    size_t count = cells(layer);
    uint8_t *bytes = contents(folder, "golden", layer->name, ".bin", are_sums ? 4 * count : count);
    int32_t *map = allocated(count * sizeof *map);
    for (size_t i = 0; i < count; i++)
        map[i] = are_sums ? number(bytes + 4 * i) : code_of(bytes[i], layer->low < 0);
    free(bytes);
    return map;
}

/* sum / 2^shift, rounded, no lower than low and no higher than high. */
static int32_t to_code(int32_t sum, int shift, const ys_layer *layer)
{
    uint32_t size = sum < 0 ? (uint32_t)-sum : (uint32_t)sum;
    int32_t code;
    if (shift >= 32) {
        size = 0; /* below a half */
    } else if (shift > 0) {
        uint32_t half = (uint32_t)1 << (shift - 1), rest = size & (2 * half - 1);
        size >>= shift;
        size += rest > half || (rest == half && (!layer->half_even || size % 2));
    } else if (size) {
        size = shift < -16 || size > BEYOND ? BEYOND : size << -shift;
    }
    code = size > BEYOND ? BEYOND : (int32_t)size;
    code = sum < 0 ? -code : code;
    return code < layer->sums_low ? layer->sums_low : code > layer->sums_high ? layer->sums_high : code;
}

/* Weights in the order (output, input, row, column), from tiles. */
static int32_t *plain_weights(const char *folder, const ys_layer *layer, int inputs)
{
    int tm = layer->tile_outputs, tn = layer->tile_inputs, window = layer->size * layer->size;
    int rows = (layer->channels + tm - 1) / tm, columns = (inputs + tn - 1) / tn;
    size_t size = (size_t)rows * (size_t)columns * (size_t)(window * tm * tn);
    uint8_t *bytes = contents(folder, "layers", layer->name, ".weight.bin", size);
    int32_t *weights = allocated((size_t)layer->channels * (size_t)(inputs * window) * sizeof *weights);
    for (int o = 0; o < layer->channels; o++)
        for (int i = 0; i < inputs; i++)
            for (int place = 0; place < window; place++) {
                size_t tile = (size_t)(o / tm * columns + i / tn) * (size_t)window + (size_t)place;
                size_t at = (tile * (size_t)tm + (size_t)(o % tm)) * (size_t)tn + (size_t)(i % tn);
                size_t plain = ((size_t)o * (size_t)inputs + (size_t)i) * (size_t)window + (size_t)place;
                weights[plain] = code_of(bytes[at], 1);
            }
    free(bytes);
    return weights;
}

/* Adds the products of one weight with the cells of one channel to the sums of another. */
static void add_products(const ys_layer *layer, const ys_layer *from, const int32_t *in, int32_t weight, int row,
                         int column, int32_t *sums)
{
    int top = row * layer->dilation - layer->pad, left = column * layer->dilation - layer->pad;
    for (int y = 0; y < layer->height; y++) {
        int from_y = y * layer->stride_y + top;
        if (from_y < 0 || from_y >= from->height)
            continue;
        for (int x = 0; x < layer->width; x++) {
            int from_x = x * layer->stride_x + left;
            if (from_x >= 0 && from_x < from->width)
                sums[y * layer->width + x] += weight * in[from_y * from->width + from_x];
        }
    }
}

static void convolution(const char *folder, const ys_layer *layer, const ys_layer *from, const int32_t *in,
                        int32_t *out)
{
    int inputs = from->channels / layer->groups, outputs = layer->channels / layer->groups, size = layer->size;
    size_t area = (size_t)(layer->height * layer->width), from_area = (size_t)(from->height * from->width);
    int32_t *weights = plain_weights(folder, layer, inputs), *weight = weights;
    uint8_t *bias = contents(folder, "layers", layer->name, ".bias.bin", 4 * (size_t)layer->channels);
    for (int o = 0; o < layer->channels; o++) {
        int32_t *sums = out + (size_t)o * area;
        for (size_t cell = 0; cell < area; cell++)
            sums[cell] = number(bias + 4 * o);
        for (int i = 0; i < inputs; i++) {
            const int32_t *channel = in + (size_t)(o / outputs * inputs + i) * from_area;
            for (int place = 0; place < size * size; place++)
                add_products(layer, from, channel, *weight++, place / size, place % size, sums);
        }
    }
    free(weights);
    free(bias);
}

/* Sums to codes, each channel by its own shift; those of a head stay sums. */
static void divide(const char *folder, const ys_layer *layer, int32_t *map)
{
    size_t area = (size_t)(layer->height * layer->width);
    uint8_t *shifts = 0;
    if (layer->sums_low == layer->sums_high)
        return;
    if (layer->kind == YS_CONVOLUTION)
        shifts = contents(folder, "layers", layer->name, ".shift.bin", (size_t)layer->channels);
    for (size_t i = 0; i < cells(layer); i++)
        map[i] = to_code(map[i], shifts ? code_of(shifts[i / area], 1) : layer->shift, layer);
    free(shifts);
}

/* Codes to those behind the activation. */
static void activate(const char *folder, const ys_layer *layer, int32_t *map)
{
    uint8_t *table;
    if (!layer->has_table)
        return;
    table = contents(folder, "layers", layer->name, ".table.bin", (size_t)(layer->sums_high - layer->sums_low + 1));
    for (size_t i = 0; i < cells(layer); i++)
        map[i] = code_of(table[map[i] - layer->sums_low], layer->low < 0);
    free(table);
}

/* The largest code of each window; cells outside of the map do not count. */
static void maxpool(const ys_layer *layer, const ys_layer *from, const int32_t *in, int32_t *out)
{
    for (int c = 0; c < layer->channels; c++, in += from->height * from->width)
        for (int y = 0; y < layer->height; y++)
            for (int x = 0; x < layer->width; x++, out++) {
                *out = INT32_MIN;
                for (int place = 0; place < layer->size * layer->size; place++) {
                    int from_y = y * layer->stride_y - layer->pad + place / layer->size;
                    int from_x = x * layer->stride_x - layer->pad + place % layer->size;
                    if (from_y < 0 || from_y >= from->height || from_x < 0 || from_x >= from->width)
                        continue;
                    if (in[from_y * from->width + from_x] > *out)
                        *out = in[from_y * from->width + from_x];
                }
            }
}

static void upsample(const ys_layer *layer, const ys_layer *from, const int32_t *in, int32_t *out)
{
    for (int c = 0; c < layer->channels; c++)
        for (int y = 0; y < layer->height; y++)
            for (int x = 0; x < layer->width; x++)
                *out++ = in[(c * from->height + y / layer->stride_y) * from->width + x / layer->stride_x];
}

/* One part of every input, one behind the other. */
static void concatenate(const ys_layer *layer, int32_t *const *maps, int32_t *out)
{
    for (int k = 0; k < layer->num_inputs; k++) {
        size_t count = cells(&YS_NETWORK[layer->inputs[k]]) / (size_t)layer->groups;
        const int32_t *part = maps[layer->inputs[k]] + count * (size_t)layer->group;
        for (size_t i = 0; i < count; i++)
            *out++ = part[i];
    }
}

/* Inputs brought to one unit and added; of a larger map every so manieth cell, of a shorter one what it has. */
static void add(const ys_layer *layer, int32_t *const *maps, int32_t *out)
{
    for (size_t i = 0; i < cells(layer); i++)
        out[i] = 0;
    for (int k = 0; k < layer->num_inputs; k++) {
        const ys_layer *from = &YS_NETWORK[layer->inputs[k]];
        int step = from->height / layer->height;
        int channels = from->channels < layer->channels ? from->channels : layer->channels;
        int32_t *sum = out, factor = (int32_t)1 << layer->lifts[k];
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < layer->height; y++)
                for (int x = 0; x < layer->width; x++)
                    *sum++ += maps[layer->inputs[k]][(c * from->height + y * step) * from->width + x * step] * factor;
    }
}

/* The codes of the picture: a table of its 256 values. */
static void image(const char *folder, const ys_layer *layer, int32_t *out)
{
    uint8_t *pixels = contents(folder, "layers", layer->name, ".pixels.bin", cells(layer));
    uint8_t *table = contents(folder, "layers", layer->name, ".table.bin", 256);
    for (size_t i = 0; i < cells(layer); i++)
        out[i] = table[pixels[i]];
    free(pixels);
    free(table);
}

/* What a layer gives for these maps. */
static int32_t *computed(const char *folder, const ys_layer *layer, int32_t *const *maps)
{
    int32_t *out = allocated(cells(layer) * sizeof *out);
    const ys_layer *from = &YS_NETWORK[layer->inputs[0]];
    const int32_t *in = maps[layer->inputs[0]];
    switch (layer->kind) {
    case YS_IMAGE: image(folder, layer, out); return out;
    case YS_CONVOLUTION: convolution(folder, layer, from, in, out); break;
    case YS_MAXPOOL: maxpool(layer, from, in, out); return out;
    case YS_UPSAMPLE: upsample(layer, from, in, out); return out;
    case YS_CONCATENATE: concatenate(layer, maps, out); return out;
    case YS_ADD: add(layer, maps, out); break;
    }
    divide(folder, layer, out);
    activate(folder, layer, out);
    return out;
}

/* Whether a map is as it should be; says where it is not. */
static int is_equal(const ys_layer *layer, const int32_t *found, const int32_t *expected)
{
    size_t differing = 0, first = 0;
    for (size_t i = cells(layer); i-- > 0;)
        if (found[i] != expected[i]) {
            differing++;
            first = i;
        }
    if (differing)
        printf("%s: %zu of %zu numbers differ; at %zu expected %ld, found %ld\n", layer->name, differing, cells(layer),
               first, (long)expected[first], (long)found[first]);
    return !differing;
}

/* How many layers differ from their golden output, each fed with golden maps, or with what was computed before it. */
static int wrong_layers(const char *folder, int is_chained)
{
    int32_t *maps[YS_LAYERS] = {0};
    int wrong = 0;
    for (int k = 0; k < YS_LAYERS; k++) {
        const ys_layer *layer = &YS_NETWORK[k];
        int32_t *found, *expected;
        if (layer->kind == YS_HEAD)
            continue; /* gives the map that it reads */
        found = computed(folder, layer, maps);
        expected = golden_map(folder, layer);
        wrong += !is_equal(layer, found, expected);
        maps[k] = is_chained ? found : expected;
        free(is_chained ? expected : found);
    }
    for (int k = 0; k < YS_LAYERS; k++)
        free(maps[k]);
    return wrong;
}

int main(int argc, char **argv)
{
    int alone, chained;
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    alone = wrong_layers(argv[1], 0);
    printf("each layer on golden input: %d of %d differ\n", alone, YS_LAYERS);
    chained = wrong_layers(argv[1], 1);
    printf("from the picture on: %d of %d differ\n", chained, YS_LAYERS);
    return alone || chained;
}
