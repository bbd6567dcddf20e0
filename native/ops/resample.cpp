// Interpolation and padding. What reads the input at other places (interpolation, the reflect,
// replicate and circular modes) is made of one sparse matrix per dimension.
#include <algorithm>
#include <cmath>

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/resample_params.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// One dimension's matrix.
struct Matrix {
  int64_t in = 0, out = 0;
  std::vector<int64_t> start{0}, index;
  std::vector<double> weight;

  void add(int64_t i, double w) {
    index.push_back(i);
    weight.push_back(w);
  }
  void end_row() { start.push_back(static_cast<int64_t>(index.size())); }
};

// Input elements per output element.
double scale_of(int64_t in, int64_t out, bool align_corners, double given) {
  if (align_corners) {
    return out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  }
  return given > 0 ? 1 / given : static_cast<double>(in) / static_cast<double>(out);
}

double cubic(double x, double a) {
  x = std::fabs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::fabs(x)); }

void nearest_row(Matrix* m, int64_t o, double scale, double shift) {
  // PyTorch computes the index in single precision, and so must we to choose the same element.
  const float position =
      static_cast<float>(static_cast<double>(o) + shift) * static_cast<float>(scale);
  m->add(std::min(static_cast<int64_t>(std::floor(position)), m->in - 1), 1);
}

void smooth_row(Matrix* m, int64_t o, double scale, bool is_cubic, bool align_corners) {
  double at =
      align_corners ? scale * static_cast<double>(o) : scale * (static_cast<double>(o) + 0.5) - 0.5;
  if (is_cubic) {
    const double base = std::floor(at);
    for (int64_t t = -1; t <= 2; ++t) {
      const int64_t i = static_cast<int64_t>(base) + t;
      m->add(std::clamp<int64_t>(i, 0, m->in - 1),
             cubic(at - (base + static_cast<double>(t)), -0.75));
    }
    return;
  }
  at = std::max(at, 0.0);
  const int64_t first = std::min(static_cast<int64_t>(at), m->in - 1);
  const double rest = std::clamp(at - static_cast<double>(first), 0.0, 1.0);
  m->add(first, 1 - rest);
  m->add(std::min(first + 1, m->in - 1), rest);
}

// A filter as wide as the output's spacing.
void antialias_row(Matrix* m, int64_t o, double scale, bool is_cubic) {
  const double stretch = std::max(scale, 1.0);
  const double support = (is_cubic ? 2.0 : 1.0) * stretch;
  const double center = scale * (static_cast<double>(o) + 0.5);
  const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
  const int64_t end = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), m->in);
  double total = 0;
  const size_t begin = m->weight.size();
  for (int64_t i = first; i < end; ++i) {
    const double x = (static_cast<double>(i) - center + 0.5) / stretch;
    m->add(i, is_cubic ? cubic(x, -0.5) : triangle(x));
    total += m->weight.back();
  }
  for (size_t e = begin; total != 0 && e < m->weight.size(); ++e) m->weight[e] /= total;
}

Matrix interpolation(int64_t in, int64_t out, const std::string& mode, bool align_corners,
                     bool antialias, double given) {
  Matrix m;
  m.in = in;
  m.out = out;
  const double scale = scale_of(in, out, align_corners, given);
  const bool is_cubic = mode == "cubic";
  for (int64_t o = 0; o < out; ++o) {
    if (mode == "nearest") {
      nearest_row(&m, o, scale, 0);
    } else if (mode == "nearest-exact") {
      nearest_row(&m, o, scale, 0.5);
    } else if (antialias) {
      antialias_row(&m, o, scale, is_cubic);
    } else {
      smooth_row(&m, o, scale, is_cubic, align_corners);
    }
    m.end_row();
  }
  return m;
}

Matrix padding(const char* op, int64_t in, int64_t before, int64_t after, const std::string& mode) {
  if (mode == "reflect") {
    AG_CHECK(before < in && after < in, Shape, op,
             ": Padding size should be less than the corresponding input dimension, but got: "
             "padding (",
             before, ", ", after, ") at a dimension of size ", in);
  } else if (mode == "circular") {
    AG_CHECK(before <= in && after <= in, Shape, op,
             ": Padding value causes wrapping around more than once.");
  }
  Matrix m;
  m.in = in;
  m.out = in + before + after;
  // Replicating goes on beyond an end that negative padding has cut all of the input off from.
  const int64_t left_over = in + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0);
  AG_CHECK(m.out > 0 && in > 0 && (left_over > 0 || mode == "replicate"), Shape, op,
           ": input (size ", in, ") is too small for padding ", before, ", ", after,
           ": calculated output size ", m.out);
  for (int64_t o = 0; o < m.out; ++o) {
    int64_t i = o - before;
    if (mode == "replicate") {
      i = std::clamp<int64_t>(i, 0, in - 1);
    } else if (mode == "circular") {
      // Negative padding cuts first; what is left wraps around.
      const int64_t first = std::max<int64_t>(-before, 0);
      const int64_t left = in - first - std::max<int64_t>(-after, 0);
      i = first + ((i - first) % left + left) % left;
    } else {
      i = i < 0 ? -i : (i >= in ? 2 * (in - 1) - i : i);
    }
    m.add(i, 1);
    m.end_row();
  }
  return m;
}

// One weight for an element that a row names several times in turn, as at the border.
void merge_repeats(Matrix* m) {
  Matrix merged;
  for (size_t row = 1; row < m->start.size(); ++row) {
    const auto first = static_cast<size_t>(m->start[row - 1]);
    for (size_t e = first; e < static_cast<size_t>(m->start[row]); ++e) {
      if (e > first && m->index[e] == m->index[e - 1]) {
        merged.weight.back() += m->weight[e];
      } else {
        merged.add(m->index[e], m->weight[e]);
      }
    }
    merged.end_row();
  }
  m->start = std::move(merged.start);
  m->index = std::move(merged.index);
  m->weight = std::move(merged.weight);
}

// Weights of 8-bit images become integers with as many fractional bits as 16-bit weights allow, and
// each dimension rounds to 8 bits: the result of PyTorch's fixed-point code.
int quantize(Matrix* m) {
  merge_repeats(m);
  double largest = 0;
  for (const double w : m->weight) largest = std::max(largest, w);
  int bits = 0;
  while (bits < 22 && static_cast<int64_t>(0.5 + largest * std::ldexp(1.0, bits + 1)) < 1 << 15) {
    ++bits;
  }
  for (double& w : m->weight) {
    const double scaled = std::ldexp(w, bits);
    w = std::trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }
  return bits;
}

// Sums of products are exact in double; the shift rounds half up.
Tensor round_bytes(const Tensor& sums, int bits) {
  const Tensor shifted =
      ops::floor(ops::add(ops::mul(sums, Operand(std::ldexp(1.0, -bits))), Operand(0.5)));
  return ops::clamp(shifted, Operand(0.0), Operand(255.0));
}

// Applies one matrix to each trailing dimension, in the type arithmetic is done in.
// `bytes`: 8-bit input is interpolated, not only moved.
Tensor apply(OpId op, const Tensor& input, std::vector<Matrix>* matrices, bool transposed,
             bool bytes = false) {
  const bool weighted_bytes = bytes && input.dtype() == DType::UInt8;
  const DType work = weighted_bytes ? DType::Float64 : opmath_dtype(input.dtype());
  Tensor x = as_contiguous(as_dtype(input, work));
  const size_t n = matrices->size();
  for (size_t i = n; i-- > 0;) {
    Matrix& m = (*matrices)[i];
    const size_t d = x.ndim() - n + i;
    if (weighted_bytes && m.in == m.out) continue;
    const int bits = weighted_bytes ? quantize(&m) : 0;
    ResampleParams p;
    p.dtype = work;
    p.in_size = m.in;
    p.out_size = m.out;
    p.transposed = transposed;
    p.outer = element_count(DimsView(x.sizes()).slice(0, d));
    p.inner = element_count(DimsView(x.sizes()).slice(d + 1, x.ndim() - d - 1));
    Dims sizes = x.sizes();
    sizes[d] = transposed ? m.in : m.out;
    check_sizes(op_name(op), sizes, dtype_size(work));
    const Tensor out = Tensor::empty(sizes, work, x.device());
    p.in = x.data();
    p.out = out.data();
    p.start = std::move(m.start);
    p.index = std::move(m.index);
    p.weight = std::move(m.weight);
    if (out.numel() != 0) KernelTable::run(op, x.device(), work, p);
    x = weighted_bytes ? round_bytes(out, bits) : out;
  }
  return as_dtype(x, input.dtype());
}

Dims last(const Tensor& t, size_t n) {
  AG_CHECK(t.ndim() >= n, Shape, "resample: expected at least ", static_cast<int64_t>(n),
           " dimensions, got shape ", t.sizes());
  return Dims(DimsView(t.sizes()).slice(t.ndim() - n, n));
}

std::vector<Matrix> interpolations(const char* op, const Dims& in, DimsView out,
                                   const std::string& mode, bool align_corners, bool antialias,
                                   const std::optional<Doubles>& scales) {
  AG_CHECK(mode == "nearest" || mode == "nearest-exact" || mode == "linear" || mode == "cubic",
           Value, op, ": unknown mode '", mode, "'");
  AG_CHECK(!scales.has_value() || scales->size() == in.size(), Value, op,
           ": argument 'scales' must have one entry per dimension");
  std::vector<Matrix> matrices;
  for (size_t i = 0; i < in.size(); ++i) {
    AG_CHECK(in[i] > 0 && out[i] > 0 && out[i] < int64_t{1} << 31, Shape, op,
             ": Input and output sizes should be greater than 0, but got input ", in,
             " and output ", out);
    matrices.push_back(interpolation(in[i], out[i], mode, align_corners, antialias,
                                     scales.has_value() ? (*scales)[i] : 0));
  }
  return matrices;
}

void check_weights(const char* op, const Tensor& t, const std::string& mode, size_t dims) {
  const bool image =
      t.dtype() == DType::UInt8 && dims == 2 && (mode == "linear" || mode == "cubic");
  AG_CHECK(is_floating(t.dtype()) || image || mode == "nearest" || mode == "nearest-exact", DType,
           op, ": mode '", mode, "' is not implemented for ", dtype_name(t.dtype()));
}

// PyTorch lists padding from the last dimension backwards.
std::vector<Matrix> paddings(const char* op, const Dims& in, DimsView pad,
                             const std::string& mode) {
  AG_CHECK(mode == "reflect" || mode == "replicate" || mode == "circular", Value, op,
           ": unknown mode '", mode, "'");
  std::vector<Matrix> matrices;
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t at = 2 * (in.size() - 1 - i);
    AG_CHECK(std::abs(pad[at]) < int64_t{1} << 31 && std::abs(pad[at + 1]) < int64_t{1} << 31,
             Value, op, ": padding is too large: ", pad);
    matrices.push_back(padding(op, in[i], pad[at], pad[at + 1], mode));
  }
  return matrices;
}

}  // namespace

namespace impl {

Tensor resample(const Tensor& input, DimsView size, const std::string& mode, bool align_corners,
                bool antialias, std::optional<Doubles> scales) {
  check_weights("resample", input, mode, size.size());
  std::vector<Matrix> m = interpolations("resample", last(input, size.size()), size, mode,
                                         align_corners, antialias, scales);
  return apply(OpId::resample, input, &m, false, mode == "linear" || mode == "cubic");
}

Tensor resampleBackward(const Tensor& grad, DimsView input_size, DimsView size,
                        const std::string& mode, bool align_corners, bool antialias,
                        std::optional<Doubles> scales) {
  check_weights("resampleBackward", grad, mode, size.size());
  AG_CHECK(input_size.size() == size.size() && DimsView(last(grad, size.size())) == size, Shape,
           "resampleBackward: a gradient of shape ", grad.sizes(), " does not fit size ", size);
  std::vector<Matrix> m = interpolations("resampleBackward", Dims(input_size), size, mode,
                                         align_corners, antialias, scales);
  return apply(OpId::resampleBackward, grad, &m, true);
}

Tensor padResample(const Tensor& input, DimsView pad, const std::string& mode) {
  AG_CHECK(pad.size() % 2 == 0 && input.ndim() >= pad.size() / 2, Shape, "padResample: padding ",
           pad, " does not fit shape ", input.sizes());
  std::vector<Matrix> m = paddings("pad", last(input, pad.size() / 2), pad, mode);
  const bool truth = input.dtype() == DType::Bool;
  const Tensor out =
      apply(OpId::padResample, truth ? as_dtype(input, DType::UInt8) : input, &m, false);
  return as_dtype(out, input.dtype());
}

Tensor padResampleBackward(const Tensor& grad, DimsView input_size, DimsView pad,
                           const std::string& mode) {
  AG_CHECK(pad.size() == 2 * input_size.size() && grad.ndim() >= input_size.size(), Shape,
           "padResampleBackward: padding ", pad, " does not fit size ", input_size);
  std::vector<Matrix> m = paddings("padResampleBackward", Dims(input_size), pad, mode);
  const Dims have = last(grad, input_size.size());
  for (size_t i = 0; i < m.size(); ++i) {
    AG_CHECK(m[i].out == have[i], Shape, "padResampleBackward: a gradient of shape ", grad.sizes(),
             " does not fit size ", input_size, " and padding ", pad);
  }
  return apply(OpId::padResampleBackward, grad, &m, true);
}

Tensor constantPadNd(const Tensor& input, DimsView pad, Scalar value) {
  AG_CHECK(pad.size() % 2 == 0, Value, "pad: Length of pad must be even but instead it equals ",
           static_cast<int64_t>(pad.size()));
  AG_CHECK(pad.size() <= 2 * input.ndim(), Shape,
           "pad: Length of pad should be no more than twice the number of dimensions of the input. "
           "Pad length is ",
           static_cast<int64_t>(pad.size()), " while the input has ",
           static_cast<int64_t>(input.ndim()), " dimensions.");
  Dims sizes = input.sizes();
  Dims inner = input.sizes();
  int64_t from = input.offset();
  Dims to_start(input.ndim(), 0);
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    const size_t d = input.ndim() - 1 - i;
    const int64_t before = pad[2 * i];
    const int64_t after = pad[2 * i + 1];
    AG_CHECK(std::abs(before) < int64_t{1} << 40 && std::abs(after) < int64_t{1} << 40, Value,
             "pad: padding is too large: ", pad);
    sizes[d] += before + after;
    AG_CHECK(sizes[d] >= 0, Shape, "pad: The input size ", input.sizes()[d],
             ", plus negative padding ", before, " and ", after,
             ", resulted in a negative output size, which is invalid.");
    const int64_t skipped = std::max<int64_t>(-before, 0);
    inner[d] = std::max<int64_t>(input.sizes()[d] - skipped - std::max<int64_t>(-after, 0), 0);
    to_start[d] = std::max<int64_t>(before, 0);
    from += skipped * input.strides()[d];
  }
  const Tensor out = new_tensor("pad", sizes, input.dtype(), input.device());
  fill_tensor(out, value);
  if (element_count(inner) == 0 || out.numel() == 0) return out;
  int64_t to = 0;
  for (size_t d = 0; d < sizes.size(); ++d) to += to_start[d] * out.strides()[d];
  copy_into(out.alias(inner, out.strides(), to), input.alias(inner, input.strides(), from));
  return out;
}

Tensor pad(const Tensor& input, DimsView pad, const std::string& mode,
           std::optional<Scalar> value) {
  if (mode == "constant") {
    return ops::constantPadNd(input, pad, value.value_or(Scalar(int64_t{0})));
  }
  AG_CHECK(mode == "reflect" || mode == "replicate" || mode == "circular", Value,
           "pad: Unrecognised padding mode '", mode, "'");
  AG_CHECK(!value.has_value() || value->to_double() == 0, Value, "pad: Padding mode \"", mode,
           "\" doesn't take in value argument");
  const auto n = static_cast<int64_t>(pad.size() / 2);
  const auto d = static_cast<int64_t>(input.ndim());
  AG_CHECK(pad.size() % 2 == 0 && n >= 1 && n <= 3 && (d == n + 1 || d == n + 2), Shape,
           "pad: mode '", mode,
           "' pads the last 1, 2 or 3 dimensions of an input with a channel "
           "and an optional batch dimension before them, got padding ",
           pad, " for shape ", input.sizes());
  return ops::padResample(input, pad, mode);
}

}  // namespace impl

}  // namespace ampgrad
