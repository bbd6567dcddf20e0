// Exports that move elements between JavaScript and tensors: typed arrays in and out, numbers out,
// shared buffers.
#include <cstring>

#include "binding/function.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::binding {

namespace {

struct Bytes {
  char* data = nullptr;
  size_t size = 0;
};

Bytes view_bytes(const Call& c, size_t i, const char* where) {
  bool is_view = false;
  check_status(c.env, napi_is_typedarray(c.env, c.argv[i], &is_view));
  AG_CHECK(is_view, Type, where, ": must be a typed array, got ", describe_value(c.env, c.argv[i]));
  napi_typedarray_type type{};
  size_t length = 0;
  void* data = nullptr;
  check_status(c.env,
               napi_get_typedarray_info(c.env, c.argv[i], &type, &length, &data, nullptr, nullptr));
  static constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  AG_CHECK(static_cast<size_t>(type) < std::size(kSizes), Type, where,
           ": this kind of typed array is not supported");
  return {static_cast<char*>(data), length * kSizes[type]};
}

// (Uint8Array over the elements, shape, dtype) -> tensor. Copies.
napi_value from_bytes(const Call& c) {
  const Bytes bytes = view_bytes(c, 0, "tensor: argument 'data'");
  const Dims sizes = c.dims(1, "tensor: argument 'shape'");
  const DType type = c.dtype(2, "tensor");
  const Tensor out = Tensor::empty(sizes, type);
  AG_CHECK(out.nbytes() == bytes.size, Shape, "tensor: shape ", sizes, " of ", dtype_name(type),
           " needs ", static_cast<int64_t>(out.nbytes()), " bytes, got ",
           static_cast<int64_t>(bytes.size));
  if (bytes.size != 0) std::memcpy(out.data(), bytes.data, bytes.size);
  return c.wrap(out);
}

struct SharedBuffer {
  EnvState* state;
  napi_ref ref;
};

// May run inside the collector: only notes that the reference can go.
void release_shared(void* context) {
  auto* shared = static_cast<SharedBuffer*>(context);
  if (!shared->state->closed) shared->state->dead_refs.push_back(shared->ref);
  delete shared;
}

// (typed array, shape, dtype) -> tensor that aliases the array's memory and keeps it alive.
napi_value from_shared(const Call& c) {
  const Bytes bytes = view_bytes(c, 0, "fromBuffer: argument 'data'");
  const Dims sizes = c.dims(1, "fromBuffer: argument 'shape'");
  const DType type = c.dtype(2, "fromBuffer");
  check_sizes("fromBuffer", sizes, dtype_size(type));
  const size_t needed = static_cast<size_t>(element_count(sizes)) * dtype_size(type);
  AG_CHECK(needed <= bytes.size, Shape, "fromBuffer: shape ", sizes, " of ", dtype_name(type),
           " needs ", static_cast<int64_t>(needed), " bytes, got ",
           static_cast<int64_t>(bytes.size));
  AG_CHECK(reinterpret_cast<uintptr_t>(bytes.data) % dtype_size(type) == 0, Value,
           "fromBuffer: the buffer is not aligned for ", dtype_name(type));
  napi_ref ref;
  check_status(c.env, napi_create_reference(c.env, c.argv[0], 1, &ref));
  auto* shared = new SharedBuffer{c.state, ref};
  StoragePtr storage =
      make_intrusive<Storage>(Device{}, bytes.data, bytes.size, release_shared, shared);
  return c.wrap(
      Tensor::from_storage(std::move(storage), type, sizes, contiguous_strides(sizes), 0));
}

// Copies all elements, row-major, into a typed array of the right byte size.
napi_value copy_to(const Call& c) {
  const Tensor& given = c.tensor(0, "dataSync");
  const Bytes bytes = view_bytes(c, 1, "dataSync");
  AG_CHECK(bytes.size == given.nbytes(), Internal, "dataSync: wrong buffer size");
  const Tensor t = to_host(given);
  if (t.numel() == 0) return c.undefined();
  if (t.is_contiguous()) {
    std::memcpy(bytes.data, t.data(), bytes.size);
  } else {
    const Tensor dense = contiguous_copy(t);
    std::memcpy(bytes.data, dense.data(), bytes.size);
  }
  return c.undefined();
}

// The only element as a number, bigint (int64 beyond 2^53) or boolean.
napi_value item(const Call& c) {
  const Tensor& given = c.tensor(0, "item");
  AG_CHECK(given.numel() == 1, Shape, "item: a Tensor with ", given.numel(),
           " elements cannot be converted to a number, shape ", given.sizes());
  const Tensor t = to_host(given);
  if (t.dtype() == DType::Float32) return c.number(static_cast<double>(*t.data_as<float>()));
  if (t.dtype() == DType::Bool) return c.boolean_value(*t.data_as<bool>());
  if (t.dtype() == DType::Int64) {
    const int64_t v = *t.data_as<int64_t>();
    constexpr int64_t kSafe = (int64_t{1} << 53) - 1;
    if (v >= -kSafe && v <= kSafe) return c.number(static_cast<double>(v));
    napi_value out;
    check_status(c.env, napi_create_bigint_int64(c.env, v, &out));
    return out;
  }
  const Tensor wide = as_dtype(t, DType::Float64);
  return c.number(*wide.data_as<double>());
}

}  // namespace

void export_data_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"fromBytes", entry<from_bytes>},
      {"fromShared", entry<from_shared>},
      {"copyTo", entry<copy_to>},
      {"item", entry<item>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
