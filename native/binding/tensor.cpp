// Exports that look at a tensor without computing: geometry, dtype, device, disposal.
#include "autograd/node.h"
#include "binding/function.h"

namespace ampgrad::binding {

namespace {

napi_value shape(const Call& c) { return c.ints(c.tensor(0, "shape").sizes()); }
napi_value strides(const Call& c) { return c.ints(c.tensor(0, "stride").strides()); }
napi_value dtype(const Call& c) { return c.text(dtype_name(c.tensor(0, "dtype").dtype())); }
napi_value device(const Call& c) { return c.text(to_string(c.tensor(0, "device").device())); }
napi_value numel(const Call& c) {
  return c.number(static_cast<double>(c.tensor(0, "numel").numel()));
}
napi_value offset(const Call& c) {
  return c.number(static_cast<double>(c.tensor(0, "storageOffset").offset()));
}
napi_value is_contiguous(const Call& c) {
  return c.boolean_value(c.tensor(0, "isContiguous").is_contiguous());
}
napi_value version(const Call& c) {
  return c.number(static_cast<double>(c.tensor(0, "version").version()));
}
napi_value shares_storage(const Call& c) {
  return c.boolean_value(c.tensor(0, "sharesStorage").storage() ==
                         c.tensor(1, "sharesStorage").storage());
}
// Equal for tensors that share a storage; only compared while they are alive.
napi_value storage_id(const Call& c) {
  const auto* storage = c.tensor(0, "storageId").storage().get();
  return c.number(static_cast<double>(reinterpret_cast<uintptr_t>(storage)));
}
napi_value is_same(const Call& c) {
  return c.boolean_value(c.tensor(0, "isSame").is_same(c.tensor(1, "isSame")));
}

napi_value dispose(const Call& c) {
  Handle* handle = handle_of(c.env, c.argv[0]);
  if (handle != nullptr) handle->tensor = Tensor();
  return c.undefined();
}

napi_value is_disposed(const Call& c) {
  const Handle* handle = handle_of(c.env, c.argv[0]);
  return c.boolean_value(handle == nullptr || !handle->tensor.defined());
}

// x.data = y: x takes over y's memory and geometry, keeps its own autograd state.
napi_value set_data(const Call& c) {
  const Tensor& target = c.tensor(0, "setData");
  const Tensor& source = c.tensor(1, "setData");
  AG_CHECK(!requires_grad(target) || is_floating(source.dtype()), DType,
           "setData: a tensor that requires grad needs floating point data, got ",
           dtype_name(source.dtype()));
  TensorImpl* impl = target.impl();
  impl->storage = source.storage();
  impl->sizes = source.sizes();
  impl->strides = source.strides();
  impl->offset = source.offset();
  impl->numel = source.numel();
  impl->dtype = source.dtype();
  impl->contiguous = source.is_contiguous();
  // The accumulator remembers the old geometry.
  AutogradMeta* meta = autograd_meta_or_null(target);
  if (meta != nullptr && meta->accumulator != nullptr) {
    meta->accumulator->outputs[0] = TensorMeta(target);
  }
  return c.undefined();
}

}  // namespace

void export_tensor_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"shape", entry<shape>},
      {"strides", entry<strides>},
      {"dtype", entry<dtype>},
      {"device", entry<device>},
      {"numel", entry<numel>},
      {"storageOffset", entry<offset>},
      {"isContiguous", entry<is_contiguous>},
      {"version", entry<version>},
      {"sharesStorage", entry<shares_storage>},
      {"storageId", entry<storage_id>},
      {"isSame", entry<is_same>},
      {"dispose", entry<dispose>},
      {"isDisposed", entry<is_disposed>},
      {"setData", entry<set_data>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
