// The driver of the convolutions: splits samples, groups, pixels and channels over the pool and
// owns the order of sums, so that results do not depend on the number of threads.
#include <algorithm>
#include <memory>
#include <vector>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/conv_depthwise.h"
#include "backend/cpu/conv_kernels.h"
#include "backend/cpu/conv_winograd.h"
#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "core/error.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kParallelWork = 200'000;  // multiply-adds worth a thread's wake-up
constexpr int64_t kPixelBlock = 256;        // as in conv_tile-inl.h
constexpr int64_t kSmallImage = 192;        // pixels below which samples are worked on together
constexpr int64_t kMergedPixels = 512;
constexpr int64_t kGradBytes = 32 << 20;  // packed gradients held at once
constexpr int64_t kFewChannels = 4;       // y channels of a group that are better served by dots

ConvKernels kernels_for(DType dtype) {
  switch (dtype) {
    case DType::Float64:
      return conv_kernels_f64();
    case DType::Float16:
      return conv_kernels_f16();
    case DType::BFloat16:
      return conv_kernels_bf16();
    default:
      return conv_kernels_f32();
  }
}

const char* advance(const void* base, int64_t elements, int64_t size) {
  return static_cast<const char*>(base) + elements * size;
}
char* advance(void* base, int64_t elements, int64_t size) {
  return static_cast<char*>(base) + elements * size;
}

// The sum type's buffers of one call.
class Workspace {
 public:
  explicit Workspace(int64_t acc_size) : acc_size_(acc_size) {}
  void* get(GemmSlot slot, int64_t elements) const {
    return gemm_scratch(slot, static_cast<size_t>((elements + kConvSlack) * acc_size_));
  }

 private:
  int64_t acc_size_;
};

// weights * pixels for every group and sample: the forward and the input gradient.
class Product {
 public:
  Product(const ConvParams& p, const ConvPlan& plan, const void* source, void* result)
      : p_(p),
        plan_(plan),
        kernels_(kernels_for(p.dtype)),
        source_(source),
        result_(result),
        size_(static_cast<int64_t>(dtype_size(p.dtype))),
        acc_(p.dtype == DType::Float64 ? 8 : 4),
        work_(acc_),
        panels_(ceil_div(plan.rows, kernels_.rows)),
        image_(plan.image.copied ? plan.image.numel() : 0) {
    int64_t pixels = 0;
    for (const ConvPhase& phase : plan.phases) {
      terms_.push_back(total_terms_);
      total_terms_ += phase.terms();
      macs_ += phase.terms() * phase.pixels() * plan.rows;
      pixels = std::max(pixels, phase.pixels());
    }
    if (pixels < kSmallImage && p.batch > 1) {
      merged_ = std::clamp<int64_t>(kMergedPixels / std::max<int64_t>(pixels, 1), 1, p.batch);
    }
  }

  void run() {
    pack_weights();
    const int64_t chunks = ceil_div(p_.batch, merged_);
    const int64_t units = chunks * p_.groups;
    const int threads = in_parallel_region() ? 1 : num_threads();
    const int64_t unit_work = std::max<int64_t>(macs_ * merged_, 1);
    if (units >= 4 * threads || units % threads == 0 || unit_work < kParallelWork) {
      const int64_t grain = std::max<int64_t>(kParallelWork / unit_work, 1);
      parallel_for(units, grain, [&](int64_t begin, int64_t end) {
        void* image = work_.get(GemmSlot::Image, image_ * merged_);
        for (int64_t u = begin; u < end; ++u) one_unit(u, image);
      });
      return;
    }
    void* image = work_.get(GemmSlot::Shared, image_ * merged_);
    for (int64_t u = 0; u < units; ++u) shared_unit(u, image, threads);
  }

 private:
  struct Unit {
    int64_t sample, samples, group;
  };

  Unit unit_at(int64_t u) const {
    const int64_t sample = u / p_.groups * merged_;
    return {sample, std::min(merged_, p_.batch - sample), u % p_.groups};
  }

  int64_t source_numel() const {
    return plan_.image.source_channels * plan_.image.source_channel();
  }

  void pack_weights() {
    packed_ = work_.get(GemmSlot::A, p_.groups * plan_.rows * total_terms_);
    const int64_t phases = static_cast<int64_t>(plan_.phases.size());
    const int64_t group_weights = p_.x_channels * p_.y_channels * kernel_numel();
    const int64_t per_panel = std::max<int64_t>(kernels_.rows * total_terms_ / phases, 1);
    parallel_for(p_.groups * phases * panels_, std::max<int64_t>(1, (1 << 16) / per_panel),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t panel = i % panels_;
                     const int64_t phase = i / panels_ % phases;
                     const int64_t group = i / panels_ / phases;
                     kernels_.pack_weights(plan_, plan_.phases[static_cast<size_t>(phase)],
                                           advance(p_.w, group * group_weights, size_), panel,
                                           panel + 1, packed_at(group, phase));
                   }
                 });
  }

  int64_t kernel_numel() const { return p_.kernel[0] * p_.kernel[1] * p_.kernel[2]; }

  void* packed_at(int64_t group, int64_t phase) const {
    const int64_t at = group * total_terms_ + terms_[static_cast<size_t>(phase)];
    return advance(packed_, at * plan_.rows, acc_);
  }

  const void* source_at(int64_t sample, int64_t group) const {
    return advance(source_, (sample * p_.groups + group) * source_numel(), size_);
  }

  ConvTask task_for(const Unit& u, int64_t phase, const void* image) const {
    ConvTask t;
    t.plan = &plan_;
    t.phase = &plan_.phases[static_cast<size_t>(phase)];
    t.image = plan_.image.copied ? image : source_at(u.sample, u.group);
    t.image_sample = plan_.image.copied ? image_ : p_.groups * source_numel();
    t.weights = packed_at(u.group, phase);
    t.bias = p_.bias == nullptr ? nullptr : advance(p_.bias, u.group * plan_.rows, size_);
    t.out_sample = p_.groups * plan_.rows * plan_.result_pixels;
    t.out = advance(result_, u.sample * t.out_sample + u.group * plan_.rows * plan_.result_pixels,
                    size_);
    t.one_sample = u.samples == 1;
    t.end = t.phase->pixels() * u.samples;
    t.end_panel = panels_;
    return t;
  }

  void one_unit(int64_t index, void* image) const {
    const Unit u = unit_at(index);
    if (plan_.image.copied) {
      for (int64_t s = 0; s < u.samples; ++s) {
        kernels_.prepare(plan_.image, source_at(u.sample + s, u.group), 0, plan_.image.channels,
                         advance(image, s * image_, acc_));
      }
    }
    for (size_t f = 0; f < plan_.phases.size(); ++f) {
      kernels_.compute(task_for(u, static_cast<int64_t>(f), image));
    }
  }

  // All threads work on one unit: on parts of the image, then on parts of the result.
  void shared_unit(int64_t index, void* image, int threads) const {
    const Unit u = unit_at(index);
    const int64_t channels = plan_.image.channels;
    if (plan_.image.copied) {
      const int64_t grain =
          std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(plan_.image.channel, 1));
      parallel_for(u.samples * channels, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t s = i / channels;
          kernels_.prepare(plan_.image, source_at(u.sample + s, u.group), i % channels,
                           i % channels + 1, advance(image, s * image_, acc_));
        }
      });
    }
    for (size_t f = 0; f < plan_.phases.size(); ++f) {
      const ConvTask whole = task_for(u, static_cast<int64_t>(f), image);
      const int64_t blocks = ceil_div(whole.end, kPixelBlock);
      const int64_t wanted = ceil_div(2 * threads, std::max<int64_t>(blocks, 1));
      const int64_t parts = blocks >= 4 * threads ? 1 : std::min(panels_, wanted);
      parallel_for(blocks * parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          ConvTask t = whole;
          t.begin = i / parts * kPixelBlock;
          t.end = std::min(whole.end, t.begin + kPixelBlock);
          t.first_panel = i % parts * panels_ / parts;
          t.end_panel = (i % parts + 1) * panels_ / parts;
          kernels_.compute(t);
        }
      });
    }
  }

  const ConvParams& p_;
  const ConvPlan& plan_;
  const ConvKernels kernels_;
  const void* source_;
  void* result_;
  const int64_t size_;
  const int64_t acc_;
  const Workspace work_;
  const int64_t panels_;
  const int64_t image_;
  int64_t merged_ = 1;
  int64_t total_terms_ = 0;
  int64_t macs_ = 0;
  std::vector<int64_t> terms_;
  void* packed_ = nullptr;
};

// w from x and y. Units are groups, a few x channels each, and panels of y channels; each goes
// through the samples in order.
class WeightGrad {
 public:
  explicit WeightGrad(const ConvParams& p)
      : p_(p),
        plan_(plan_forward(p)),
        phase_(plan_.phases[0]),
        kernels_(kernels_for(p.dtype)),
        size_(static_cast<int64_t>(dtype_size(p.dtype))),
        acc_(p.dtype == DType::Float64 ? 8 : 4),
        work_(acc_),
        taps_(p.kernel[0] * p.kernel[1] * p.kernel[2]),
        pixels_(phase_.pixels()),
        dots_(p.y_channels <= kFewChannels),
        pairs_(kernels_.pairs && !dots_),
        steps_(pairs_ ? phase_.pairs() : pixels_),
        element_(pairs_ ? size_ : acc_),
        width_(dots_ ? 1 : kernels_.cols),
        columns_(ceil_div(p.y_channels, width_) * width_),
        channels_(std::min(p.x_channels, ceil_div(2 * kernels_.rows, taps_))) {}

  void run() {
    const int64_t sums = p_.groups * p_.x_channels * taps_ * columns_;
    sums_ = work_.get(GemmSlot::A, sums);
    std::fill_n(static_cast<char*>(sums_), sums * acc_, 0);
    const int64_t sample_bytes = p_.groups * columns_ * steps_ * acc_;
    const int64_t most = std::max<int64_t>(1, kGradBytes / std::max<int64_t>(sample_bytes, 1));
    for (int64_t n = 0; n < p_.batch; n += most) add_samples(n, std::min(most, p_.batch - n));
    write();
  }

 private:
  // The gradient of all groups of some samples: panel by panel, sample by sample within one.
  void pack_grad(int64_t first, int64_t samples) {
    grad_ = work_.get(GemmSlot::Shared, p_.groups * columns_ * steps_ * samples);
    const int64_t panels = columns_ / width_;
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(pixels_ * width_, 1));
    parallel_for(p_.groups * panels * samples, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t s = i % samples;
        const int64_t panel = i / samples % panels;
        const int64_t group = i / samples / panels;
        const int64_t at = ((first + s) * p_.groups + group) * p_.y_channels * pixels_;
        void* to = advance(
            grad_, (group * columns_ + panel * width_) * steps_ * samples + s * steps_ * width_,
            acc_);
        const void* from = advance(p_.y, at, size_);
        if (dots_) {
          kernels_.widen(advance(from, panel * pixels_, size_), pixels_, to);
        } else if (pairs_) {
          kernels_.pack_grad_pairs(phase_, from, p_.y_channels, panel * width_, to);
        } else {
          kernels_.pack_grad(from, p_.y_channels, pixels_, panel * width_, to);
        }
      }
    });
  }

  void add_samples(int64_t first, int64_t samples) {
    pack_grad(first, samples);
    const int threads = in_parallel_region() ? 1 : num_threads();
    const int64_t chunks = ceil_div(p_.x_channels, channels_);
    const int64_t panels = columns_ / width_;
    const int64_t rest = p_.groups * chunks;
    const int64_t parts = rest >= 4 * threads ? 1 : std::min(panels, ceil_div(4 * threads, rest));
    const int64_t unit_work =
        std::max<int64_t>(channels_ * taps_ * pixels_ * samples * p_.y_channels / parts, 1);
    const int64_t grain = std::max<int64_t>(1, kParallelWork / unit_work);
    parallel_for(rest * parts, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t part = i % parts;
        const int64_t from = part * panels / parts * width_;
        const int64_t to = (part + 1) * panels / parts * width_;
        one_unit(first, samples, i / parts / chunks, i / parts % chunks * channels_, from, to);
      }
    });
  }

  // Samples whose images are prepared together: enough pixels for a register tile's time.
  int64_t merged(int64_t samples) const {
    if (!plan_.image.copied || dots_) return 1;
    return std::clamp<int64_t>(kMergedPixels / std::max<int64_t>(pixels_, 1), 1, samples);
  }

  void one_unit(int64_t first, int64_t samples, int64_t group, int64_t channel, int64_t from,
                int64_t to) const {
    const ConvImage& image = plan_.image;
    const int64_t count = std::min(channels_, p_.x_channels - channel);
    const int64_t step = merged(samples);
    char* prepared =
        image.copied ? static_cast<char*>(work_.get(GemmSlot::Image, count * image.channel * step))
                     : nullptr;
    ConvWeightTask t;
    t.phase = &phase_;
    t.taps = phase_.taps.data();
    t.num_taps = count * taps_;
    t.first = from;
    t.count = std::min(to, dots_ ? p_.y_channels : columns_) - from;
    t.image_sample = count * image.channel;
    t.sums_stride = columns_;
    t.sums = advance(sums_, (group * p_.x_channels + channel) * taps_ * columns_, acc_);
    for (int64_t s = 0; s < samples; s += step) {
      t.samples = std::min(step, samples - s);
      for (int64_t i = 0; i < t.samples; ++i) {
        const int64_t at = (first + s + i) * p_.groups + group;
        const char* source =
            advance(p_.x, (at * p_.x_channels + channel) * image.source_channel(), size_);
        if (image.copied) {
          (pairs_ ? kernels_.prepare_raw : kernels_.prepare)(
              image, source, 0, count, prepared + i * t.image_sample * element_);
        }
        t.image = image.copied ? prepared : source;
      }
      accumulate(t, group, s, samples);
    }
  }

  void accumulate(ConvWeightTask t, int64_t group, int64_t s, int64_t samples) const {
    const int64_t first = t.first;
    const int64_t end = t.first + t.count;
    const char* base = advance(grad_, group * columns_ * steps_ * samples, acc_);
    for (int64_t k = first; k < end; k += width_) {
      // The kernels find panel k at k * steps of the task's samples.
      const int64_t at = k * steps_ * samples + s * steps_ * width_;
      t.first = k;
      t.count = std::min(width_, end - k);
      t.grad = advance(base, at - k * steps_ * t.samples, acc_);
      if (pairs_) {
        kernels_.weight_grad_pairs(t);
      } else {
        (dots_ ? kernels_.weight_grad_rows : kernels_.weight_grad)(t);
      }
    }
  }

  void write() const {
    const int64_t terms = p_.x_channels * taps_;
    const int64_t blocks = ceil_div(p_.y_channels, kNarrowRows);
    const int64_t grain = std::max<int64_t>(1, (1 << 13) / (terms * kNarrowRows));
    const int64_t size = p_.widened ? acc_ : size_;
    const auto narrow = p_.widened ? kernels_.narrow_widened : kernels_.narrow;
    parallel_for(p_.groups * blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t group = i / blocks;
        const int64_t k = i % blocks * kNarrowRows;
        narrow(advance(sums_, group * terms * columns_ + k, acc_), columns_, terms,
               std::min(kNarrowRows, p_.y_channels - k),
               advance(p_.w, (group * p_.y_channels + k) * terms, size));
      }
    });
  }

  const ConvParams& p_;
  const ConvPlan plan_;
  const ConvPhase& phase_;
  const ConvKernels kernels_;
  const int64_t size_;
  const int64_t acc_;
  const Workspace work_;
  const int64_t taps_;
  const int64_t pixels_;
  const bool dots_;
  const bool pairs_;       // of bfloat16 pixels
  const int64_t steps_;    // of a panel of the gradient, per sample
  const int64_t element_;  // bytes of an image's element
  const int64_t width_;
  const int64_t columns_;   // y channels, padded to whole panels
  const int64_t channels_;  // x channels of a unit
  void* sums_ = nullptr;
  void* grad_ = nullptr;
};

// A lone channel has no partner to multiply in the same step.
bool uses_pairs(DType dtype, int64_t channels) {
  return dtype == DType::BFloat16 && channels > 1 && kernels_for(dtype).pairs;
}

void forward_cell(const ConvParams& p, const void*) {
  if (depthwise_forward(p)) return;
  const bool pairs = uses_pairs(p.dtype, p.x_channels);
  if (winograd_forward(p, pairs)) return;
  const ConvPlan plan = plan_forward(p, pairs);
  Product(p, plan, p.x, p.y).run();
}
void input_grad_cell(const ConvParams& p, const void*) {
  if (depthwise_input_grad(p)) return;
  const bool pairs = uses_pairs(p.dtype, p.y_channels);
  if (winograd_input_grad(p, pairs)) return;
  const ConvPlan plan = plan_input_grad(p, pairs);
  Product(p, plan, p.y, p.x).run();
}
void weight_grad_cell(const ConvParams& p, const void*) {
  if (depthwise_weight_grad(p)) return;
  if (winograd_weight_grad(p, uses_pairs(p.dtype, p.x_channels))) return;
  WeightGrad(p).run();
}

}  // namespace

void register_conv() {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    const auto set = [dtype](OpId op, KernelFn<ConvParams> fn) {
      KernelTable::set<ConvParams>(op, DeviceType::Cpu, dtype, fn);
    };
    set(OpId::convForward, forward_cell);
    set(OpId::convInputGrad, input_grad_cell);
    set(OpId::convWeightGrad, weight_grad_cell);
  }
}

}  // namespace ampgrad::cpu
