// The batch a dataset of images in memory delivers: chosen images become float planes, together
// with their labels, in one pass over memory. This is input, not an op: nothing here is
// differentiable, and no tensor that exists is changed.
#include "backend/cpu/pixels.h"

#include <algorithm>

#include "binding/function.h"

namespace ampgrad::binding {

namespace {

constexpr int64_t kBytes = 256;

struct Chosen {
  const int32_t* data = nullptr;
  int64_t count = 0;
};

Chosen read_chosen(const Call& c, size_t i, int64_t images) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  bool is_view = false;
  check_status(c.env, napi_is_typedarray(c.env, c.argv[i], &is_view));
  if (is_view) {
    check_status(
        c.env, napi_get_typedarray_info(c.env, c.argv[i], &type, &length, &data, nullptr, nullptr));
  }
  AG_CHECK(type == napi_int32_array, Type, "gatherImages: argument 'indices' must be an ",
           "Int32Array, got ", describe_value(c.env, c.argv[i]));
  const Chosen out{static_cast<const int32_t*>(data), static_cast<int64_t>(length)};
  for (int64_t k = 0; k < out.count; ++k) {
    AG_CHECK(out.data[k] >= 0 && out.data[k] < images, Range, "gatherImages: index ", out.data[k],
             " is out of range for ", images, " images");
  }
  return out;
}

const Tensor& dense(const Call& c, size_t i, const char* name, DType type, DimsView sizes) {
  const Tensor& t = c.tensor(i, "gatherImages");
  AG_CHECK(t.dtype() == type && t.device().is_cpu() && t.is_contiguous() &&
               (sizes.empty() || std::ranges::equal(t.sizes(), sizes)),
           Value, "gatherImages: argument '", name, "' must be dense ", dtype_name(type),
           " of shape ", sizes, " on the CPU, got ", dtype_name(t.dtype()), " of shape ",
           t.sizes());
  return t;
}

// (pixels uint8 [n, h, w, c], labels int64 [n], Int32Array of indices, table float32 [c, 256],
// float32 [2, c] of shifts and scales or null) -> [float32 [k, c, h, w], int64 [k]]
napi_value gather_images(const Call& c) {
  const Tensor& pixels = dense(c, 0, "pixels", DType::UInt8, {});
  const DimsView sizes = pixels.sizes();
  AG_CHECK(pixels.ndim() == 4, Shape,
           "gatherImages: argument 'pixels' must have 4 dimensions, got ", sizes);
  const Dims label_sizes{sizes[0]};
  const Dims table_sizes{sizes[3], kBytes};
  const Tensor& labels = dense(c, 1, "labels", DType::Int64, label_sizes);
  const Chosen chosen = read_chosen(c, 2, sizes[0]);
  cpu::PixelValues values;
  values.table = dense(c, 3, "table", DType::Float32, table_sizes).data_as<float>();
  if (!c.is_absent(4)) {
    const Dims affine_sizes{2, sizes[3]};
    values.shift = dense(c, 4, "affine", DType::Float32, affine_sizes).data_as<float>();
    values.scale = values.shift + sizes[3];
  }
  const Tensor images =
      Tensor::empty(Dims{chosen.count, sizes[3], sizes[1], sizes[2]}, DType::Float32);
  const Tensor targets = Tensor::empty(Dims{chosen.count}, DType::Int64);
  cpu::gather_images(pixels.data_as<uint8_t>(), chosen.data, chosen.count, sizes[1] * sizes[2],
                     sizes[3], values, images.data_as<float>());
  for (int64_t k = 0; k < chosen.count; ++k)
    targets.data_as<int64_t>()[k] = labels.data_as<int64_t>()[chosen.data[k]];
  return c.wrap_list({images, targets});
}

}  // namespace

void export_pixel_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {{"gatherImages", entry<gather_images>}};
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
