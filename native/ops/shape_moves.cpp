// Rearrangements of one tensor: named permutations, windows, flips, rolls, repetition. Composed of
// the views of ops/shape.cpp; flip is a strided copy that walks backwards.
#include <algorithm>

#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

Tensor movedim(const Tensor& x, DimsView source, DimsView destination) {
  AG_CHECK(source.size() == destination.size(), Shape,
           "movedim: invalid source or destination dims: source (", source,
           " dims) should contain the same number of dims as destination (", destination, " dims)");
  const uint64_t from_mask = dim_mask("movedim", source, x.ndim(), false);
  dim_mask("movedim", destination, x.ndim(), false);
  if (x.ndim() == 0) return x;
  Dims order(x.ndim(), -1);
  for (size_t i = 0; i < source.size(); ++i) {
    order[static_cast<size_t>(wrap_dim("movedim", destination[i], x.ndim()))] =
        wrap_dim("movedim", source[i], x.ndim());
  }
  int64_t next = 0;
  for (int64_t& d : order) {
    if (d >= 0) continue;
    while ((from_mask >> next & 1u) != 0) ++next;
    d = next++;
  }
  return ops::permute(x, order);
}
Tensor ravel(const Tensor& x) { return ops::reshape(x, Dims{x.numel()}); }
Tensor viewAs(const Tensor& x, const Tensor& other) { return ops::view(x, other.sizes()); }
Tensor reshapeAs(const Tensor& x, const Tensor& other) { return ops::reshape(x, other.sizes()); }

Tensor atleast1d(const Tensor& x) { return x.ndim() == 0 ? ops::reshape(x, Dims{1}) : x; }
Tensor atleast2d(const Tensor& x) {
  if (x.ndim() == 0) return ops::reshape(x, Dims{1, 1});
  return x.ndim() == 1 ? ops::unsqueeze(x, 0) : x;
}
Tensor atleast3d(const Tensor& x) {
  if (x.ndim() == 0) return ops::reshape(x, Dims{1, 1, 1});
  if (x.ndim() == 1) return ops::unsqueeze(ops::unsqueeze(x, 0), -1);
  return x.ndim() == 2 ? ops::unsqueeze(x, -1) : x;
}

Tensor unfold(const Tensor& x, int64_t dimension, int64_t size, int64_t step) {
  const auto d = static_cast<size_t>(wrap_dim("unfold", dimension, x.ndim()));
  const int64_t length = x.ndim() == 0 ? 1 : x.sizes()[d];
  AG_CHECK(size >= 0 && size <= length, Value, "unfold: argument 'size' must be between 0 and ",
           length, ", the size of dimension ", dimension, ", got ", size);
  AG_CHECK(step > 0, Value, "unfold: argument 'step' must be positive, got ", step);
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  if (x.ndim() == 0) return x.alias(Dims{size}, Dims{1}, x.offset());
  const int64_t stride = strides[d];
  sizes[d] = (length - size) / step + 1;
  // A single window needs no step, which may be huge.
  if (sizes[d] > 1) strides[d] = stride * step;
  sizes.push_back(size);
  strides.push_back(stride);
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

// A copy that starts at the end of the flipped dimensions and walks backwards.
Tensor flip(const Tensor& x, DimsView dims) {
  const uint64_t mask = dim_mask("flip", dims, x.ndim(), false);
  const Tensor out = Tensor::empty(x.sizes(), x.dtype(), x.device());
  if (x.numel() == 0) return out;
  Dims strides = x.strides();
  int64_t start = 0;
  for (size_t d = 0; d < x.ndim(); ++d) {
    if ((mask >> d & 1u) == 0) continue;
    start += (x.sizes()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  ElementwiseParams p;
  p.compute = out.dtype();
  p.ndim = static_cast<int>(out.ndim());
  p.sizes = out.sizes().data();
  p.numel = out.numel();
  p.out = {out.data(), out.dtype(), out.strides().data()};
  p.num_inputs = 1;
  char* base = static_cast<char*>(x.data()) + start * static_cast<int64_t>(x.element_size());
  p.in[0] = {base, x.dtype(), strides.data()};
  KernelTable::run(OpId::copy_, out.device(), out.dtype(), p);
  return out;
}

Tensor fliplr(const Tensor& x) {
  AG_CHECK(x.ndim() >= 2, Shape, "fliplr: input must be >= 2-d, got ", describe(x));
  return ops::flip(x, Dims{1});
}
Tensor flipud(const Tensor& x) {
  AG_CHECK(x.ndim() >= 1, Shape, "flipud: input must be >= 1-d, got ", describe(x));
  return ops::flip(x, Dims{0});
}

Tensor rot90(const Tensor& x, int64_t k, DimsView dims) {
  AG_CHECK(dims.size() == 2, Value, "rot90: expected total rotation dims == 2, but got dims = ",
           static_cast<int64_t>(dims.size()));
  AG_CHECK(x.ndim() >= 2, Shape, "rot90: expected total dims >= 2, but got total dims = ",
           static_cast<int64_t>(x.ndim()));
  dim_mask("rot90", dims, x.ndim(), false);
  switch ((k % 4 + 4) % 4) {
    case 1:
      return ops::transpose(ops::flip(x, Dims{dims[1]}), dims[0], dims[1]);
    case 2:
      return ops::flip(x, dims);
    case 3:
      return ops::transpose(ops::flip(x, Dims{dims[0]}), dims[0], dims[1]);
    default:
      return ops::clone(x);
  }
}

Tensor roll(const Tensor& x, DimsView shifts, std::optional<Dims> dims) {
  AG_CHECK(!shifts.empty(), Value, "roll: `shifts` required");
  if (!dims.has_value() || dims->empty()) {
    AG_CHECK(shifts.size() == 1, Value, "roll: shifts and dimensions must align. shifts: ", shifts,
             ", dims: []");
    return ops::reshape(ops::roll(ops::reshape(x, Dims{x.numel()}), shifts, Dims{0}), x.sizes());
  }
  AG_CHECK(dims->size() == shifts.size(), Value,
           "roll: shifts and dimensions must align. shifts: ", shifts, ", dims: ", *dims);
  Tensor out = x;
  for (size_t i = 0; i < shifts.size(); ++i) {
    AG_CHECK(x.ndim() > 0, Range, "roll: dimension specified as ", (*dims)[i],
             " but tensor has no dimensions");
    const int64_t d = wrap_dim("roll", (*dims)[i], x.ndim());
    const int64_t n = x.size(d);
    if (n == 0) continue;
    const int64_t shift = (shifts[i] % n + n) % n;
    if (shift == 0) continue;
    out = ops::cat(
        TensorList{ops::narrow(out, d, n - shift, shift), ops::narrow(out, d, 0, n - shift)}, d);
  }
  return out.is_same(x) ? ops::clone(x) : out;
}

Tensor broadcastTo(const Tensor& x, DimsView size) { return ops::expand(x, size); }

TensorList broadcastTensors(const TensorList& tensors) {
  Dims sizes;
  for (const Tensor& t : tensors) sizes = broadcast_shapes("broadcastTensors", sizes, t.sizes());
  TensorList out;
  for (const Tensor& t : tensors) out.push_back(ops::expand(t, sizes));
  return out;
}

// [r0 s0, r1 s1, ...] as a broadcast of [1, s0, 1, s1, ...].
Tensor repeat(const Tensor& x, DimsView repeats) {
  AG_CHECK(repeats.size() >= x.ndim(), Shape,
           "repeat: number of dimensions of repeat dims can not be smaller than number of "
           "dimensions of tensor, got ",
           repeats, " for shape ", x.sizes());
  const size_t lead = repeats.size() - x.ndim();
  Dims from;
  Dims to;
  Dims sizes;
  for (size_t i = 0; i < repeats.size(); ++i) {
    AG_CHECK(repeats[i] >= 0, Value, "repeat: argument 'repeats' must not be negative, got ",
             repeats);
    const int64_t own = i < lead ? 1 : x.sizes()[i - lead];
    AG_CHECK(own == 0 || repeats[i] <= (int64_t{1} << 61) / own, Range,
             "repeat: invalid size, possible overflow: ", repeats);
    // Dimensions that stay as they are take one place, so that the result is a single copy.
    if (repeats[i] != 1) {
      from.push_back(1);
      to.push_back(repeats[i]);
    }
    from.push_back(own);
    to.push_back(own);
    sizes.push_back(own * repeats[i]);
  }
  check_sizes("repeat", sizes, x.element_size());
  const Tensor wide = ops::expand(ops::reshape(x, from), to);
  const Tensor out = ops::reshape(wide, sizes);
  return out.storage() == x.storage() ? ops::clone(out) : out;
}

Tensor tile(const Tensor& x, DimsView dims) {
  Dims repeats(dims);
  while (repeats.size() < x.ndim()) repeats.insert(0, 1);
  return ops::repeat(x, repeats);
}

namespace {

// Positions 0, 0, ..., 1, 1, ...: i as often as repeats[i] says.
Tensor repeated_positions(const Tensor& repeats, int64_t length, std::optional<int64_t> total) {
  AG_CHECK(is_integral(repeats.dtype()), DType,
           "repeatInterleave: argument 'repeats' must hold integers, got ", describe(repeats));
  AG_CHECK(repeats.ndim() <= 1 && (repeats.numel() == length || repeats.numel() == 1), Shape,
           "repeatInterleave: argument 'repeats' must have the same size as input along dim, got ",
           repeats.sizes(), " for ", length);
  const Tensor counts = as_contiguous(to_host(as_dtype(ops::detach(repeats), DType::Int64)));
  const int64_t* count = counts.data_as<int64_t>();
  const bool single = repeats.numel() == 1;
  int64_t sum = 0;
  for (int64_t i = 0; i < length; ++i) {
    const int64_t n = count[single ? 0 : i];
    AG_CHECK(n >= 0, Value, "repeatInterleave: repeats can not be negative, got ", n);
    AG_CHECK(n <= (int64_t{1} << 58) - sum, Range,
             "repeatInterleave: invalid size, possible overflow");
    sum += n;
  }
  AG_CHECK(!total.has_value() || *total == sum, Value,
           "repeatInterleave: argument 'outputSize' must be ", sum, ", the sum of repeats, got ",
           total.value_or(0));
  const Tensor out = Tensor::empty(Dims{sum}, DType::Int64);
  int64_t* to = out.data_as<int64_t>();
  for (int64_t i = 0; i < length; ++i) to = std::fill_n(to, count[single ? 0 : i], i);
  return to_device(out, repeats.device());
}

}  // namespace

Tensor repeatInterleave(const Tensor& input, const Operand& repeats, std::optional<int64_t> dim,
                        std::optional<int64_t> output_size) {
  const Tensor x =
      dim.has_value() && input.ndim() > 0 ? input : ops::reshape(input, Dims{input.numel()});
  const int64_t d = wrap_dim("repeatInterleave", dim.value_or(0), x.ndim());
  const int64_t length = x.size(d);
  if (repeats.is_tensor()) {
    return ops::indexSelect(x, d, repeated_positions(repeats.tensor(), length, output_size));
  }
  AG_CHECK(!repeats.scalar().is_float(), Type,
           "repeatInterleave: argument 'repeats' must be an integer or a tensor of integers");
  const int64_t n = repeats.scalar().to_int();
  AG_CHECK(n >= 0, Value, "repeatInterleave: repeats can not be negative, got ", n);
  AG_CHECK(length == 0 || n <= (int64_t{1} << 61) / length, Range,
           "repeatInterleave: invalid size, possible overflow");
  AG_CHECK(!output_size.has_value() || *output_size == n * length, Value,
           "repeatInterleave: argument 'outputSize' must be ", n * length, ", got ",
           output_size.value_or(0));
  Dims wide = x.sizes();
  wide.insert(static_cast<size_t>(d) + 1, n);
  Dims sizes = x.sizes();
  sizes[static_cast<size_t>(d)] = n * length;
  check_sizes("repeatInterleave", sizes, x.element_size());
  // A clone, because one repetition (or none) would reshape into a view of the input.
  return ops::reshape(ops::clone(ops::expand(ops::unsqueeze(x, d + 1), wide)), sizes);
}

}  // namespace ampgrad::impl
