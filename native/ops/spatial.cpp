// Interpolation by PyTorch's argument rules, rearrangements of channels and pixels, windows as
// columns, local response norm. All composites.
#include <cmath>

#include "ops/launch.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

Dims spatial(const Tensor& t) { return Dims(DimsView(t.sizes()).slice(2, t.ndim() - 2)); }

struct Target {
  Dims size;
  std::optional<Doubles> scales;
};

Target target_size(const Tensor& input, const std::optional<Dims>& size,
                   const std::optional<Doubles>& scale_factor, bool recompute) {
  constexpr const char* kName = "interpolate";
  const Dims in = spatial(input);
  const size_t n = in.size();
  AG_CHECK(!(size.has_value() && scale_factor.has_value()), Value, kName,
           ": only one of size or scale_factor should be defined");
  AG_CHECK(size.has_value() || scale_factor.has_value(), Value, kName,
           ": either size or scale_factor should be defined");
  Target t;
  if (size.has_value()) {
    AG_CHECK(!recompute, Value, kName,
             ": recompute_scale_factor is not meaningful with an explicit size.");
    AG_CHECK(size->size() == 1 || size->size() == n, Value, kName,
             ": Input and output must have the same number of spatial dimensions, but got input "
             "with spatial dimensions of ",
             in, " and output size of ", *size);
    for (size_t i = 0; i < n; ++i) t.size.push_back((*size)[size->size() == 1 ? 0 : i]);
    return t;
  }
  AG_CHECK(scale_factor->size() == 1 || scale_factor->size() == n, Value, kName,
           ": Input and scale_factor must have the same number of spatial dimensions, but got "
           "input with spatial dimensions of ",
           in, " and ", static_cast<int64_t>(scale_factor->size()), " factors");
  Doubles factors;
  for (size_t i = 0; i < n; ++i) {
    const double factor = (*scale_factor)[scale_factor->size() == 1 ? 0 : i];
    const double out = std::floor(static_cast<double>(in[i]) * factor);
    AG_CHECK(out >= 1 && out < 2147483648.0, Value, kName,
             ": Input and output sizes should be greater than 0, but got a scale factor of ",
             factor);
    factors.push_back(factor);
    t.size.push_back(static_cast<int64_t>(out));
  }
  if (!recompute) t.scales = factors;
  return t;
}

// The number of spatial dimensions a mode is for; 0: any.
size_t mode_dims(const std::string& mode) {
  if (mode == "linear") return 1;
  if (mode == "bilinear" || mode == "bicubic") return 2;
  if (mode == "trilinear") return 3;
  const bool any = mode == "nearest" || mode == "nearest-exact" || mode == "area";
  AG_CHECK(any, Value, "interpolate: unknown mode '", mode,
           "'; modes are nearest, linear, bilinear, bicubic, trilinear, area, nearest-exact");
  return 0;
}

// One or two numbers for height and width.
Dims pair_of(const char* op, const char* name, DimsView list, int64_t least) {
  AG_CHECK(list.size() == 1 || list.size() == 2, Shape, op, ": argument '", name,
           "' must have 1 or 2 elements, got ", list);
  for (int64_t v : list) {
    AG_CHECK(v >= least && v < int64_t{1} << 31, Value, op, ": ", name, " should be at least ",
             least, ", but got ", list);
  }
  return Dims{list[0], list[list.size() - 1]};
}

// The windows of im2col and col2im over an image of `size`.
struct Windows {
  Windows(const char* op, DimsView kernel_size, DimsView dilations, DimsView paddings,
          DimsView strides, const Dims& size)
      : kernel(pair_of(op, "kernelSize", kernel_size, 1)),
        dilation(pair_of(op, "dilation", dilations, 1)),
        padding(pair_of(op, "padding", paddings, 0)),
        stride(pair_of(op, "stride", strides, 1)) {
    for (size_t i = 0; i < 2; ++i) {
      padded.push_back(size[i] + 2 * padding[i]);
      const int64_t room = padded[i] - dilation[i] * (kernel[i] - 1) - 1;
      AG_CHECK(
          room >= 0, Shape, op, ": Given spatial size ", size, ", kernel_size=", kernel,
          ", dilation=", dilation, ", padding=", padding,
          ", calculated shape of the array of sliding blocks is too small: its components must "
          "be at least one");
      blocks.push_back(room / stride[i] + 1);
    }
  }
  int64_t taps() const { return kernel[0] * kernel[1]; }
  int64_t count() const { return blocks[0] * blocks[1]; }

  // Position in a padded plane of every (tap, block).
  Tensor positions(int64_t batch, int64_t channels, Device device) const {
    const Dims sizes{batch, channels, taps(), count()};
    check_sizes("im2col", sizes, sizeof(int64_t));
    const Tensor one = Tensor::empty({1, 1, taps(), count()}, DType::Int64);
    int64_t* at = one.data_as<int64_t>();
    for (int64_t t = 0; t < taps(); ++t) {
      for (int64_t b = 0; b < count(); ++b) {
        const int64_t h = b / blocks[1] * stride[0] + t / kernel[1] * dilation[0];
        const int64_t w = b % blocks[1] * stride[1] + t % kernel[1] * dilation[1];
        *at++ = h * padded[1] + w;
      }
    }
    return ops::contiguous(
        ops::expand(ops::to(one, std::nullopt, std::optional<Device>(device)), sizes));
  }

  Dims kernel, dilation, padding, stride, padded, blocks;
};

void check_floating(const char* op, const Tensor& input) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": not implemented for ",
           dtype_name(input.dtype()), "; argument 'input' must be floating point");
}

Tensor adaptive_average(const Tensor& input, const Dims& size) {
  return ops::adaptiveAvgPoolForward(input, size);
}

}  // namespace

namespace impl {

Tensor interpolate(const Tensor& input, std::optional<Dims> size, std::optional<Doubles> factor,
                   const std::string& mode, std::optional<bool> align_corners,
                   std::optional<bool> recompute, bool antialias) {
  check_declared(OpId::interpolate, input);
  AG_CHECK(input.ndim() >= 3 && input.ndim() <= 5, Shape,
           "interpolate: Input Error: Only 3D, 4D and 5D input Tensors supported (got ",
           static_cast<int64_t>(input.ndim()),
           "D) for the modes: nearest | linear | bilinear | "
           "bicubic | trilinear | area | nearest-exact (got ",
           mode, ")");
  const size_t n = input.ndim() - 2;
  const size_t wanted = mode_dims(mode);
  AG_CHECK(wanted == 0 || wanted == n, Shape, "interpolate: Got ",
           static_cast<int64_t>(input.ndim()), "D input, but ", mode, " mode needs ",
           static_cast<int64_t>(wanted) + 2, "D input");
  AG_CHECK(wanted != 0 || !align_corners.has_value(), Value,
           "interpolate: align_corners option can only be set with the interpolating modes: linear "
           "| bilinear | bicubic | trilinear");
  AG_CHECK(
      !antialias || wanted == 2, Value,
      "interpolate: Anti-alias option is restricted to bilinear and bicubic modes and requires "
      "a 4-D tensor as input");
  const Target t = target_size(input, size, factor, recompute.value_or(false));
  if (mode == "area") return adaptive_average(input, t.size);
  const std::string kernel = wanted == 0 ? mode : (mode == "bicubic" ? "cubic" : "linear");
  return ops::resample(input, t.size, kernel, align_corners.value_or(false), antialias, t.scales);
}

Tensor pixelShuffle(const Tensor& input, int64_t factor) {
  constexpr const char* kName = "pixelShuffle";
  AG_CHECK(input.ndim() >= 3, Shape, kName,
           ": expects input to have at least 3 dimensions, but got input with ",
           static_cast<int64_t>(input.ndim()), " dimension(s)");
  AG_CHECK(factor > 0 && factor < 1 << 20, Value, kName,
           ": expects a positive upscale_factor, but got ", factor);
  const size_t first = input.ndim() - 3;
  const int64_t c = input.sizes()[first];
  const int64_t h = input.sizes()[first + 1];
  const int64_t w = input.sizes()[first + 2];
  AG_CHECK(c % (factor * factor) == 0, Shape, kName,
           ": expects its input's 'channel' dimension to be divisible by the square of "
           "upscale_factor, but input.size(-3)=",
           c, " is not divisible by ", factor * factor);
  const int64_t out = c / (factor * factor);
  const int64_t batch = element_count(DimsView(input.sizes()).slice(0, first));
  Tensor x = ops::reshape(input, Dims{batch, out, factor, factor, h, w});
  x = ops::permute(x, Dims{0, 1, 4, 2, 5, 3});
  Dims sizes(DimsView(input.sizes()).slice(0, first));
  for (int64_t s : {out, h * factor, w * factor}) sizes.push_back(s);
  return ops::reshape(x, sizes);
}

Tensor pixelUnshuffle(const Tensor& input, int64_t factor) {
  constexpr const char* kName = "pixelUnshuffle";
  AG_CHECK(input.ndim() >= 3, Shape, kName,
           ": expects input to have at least 3 dimensions, but got input with ",
           static_cast<int64_t>(input.ndim()), " dimension(s)");
  AG_CHECK(factor > 0 && factor < 1 << 20, Value, kName,
           ": expects a positive downscale_factor, but got ", factor);
  const size_t first = input.ndim() - 3;
  const int64_t c = input.sizes()[first];
  const int64_t h = input.sizes()[first + 1];
  const int64_t w = input.sizes()[first + 2];
  AG_CHECK(h % factor == 0 && w % factor == 0, Shape, kName,
           ": expects height and width to be divisible by downscale_factor, but got ",
           input.sizes(), " and ", factor);
  const int64_t batch = element_count(DimsView(input.sizes()).slice(0, first));
  Tensor x = ops::reshape(input, Dims{batch, c, h / factor, factor, w / factor, factor});
  x = ops::permute(x, Dims{0, 1, 3, 5, 2, 4});
  Dims sizes(DimsView(input.sizes()).slice(0, first));
  for (int64_t s : {c * factor * factor, h / factor, w / factor}) sizes.push_back(s);
  return ops::reshape(x, sizes);
}

Tensor channelShuffle(const Tensor& input, int64_t groups) {
  constexpr const char* kName = "channelShuffle";
  AG_CHECK(input.ndim() >= 3, Shape, kName,
           ": expects input with > 2 dims, but got input with "
           "sizes ",
           input.sizes());
  AG_CHECK(groups > 0, Value, kName,
           ": Number of groups to divide channels in must be positive. "
           "Value of groups:",
           groups);
  const int64_t c = input.sizes()[1];
  AG_CHECK(c % groups == 0, Shape, kName, ": Number of channels must be divisible by groups. Got ",
           c, " channels and ", groups, " groups.");
  const int64_t rest = element_count(spatial(input));
  const Tensor x = ops::reshape(input, Dims{input.sizes()[0], groups, c / groups, rest});
  return ops::reshape(ops::transpose(x, 1, 2), input.sizes());
}

Tensor im2col(const Tensor& input, DimsView kernel, DimsView dilation, DimsView padding,
              DimsView stride) {
  constexpr const char* kName = "im2col";
  check_declared(OpId::im2col, input);
  AG_CHECK(input.ndim() == 3 || input.ndim() == 4, Shape, kName,
           ": Expected 3D or 4D (batch mode) tensor for input, but got: ", input.sizes());
  if (input.ndim() == 3) {
    const Tensor batched = ops::unsqueeze(input, 0);
    return ops::squeeze(ops::im2col(batched, kernel, dilation, padding, stride), Dims{0});
  }
  const Windows w(kName, kernel, dilation, padding, stride, spatial(input));
  const Tensor x = ops::constantPadNd(
      input, Dims{w.padding[1], w.padding[1], w.padding[0], w.padding[0]}, Scalar(int64_t{0}));
  const Tensor at = w.positions(x.sizes()[0], x.sizes()[1], input.device());
  return ops::reshape(ops::poolGather(x, at, 2),
                      Dims{x.sizes()[0], x.sizes()[1] * w.taps(), w.count()});
}

Tensor col2im(const Tensor& input, DimsView output_size, DimsView kernel, DimsView dilation,
              DimsView padding, DimsView stride) {
  constexpr const char* kName = "col2im";
  check_declared(OpId::col2im, input);
  AG_CHECK(input.ndim() == 2 || input.ndim() == 3, Shape, kName,
           ": Expected 2D or 3D (batch mode) tensor for input, but got: ", input.sizes());
  if (input.ndim() == 2) {
    const Tensor batched = ops::unsqueeze(input, 0);
    return ops::squeeze(ops::col2im(batched, output_size, kernel, dilation, padding, stride),
                        Dims{0});
  }
  const Dims out = pair_of(kName, "outputSize", output_size, 1);
  const Windows w(kName, kernel, dilation, padding, stride, out);
  AG_CHECK(input.sizes()[1] % w.taps() == 0, Shape, kName,
           ": Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
           "but got input.size(1)=",
           input.sizes()[1], " and kernel_size=", w.kernel);
  AG_CHECK(input.sizes()[2] == w.count(), Shape, kName,
           ": Expected size of input's dimension 2 to match the calculated number of sliding "
           "blocks ",
           w.count(), ", but got input.size(2)=", input.sizes()[2]);
  const int64_t channels = input.sizes()[1] / w.taps();
  const Tensor columns = ops::reshape(input, Dims{input.sizes()[0], channels, w.taps(), w.count()});
  const Tensor at = w.positions(input.sizes()[0], channels, input.device());
  const Tensor sums = ops::poolScatter(columns, at, w.padded, true);
  return ops::constantPadNd(sums, Dims{-w.padding[1], -w.padding[1], -w.padding[0], -w.padding[0]},
                            Scalar(int64_t{0}));
}

Tensor glu(const Tensor& input, int64_t dim) {
  check_floating("glu", input);
  AG_CHECK(input.ndim() > 0, Shape, "glu: does not support 0-dimensional tensors");
  const int64_t d = wrap_dim("glu", dim, input.ndim());
  const int64_t size = input.size(d);
  AG_CHECK(size % 2 == 0, Shape, "glu: Halving dimension must be even, but dimension ", d,
           " is size ", size);
  const Tensor value = ops::narrow(input, d, 0, size / 2);
  const Tensor gate = ops::narrow(input, d, size / 2, size / 2);
  return ops::mul(value, ops::sigmoid(gate));
}

Tensor localResponseNorm(const Tensor& input, int64_t size, double alpha, double beta, double k) {
  constexpr const char* kName = "localResponseNorm";
  AG_CHECK(input.ndim() >= 3, Shape, kName, ": Expected 3D or higher dimensionality input (got ",
           static_cast<int64_t>(input.ndim()), " dimensions)");
  AG_CHECK(size > 0 && size < int64_t{1} << 31, Value, kName,
           ": argument 'size' must be positive, got ", size);
  if (input.numel() == 0) return input;
  const Dims flat{input.sizes()[0], input.sizes()[1], element_count(spatial(input))};
  const Tensor squares = ops::reshape(ops::mul(input, input), flat);
  const Tensor padded =
      ops::constantPadNd(squares, Dims{0, 0, size / 2, (size - 1) / 2}, Scalar(int64_t{0}));
  const Tensor mean =
      ops::avgPoolForward(padded, Dims{size, 1}, Dims{1, 1}, Dims{0, 0}, false, true, std::nullopt);
  const Tensor scale = ops::pow(ops::add(ops::mul(mean, alpha), k), beta);
  return ops::div(input, ops::reshape(scale, input.sizes()));
}

}  // namespace impl

}  // namespace ampgrad
