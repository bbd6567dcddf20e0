// Views, copies and joins: index arithmetic on sizes and strides; the only kernel is the strided
// copy. A view never touches memory.
#include <algorithm>

#include "core/async_backend.h"
#include "core/error.h"
#include "ops/device_copy.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

Tensor reshaped_alias(const Tensor& x, const Dims& sizes, const char* op) {
  Dims strides;
  AG_CHECK(view_strides(x.sizes(), x.strides(), sizes, &strides), Shape, op, ": view size ", sizes,
           " is not compatible with input tensor's size ", x.sizes(), " and stride ", x.strides(),
           " (at least one dimension spans across two contiguous subspaces). Use reshape instead");
  return x.alias(sizes, std::move(strides), x.offset());
}

}  // namespace

namespace {

// Between devices only dense runs travel: the dtype changes before and the layout around them.
void copy_across(const Tensor& out, const Tensor& source, bool non_blocking = false) {
  const Tensor dense = as_contiguous(as_dtype(source, out.dtype()));
  const bool direct = out.is_contiguous() && out.sizes() == dense.sizes();
  const Tensor landed = direct ? out : Tensor::empty(dense.sizes(), dense.dtype(), out.device());
  if (dense.numel() != 0) {
    AsyncBackend& backend =
        async_backend_for(out.device().is_cpu() ? dense.device() : out.device());
    // Memory made here for the way must outlive the copy.
    const bool queued = non_blocking && (!dense.device().is_cpu() || dense.is_same(source)) &&
                        (!landed.device().is_cpu() || direct);
    if (queued) {
      backend.copy_queued(landed.data(), landed.device(), dense.data(), dense.device(),
                          dense.nbytes());
    } else {
      backend.copy(landed.data(), landed.device(), dense.data(), dense.device(), dense.nbytes());
    }
  }
  if (!direct) copy_into(out, landed);
}

}  // namespace

Tensor positions(int64_t n, Device device) {
  return ops::arange(Scalar(n), std::nullopt, Scalar(int64_t{1}), DType::Int64, device);
}

Tensor empty_pinned(DimsView sizes, DType dtype) {
  const Device device{DeviceType::Cuda, current_cuda_device()};
  AsyncBackend& backend = async_backend_for(device);
  const size_t bytes = static_cast<size_t>(element_count(sizes)) * dtype_size(dtype);
  void* data = backend.allocate_pinned(device.index, std::max<size_t>(bytes, 1));
  AG_CHECK(data != nullptr, OutOfMemory, "out of memory: ", static_cast<int64_t>(bytes),
           " bytes of pinned host memory cannot be had; pin less, or free pinned tensors");
  auto storage = make_intrusive<Storage>(
      Device{}, data, bytes, [](void* block) { async_backend()->release_pinned(block); }, data);
  return Tensor::from_storage(std::move(storage), dtype, Dims(sizes), contiguous_strides(sizes));
}

bool is_pinned(const Tensor& x) {
  return x.device().is_cpu() && async_backend() != nullptr &&
         async_backend()->is_pinned(x.storage()->data());
}

Tensor to_device(const Tensor& x, Device device) {
  if (x.device() == device) return x;
  const Tensor out = Tensor::empty(x.sizes(), x.dtype(), device);
  copy_across(out, x);
  return out;
}

void copy_into_queued(const Tensor& out, const Tensor& source) {
  if (out.device() == source.device()) {
    copy_into(out, source);
  } else {
    copy_across(out, source, true);
  }
}

void copy_into(const Tensor& out, const Tensor& source) {
  if (AG_UNLIKELY(out.device() != source.device())) {
    copy_across(out, source);
    return;
  }
  ElementwiseParams p;
  p.compute = out.dtype();
  p.numel = out.numel();
  if (p.numel == 0) return;
  p.num_inputs = 1;
  if (out.sizes() == source.sizes() && out.is_contiguous() && source.is_contiguous()) {
    static constexpr int64_t kDense = 1;  // one run, whatever the dimensions
    p.ndim = 1;
    p.sizes = &p.numel;
    p.out = {out.data(), out.dtype(), &kDense};
    p.in[0] = {source.data(), source.dtype(), &kDense};
    KernelTable::run(OpId::copy_, out.device(), out.dtype(), p);
    return;
  }
  const Dims strides = broadcast_strides(source.sizes(), source.strides(), out.sizes());
  p.ndim = static_cast<int>(out.ndim());
  p.sizes = out.sizes().data();
  p.out = {out.data(), out.dtype(), out.strides().data()};
  p.in[0] = {source.data(), source.dtype(), strides.data()};
  KernelTable::run(OpId::copy_, out.device(), out.dtype(), p);
}

Tensor contiguous_copy(const Tensor& x) {
  const Tensor out = Tensor::empty(x.sizes(), x.dtype(), x.device());
  copy_into(out, x);
  return out;
}

Tensor as_contiguous(const Tensor& x) { return x.is_contiguous() ? x : contiguous_copy(x); }

Tensor as_dtype(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor out = Tensor::empty(x.sizes(), dtype, x.device());
  copy_into(out, x);
  return out;
}

int64_t clamp_slice_index(int64_t index, int64_t size) {
  if (index < 0) index += size;
  return std::clamp<int64_t>(index, 0, size);
}

namespace impl {

Tensor view(const Tensor& x, DimsView size) {
  return reshaped_alias(x, infer_size("view", size, x.numel()), "view");
}

Tensor permute(const Tensor& x, DimsView dims) {
  AG_CHECK(dims.size() == x.ndim(), Shape, "permute: argument 'dims' ", dims,
           " must name every dimension of ", describe(x), " once");
  dim_mask("permute", dims, x.ndim(), false);
  Dims sizes(dims.size());
  Dims strides(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    const auto d = static_cast<size_t>(wrap_dim("permute", dims[i], x.ndim()));
    sizes[i] = x.sizes()[d];
    strides[i] = x.strides()[d];
  }
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

Tensor expand(const Tensor& x, DimsView size) {
  AG_CHECK(size.size() >= x.ndim(), Shape, "expand: the number of sizes provided (",
           static_cast<int64_t>(size.size()),
           ") must be greater or equal to the number of dimensions in the tensor (",
           static_cast<int64_t>(x.ndim()), ")");
  Dims sizes(size);
  const size_t lead = size.size() - x.ndim();
  for (size_t i = 0; i < size.size(); ++i) {
    const int64_t own = i < lead ? 1 : x.sizes()[i - lead];
    if (size[i] == -1) {
      AG_CHECK(i >= lead, Shape,
               "expand: the expanded size -1 isn't allowed in a leading, "
               "non-existing dimension ",
               static_cast<int64_t>(i));
      sizes[i] = own;
    }
    AG_CHECK(sizes[i] == own || (own == 1 && sizes[i] >= 0), Shape,
             "expand: the expanded size of the tensor (", sizes[i],
             ") must match the existing size (", own, ") at non-singleton dimension ",
             static_cast<int64_t>(i), ". Target sizes: ", size, ". Tensor sizes: ", x.sizes());
  }
  check_sizes("expand", sizes, x.element_size());
  Dims strides = broadcast_strides(x.sizes(), x.strides(), sizes);
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  AG_CHECK(x.ndim() > 0, Range, "select: cannot be applied to a 0-dim tensor");
  const auto d = static_cast<size_t>(wrap_dim("select", dim, x.ndim()));
  const int64_t n = x.sizes()[d];
  AG_CHECK(index >= -n && index < n, Range, "select: index ", index,
           " out of range for tensor of size ", x.sizes(), " at dimension ",
           static_cast<int64_t>(d));
  if (index < 0) index += n;
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  const int64_t offset = x.offset() + index * strides[d];
  sizes.erase(d);
  strides.erase(d);
  return x.alias(std::move(sizes), std::move(strides), offset);
}

Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
             int64_t step) {
  AG_CHECK(x.ndim() > 0, Range, "slice: cannot be applied to a 0-dim tensor");
  AG_CHECK(step > 0, Value, "slice: argument 'step' must be positive, got ", step);
  const auto d = static_cast<size_t>(wrap_dim("slice", dim, x.ndim()));
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  const int64_t from = clamp_slice_index(start.value_or(0), sizes[d]);
  const int64_t to = std::max(from, clamp_slice_index(end.value_or(sizes[d]), sizes[d]));
  const int64_t offset = x.offset() + from * strides[d];
  // Not (to - from + step - 1): a huge step must not overflow.
  sizes[d] = to == from ? 0 : (to - from - 1) / step + 1;
  if (sizes[d] > 1) strides[d] *= step;
  return x.alias(std::move(sizes), std::move(strides), offset);
}

Tensor asStrided(const Tensor& x, DimsView size, DimsView stride, std::optional<int64_t> offset) {
  return ops::asStridedView(x, size, stride, offset.value_or(x.offset()), x.strides(), x.offset());
}

// The last two arguments record the input's geometry for the derivative.
Tensor asStridedView(const Tensor& x, DimsView size, DimsView stride, int64_t start, DimsView,
                     int64_t) {
  AG_CHECK(size.size() == stride.size(), Shape,
           "asStrided: mismatch in length of strides and shape: ", size, " and ", stride);
  check_sizes("asStrided", size, x.element_size());
  AG_CHECK(start >= 0, Range, "asStrided: argument 'storageOffset' must not be negative, got ",
           start);
  const auto limit = static_cast<int64_t>(x.storage()->bytes() / x.element_size());
  int64_t last = start;
  const bool is_empty = std::find(size.begin(), size.end(), 0) != size.end();
  for (size_t i = 0; i < size.size(); ++i) {
    AG_CHECK(stride[i] >= 0, Value, "asStrided: negative strides are not supported, got strides ",
             stride);
    if (is_empty || size[i] <= 1) continue;
    AG_CHECK(stride[i] <= limit / (size[i] - 1), Range, "asStrided: size ", size, " with strides ",
             stride, " is out of bounds for a storage of ", limit, " elements");
    last += (size[i] - 1) * stride[i];
  }
  AG_CHECK(is_empty || last < limit, Range, "asStrided: size ", size, " with strides ", stride,
           " and offset ", start, " is out of bounds for a storage of ", limit, " elements");
  return x.alias(Dims(size), Dims(stride), start);
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  AG_CHECK(x.ndim() >= 2, Shape, "diagonal: needs a tensor of at least 2 dimensions, got ",
           describe(x));
  const auto d1 = static_cast<size_t>(wrap_dim("diagonal", dim1, x.ndim()));
  const auto d2 = static_cast<size_t>(wrap_dim("diagonal", dim2, x.ndim()));
  AG_CHECK(d1 != d2, Value, "diagonal: diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  const int64_t rows = x.sizes()[d1];
  const int64_t cols = x.sizes()[d2];
  // Beyond the matrix the diagonal is empty; comparing first keeps the subtraction in range.
  int64_t length = 0;
  if (offset >= 0) {
    if (offset < cols) length = std::min(rows, cols - offset);
  } else if (offset > -rows) {
    length = std::min(rows + offset, cols);
  }
  int64_t start = x.offset();
  if (length > 0) start += offset >= 0 ? offset * x.strides()[d2] : -offset * x.strides()[d1];
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  const int64_t stride = strides[d1] + strides[d2];
  sizes.erase(std::max(d1, d2));
  strides.erase(std::max(d1, d2));
  sizes.erase(std::min(d1, d2));
  strides.erase(std::min(d1, d2));
  sizes.push_back(length);
  strides.push_back(stride);
  return x.alias(std::move(sizes), std::move(strides), start);
}

Tensor squeeze(const Tensor& x, std::optional<Dims> dim) {
  const uint64_t mask = dim ? dim_mask("squeeze", *dim, x.ndim(), false) : ~uint64_t{0};
  Dims sizes;
  Dims strides;
  for (size_t i = 0; i < x.ndim(); ++i) {
    if (x.sizes()[i] == 1 && (mask >> i & 1) != 0) continue;
    sizes.push_back(x.sizes()[i]);
    strides.push_back(x.strides()[i]);
  }
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  const auto d = static_cast<size_t>(wrap_dim("unsqueeze", dim, x.ndim() + 1));
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  const int64_t stride = d < x.ndim() ? sizes[d] * strides[d] : 1;
  sizes.insert(d, 1);
  strides.insert(d, stride);
  AG_CHECK(sizes.size() <= kMaxDims, Shape, "unsqueeze: at most ", kMaxDims,
           " dimensions are supported");
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  const auto a = static_cast<size_t>(wrap_dim("transpose", dim0, x.ndim()));
  const auto b = static_cast<size_t>(wrap_dim("transpose", dim1, x.ndim()));
  Dims sizes = x.sizes();
  Dims strides = x.strides();
  if (!sizes.empty()) {
    std::swap(sizes[a], sizes[b]);
    std::swap(strides[a], strides[b]);
  }
  return x.alias(std::move(sizes), std::move(strides), x.offset());
}

Tensor detach(const Tensor& x) { return x.alias(); }

Tensor t(const Tensor& x) {
  AG_CHECK(x.ndim() <= 2, Shape, "t: expects a tensor with <= 2 dimensions, got ", describe(x));
  return x.ndim() < 2 ? x : ops::transpose(x, 0, 1);
}

Tensor reshape(const Tensor& x, DimsView shape) {
  const Dims sizes = infer_size("reshape", shape, x.numel());
  Dims strides;
  if (view_strides(x.sizes(), x.strides(), sizes, &strides)) return ops::view(x, sizes);
  return ops::view(ops::clone(x), sizes);
}

Tensor flatten(const Tensor& x, int64_t start_dim, int64_t end_dim) {
  const int64_t start = wrap_dim("flatten", start_dim, x.ndim());
  const int64_t end = wrap_dim("flatten", end_dim, x.ndim());
  AG_CHECK(start <= end, Value,
           "flatten: has invalid args: startDim cannot come after endDim, got ", start_dim, " and ",
           end_dim);
  if (x.ndim() == 0) return ops::reshape(x, Dims{1});
  if (start == end) return x;
  Dims sizes;
  for (int64_t i = 0; i < start; ++i) sizes.push_back(x.size(i));
  int64_t joined = 1;
  for (int64_t i = start; i <= end; ++i) joined *= x.size(i);
  sizes.push_back(joined);
  for (int64_t i = end + 1; i < static_cast<int64_t>(x.ndim()); ++i) sizes.push_back(x.size(i));
  return ops::reshape(x, sizes);
}

Tensor unflatten(const Tensor& x, int64_t dim, DimsView sizes) {
  const auto d = static_cast<size_t>(wrap_dim("unflatten", dim, x.ndim()));
  AG_CHECK(!sizes.empty() && x.ndim() > 0, Value, "unflatten: argument 'sizes' must not be empty");
  const Dims inner = infer_size("unflatten", sizes, x.sizes()[d]);
  Dims out(DimsView(x.sizes()).slice(0, d));
  for (int64_t s : inner) out.push_back(s);
  for (size_t i = d + 1; i < x.ndim(); ++i) out.push_back(x.sizes()[i]);
  return ops::view(x, out);
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  AG_CHECK(x.ndim() > 0, Range, "narrow: cannot be applied to a 0-dim tensor");
  const int64_t n = x.size(dim);
  AG_CHECK(length >= 0, Value, "narrow: argument 'length' must be non-negative, got ", length);
  AG_CHECK(start >= -n && start <= n, Range, "narrow: start (", start,
           ") is out of range (expected to be in range of [", -n, ", ", n, "])");
  if (start < 0) start += n;
  AG_CHECK(length <= n - start, Range, "narrow: start (", start, ") + length (", length,
           ") exceeds dimension size (", n, ")");
  return ops::slice(x, dim, start, start + length, 1);
}

Tensor expandAs(const Tensor& x, const Tensor& other) { return ops::expand(x, other.sizes()); }

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : ops::clone(x); }

Tensor clone(const Tensor& x) { return contiguous_copy(x); }

Tensor copy_(const Tensor& x, const Operand& src, bool non_blocking) {
  AG_CHECK(is_non_overlapping(x.sizes(), x.strides()), Value,
           "copy_: unsupported operation: more than one element of the written-to tensor refers to "
           "a single memory location. Please clone() the tensor before performing the operation");
  if (!src.is_tensor()) {
    impl::fill_(x, src);
    return x;
  }
  Tensor source = src.tensor();
  AG_CHECK(can_broadcast_to(source.sizes(), x.sizes()), Shape, "copy_: a tensor of shape ",
           source.sizes(), " cannot be broadcast to the target's shape ", x.sizes());
  if (source.is_same(x)) return x;
  if (source.storage() == x.storage()) {
    if (source.offset() == x.offset() && source.sizes() == x.sizes() &&
        source.strides() == x.strides() && source.dtype() == x.dtype()) {
      return x;
    }
    source = contiguous_copy(source);
  }
  if (non_blocking) {
    copy_into_queued(x, source);
  } else {
    copy_into(x, source);
  }
  return x;
}

Tensor toCopy(const Tensor& x, std::optional<DType> dtype, std::optional<Device> device,
              bool non_blocking) {
  const Device target = device.value_or(x.device());
  const DType type = dtype.value_or(x.dtype());
  // What comes from a device without waiting lands in pinned memory.
  const bool pinned = non_blocking && target.is_cpu() && !x.device().is_cpu();
  const Tensor out =
      pinned ? empty_pinned(x.sizes(), type) : Tensor::empty(x.sizes(), type, target);
  if (non_blocking) {
    copy_into_queued(out, x);
  } else {
    copy_into(out, x);
  }
  return out;
}

Tensor to(const Tensor& x, std::optional<DType> dtype, std::optional<Device> device,
          bool non_blocking, bool copy) {
  const bool same =
      dtype.value_or(x.dtype()) == x.dtype() && device.value_or(x.device()) == x.device();
  return same && !copy ? x : ops::toCopy(x, dtype, device, non_blocking);
}

Tensor sumToSize(const Tensor& x, DimsView size) {
  AG_CHECK(can_broadcast_to(size, x.sizes()), Shape, "sumToSize: size ", size,
           " is not expandable to size ", x.sizes());
  if (size.empty()) return ops::sum(x);  // which widens integers even where nothing is added
  const size_t lead = x.ndim() - size.size();
  Dims leading;
  Dims kept;
  for (size_t i = 0; i < x.ndim(); ++i) {
    if (i < lead) {
      leading.push_back(static_cast<int64_t>(i));
    } else if (size[i - lead] == 1 && x.sizes()[i] != 1) {
      kept.push_back(static_cast<int64_t>(i));
    }
  }
  Tensor out = x;
  if (!kept.empty()) out = ops::sum(out, kept, true, std::nullopt);
  if (!leading.empty()) out = ops::sum(out, leading, false, std::nullopt);
  return out;
}

namespace {

// PyTorch's legacy rule: a tensor of shape [0] joins with anything.
bool is_legacy_empty(const Tensor& t) { return t.ndim() == 1 && t.numel() == 0; }

void check_cat(const TensorList& tensors, const Tensor& first, size_t dim) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    AG_CHECK(t.device() == first.device(), Device,
             "cat: expected all tensors to be on the same device, got ", to_string(first.device()),
             " and ", to_string(t.device()));
    if (is_legacy_empty(t)) continue;
    AG_CHECK(t.ndim() == first.ndim(), Shape,
             "cat: tensors must have same number of dimensions: "
             "got ",
             static_cast<int64_t>(first.ndim()), " and ", static_cast<int64_t>(t.ndim()));
    for (size_t d = 0; d < t.ndim(); ++d) {
      AG_CHECK(d == dim || t.sizes()[d] == first.sizes()[d], Shape,
               "cat: sizes of tensors must match except in dimension ", static_cast<int64_t>(dim),
               ". Expected size ", first.sizes()[d], " but got size ", t.sizes()[d],
               " for tensor number ", static_cast<int64_t>(i), " in the list");
    }
  }
}

}  // namespace

Tensor cat(const TensorList& tensors, int64_t dim) {
  AG_CHECK(!tensors.empty(), Value, "cat: expected a non-empty list of Tensors");
  DType dtype = tensors[0].dtype();
  const Tensor* first = nullptr;
  for (const Tensor& t : tensors) {
    AG_CHECK(t.ndim() > 0, Shape, "cat: zero-dimensional tensor (at position ",
             static_cast<int64_t>(&t - tensors.data()), ") cannot be concatenated");
    dtype = promote_types(dtype, t.dtype());
    if (first == nullptr && !is_legacy_empty(t)) first = &t;
  }
  if (first == nullptr) first = &tensors[0];
  const auto d = static_cast<size_t>(wrap_dim("cat", dim, first->ndim()));
  check_cat(tensors, *first, d);
  Dims sizes = first->sizes();
  sizes[d] = 0;
  for (const Tensor& t : tensors) {
    if (!is_legacy_empty(t)) sizes[d] += t.sizes()[d];
  }
  const Tensor out = Tensor::empty(sizes, dtype, first->device());
  int64_t position = 0;
  for (const Tensor& t : tensors) {
    if (is_legacy_empty(t)) continue;
    Dims part = sizes;
    part[d] = t.sizes()[d];
    copy_into(out.alias(part, out.strides(), out.offset() + position * out.strides()[d]), t);
    position += t.sizes()[d];
  }
  return out;
}

Tensor stack(const TensorList& tensors, int64_t dim) {
  AG_CHECK(!tensors.empty(), Value, "stack: expected a non-empty list of Tensors");
  const int64_t d = wrap_dim("stack", dim, tensors[0].ndim() + 1);
  TensorList expanded;
  for (const Tensor& t : tensors) {
    AG_CHECK(t.sizes() == tensors[0].sizes(), Shape,
             "stack: expects each tensor to be equal size, but got ", tensors[0].sizes(),
             " at entry 0 and ", t.sizes(), " at entry ",
             static_cast<int64_t>(&t - tensors.data()));
    expanded.push_back(ops::unsqueeze(t, d));
  }
  return ops::cat(expanded, d);
}

TensorList split(const Tensor& x, DimsView sections, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Shape, "split: expects at least a 1-dimensional tensor");
  const int64_t n = x.size(dim);
  TensorList out;
  if (sections.size() == 1) {
    const int64_t step = sections[0];
    AG_CHECK(step > 0 || (step == 0 && n == 0), Value,
             "split: expects splitSizeOrSections be positive, got ", step);
    for (int64_t start = 0; start < n || out.empty(); start += step) {
      out.push_back(ops::narrow(x, dim, start, std::min(step, n - start)));
      if (step == 0) break;
    }
    return out;
  }
  int64_t total = 0;
  for (int64_t s : sections) {
    AG_CHECK(s >= 0, Value, "split: expects non-negative sizes, got ", sections);
    total += s;
  }
  AG_CHECK(total == n, Shape, "split: expects splitSizes to sum exactly to ", n,
           " (input tensor's size at dimension ", dim, "), but got ", sections);
  int64_t start = 0;
  for (int64_t s : sections) {
    out.push_back(ops::narrow(x, dim, start, s));
    start += s;
  }
  return out;
}

TensorList chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Shape, "chunk: expects at least a 1-dimensional tensor");
  AG_CHECK(chunks > 0, Value, "chunk: expects chunks to be greater than 0, got ", chunks);
  const int64_t n = x.size(dim);
  const int64_t step = n / chunks + (n % chunks != 0 ? 1 : 0);
  if (step == 0) return TensorList(static_cast<size_t>(chunks), ops::narrow(x, dim, 0, 0));
  return ops::split(x, Dims{step}, dim);
}

TensorList unbind(const Tensor& x, int64_t dim) {
  AG_CHECK(x.ndim() > 0, Range, "unbind: dimension specified as ", dim,
           " but tensor has no dimensions");
  TensorList out;
  const int64_t n = x.size(dim);
  for (int64_t i = 0; i < n; ++i) out.push_back(ops::select(x, dim, i));
  return out;
}

}  // namespace impl
}  // namespace ampgrad
