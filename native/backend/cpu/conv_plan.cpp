#include "backend/cpu/conv_plan.h"

#include <algorithm>

#include "backend/cpu/ceil_div.h"

namespace ampgrad::cpu {

namespace {

void finish_image(ConvImage* image, DType dtype) {
  image->quotient = ceil_div(image->padded[2], image->step);
  image->row = image->quotient * image->step;
  image->plane = image->padded[1] * image->row;
  image->channel = image->padded[0] * image->plane;
  const bool same_size = image->padded[0] <= image->size[0] && image->padded[1] <= image->size[1] &&
                         image->padded[2] <= image->size[2];
  const bool unpadded = image->before[0] == 0 && image->before[1] == 0 && image->before[2] == 0;
  const bool widened = dtype == DType::Float16 || dtype == DType::BFloat16;
  if (same_size && unpadded && image->step == 1 && !widened) {
    image->copied = false;
    image->row = image->size[2];
    image->plane = image->size[1] * image->row;
    image->channel = image->size[0] * image->plane;
  }
}

// Rows of pixels that follow each other without a gap in image and result become one row.
void merge_rows(ConvPhase* phase) {
  if (phase->out_stride[2] != 1) return;
  if (phase->jump[1] == phase->out[2] && phase->out_stride[1] == phase->out[2]) {
    phase->out[2] *= phase->out[1];
    phase->out[1] = 1;
  }
  if (phase->out[1] == 1 && phase->jump[0] == phase->out[2] &&
      phase->out_stride[0] == phase->out[2]) {
    phase->out[2] *= phase->out[0];
    phase->out[0] = 1;
  }
}

void finish_phase(ConvPhase* phase) {
  for (int64_t t : phase->taps) phase->max_tap = std::max(phase->max_tap, t);
  merge_rows(phase);
}

// The taps of one dimension that reach the pixels of a residue, and how far they look.
struct Reach {
  std::vector<int64_t> taps;     // index in the kernel
  std::vector<int64_t> offsets;  // of the image, relative to the pixel's quotient
  int64_t pixels = 0;
};

Reach reach_of(const ConvParams& p, int dim, int64_t residue) {
  const int64_t stride = p.stride[dim];
  Reach r;
  r.pixels = ceil_div(p.x_size[dim] - residue, stride);
  for (int64_t k = 0; k < p.kernel[dim]; ++k) {
    const int64_t numerator = residue + p.padding[dim] - k * p.dilation[dim];
    if (numerator % stride != 0) continue;
    const int64_t offset = numerator / stride;
    // Taps that only ever meet zeros would make the copy of the image larger.
    if (offset + r.pixels <= 0 || offset >= p.y_size[dim]) continue;
    r.taps.push_back(k);
    r.offsets.push_back(offset);
  }
  return r;
}

void set_channels(int64_t channels, bool paired, ConvImage* image) {
  image->source_channels = channels;
  image->paired = paired;
  image->channels = paired ? ceil_div(channels, 2) : channels;
}

ConvPhase make_phase(const ConvParams& p, const ConvImage& image, const Reach* const (&reach)[3],
                     const int64_t (&residue)[3]) {
  ConvPhase phase;
  const int64_t kernel_size = p.kernel[0] * p.kernel[1] * p.kernel[2];
  const int64_t strides[3] = {p.x_size[1] * p.x_size[2], p.x_size[2], 1};
  for (int i = 0; i < 3; ++i) {
    phase.out[i] = reach[i]->pixels;
    phase.out_offset += residue[i] * strides[i];
    phase.out_stride[i] = p.stride[i] * strides[i];
  }
  phase.jump[0] = image.plane;
  phase.jump[1] = image.row;
  const int64_t step = (image.paired ? 2 : 1) * p.x_channels * kernel_size;
  for (int64_t c = 0; c < image.channels; ++c) {
    for (size_t d = 0; d < reach[0]->taps.size(); ++d) {
      for (size_t h = 0; h < reach[1]->taps.size(); ++h) {
        for (size_t w = 0; w < reach[2]->taps.size(); ++w) {
          phase.taps.push_back(c * image.channel +
                               (reach[0]->offsets[d] + image.before[0]) * image.plane +
                               (reach[1]->offsets[h] + image.before[1]) * image.row +
                               reach[2]->offsets[w] + image.before[2]);
          const int64_t tap = (reach[0]->taps[d] * p.kernel[1] + reach[1]->taps[h]) * p.kernel[2] +
                              reach[2]->taps[w];
          phase.weights.push_back(c * step + tap);
        }
      }
    }
  }
  finish_phase(&phase);
  return phase;
}

}  // namespace

ConvPlan plan_forward(const ConvParams& p, bool paired) {
  ConvPlan plan;
  ConvImage& image = plan.image;
  set_channels(p.x_channels, paired, &image);
  for (int i = 0; i < 3; ++i) {
    image.size[i] = p.x_size[i];
    image.before[i] = p.padding[i];
    image.padded[i] = (p.y_size[i] - 1) * p.stride[i] + (p.kernel[i] - 1) * p.dilation[i] + 1;
  }
  image.step = p.stride[2];
  finish_image(&image, p.dtype);
  image.rows_used.assign(static_cast<size_t>(image.padded[1]), 0);
  image.residues_used.assign(static_cast<size_t>(image.step), 0);
  for (int64_t h = 0; h < p.kernel[1]; ++h) {
    for (int64_t y = 0; y < p.y_size[1]; ++y) {
      image.rows_used[static_cast<size_t>(y * p.stride[1] + h * p.dilation[1])] = 1;
    }
  }
  ConvPhase phase;
  const int64_t strides[3] = {p.y_size[1] * p.y_size[2], p.y_size[2], 1};
  for (int i = 0; i < 3; ++i) {
    phase.out[i] = p.y_size[i];
    phase.out_stride[i] = strides[i];
  }
  phase.jump[0] = p.stride[0] * image.plane;
  phase.jump[1] = p.stride[1] * image.row;
  const int64_t kernel_size = p.kernel[0] * p.kernel[1] * p.kernel[2];
  for (int64_t c = 0; c < image.channels; ++c) {
    int64_t weight = c * (paired ? 2 : 1) * kernel_size;
    for (int64_t d = 0; d < p.kernel[0]; ++d) {
      for (int64_t h = 0; h < p.kernel[1]; ++h) {
        for (int64_t w = 0; w < p.kernel[2]; ++w) {
          const int64_t column = w * p.dilation[2];
          image.residues_used[static_cast<size_t>(column % image.step)] = 1;
          phase.weights.push_back(weight++);
          phase.taps.push_back(c * image.channel + d * p.dilation[0] * image.plane +
                               h * p.dilation[1] * image.row +
                               column % image.step * image.quotient + column / image.step);
        }
      }
    }
  }
  finish_phase(&phase);
  plan.rows = p.y_channels;
  plan.weight_row = p.x_channels * kernel_size;
  plan.weight_pair = kernel_size;
  plan.result_pixels = element_count(DimsView(p.y_size, 3));
  plan.phases.push_back(std::move(phase));
  return plan;
}

ConvPlan plan_input_grad(const ConvParams& p, bool paired) {
  ConvPlan plan;
  ConvImage& image = plan.image;
  set_channels(p.y_channels, paired, &image);
  std::vector<Reach> reach[3];
  for (int i = 0; i < 3; ++i) {
    int64_t least = 0;
    int64_t end = 1;
    for (int64_t residue = 0; residue < std::min(p.stride[i], p.x_size[i]); ++residue) {
      reach[i].push_back(reach_of(p, i, residue));
      for (int64_t offset : reach[i].back().offsets) {
        least = std::min(least, offset);
        end = std::max(end, offset + reach[i].back().pixels);
      }
    }
    image.size[i] = p.y_size[i];
    image.before[i] = -least;
    image.padded[i] = end - least;
  }
  finish_image(&image, p.dtype);
  image.rows_used.assign(static_cast<size_t>(image.padded[1]), 1);
  image.residues_used.assign(1, 1);
  for (size_t d = 0; d < reach[0].size(); ++d) {
    for (size_t h = 0; h < reach[1].size(); ++h) {
      for (size_t w = 0; w < reach[2].size(); ++w) {
        plan.phases.push_back(make_phase(
            p, image, {&reach[0][d], &reach[1][h], &reach[2][w]},
            {static_cast<int64_t>(d), static_cast<int64_t>(h), static_cast<int64_t>(w)}));
      }
    }
  }
  plan.rows = p.x_channels;
  plan.weight_row = p.kernel[0] * p.kernel[1] * p.kernel[2];
  plan.weight_pair = p.x_channels * plan.weight_row;
  plan.result_pixels = element_count(DimsView(p.x_size, 3));
  return plan;
}

}  // namespace ampgrad::cpu
