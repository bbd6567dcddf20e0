// Exports about CUDA devices: whether there are any, what they are, their memory. An index that
// does not exist, or no device at all, raises ERR_DEVICE.
#include "binding/function.h"
#include "core/device_backend.h"

namespace ampgrad::binding {

namespace {

constexpr const char* kIndex = "cuda: argument 'device'";

Device device_at(const Call& c) {
  const int64_t index = c.integer(0, kIndex);
  AG_CHECK(index >= 0 && index < 128, Range, kIndex, " must be a device index, got ", index);
  return Device{DeviceType::Cuda, static_cast<int8_t>(index)};
}

void set_property(const Call& c, napi_value object, const char* key, napi_value value) {
  check_status(c.env, napi_set_named_property(c.env, object, key, value));
}

napi_value count(const Call& c) {
  DeviceBackend* backend = cuda_backend();
  return c.number(backend == nullptr ? 0 : backend->device_count());
}

// null when CUDA can be used
napi_value unavailable_reason(const Call& c) {
  return cuda_backend() == nullptr ? c.text(cuda_unavailable_reason()) : c.null();
}

napi_value properties(const Call& c) {
  const Device device = device_at(c);
  const DeviceProperties p = backend_for(device).properties(device.index);
  napi_value out;
  check_status(c.env, napi_create_object(c.env, &out));
  set_property(c, out, "name", c.text(p.name));
  set_property(c, out, "major", c.number(p.major));
  set_property(c, out, "minor", c.number(p.minor));
  set_property(c, out, "multiProcessorCount", c.number(p.multiprocessors));
  set_property(c, out, "totalMemory", c.number(static_cast<double>(p.total_memory)));
  set_property(c, out, "freeMemory", c.number(static_cast<double>(p.free_memory)));
  return out;
}

napi_value synchronize(const Call& c) {
  const Device device = device_at(c);
  backend_for(device).synchronize(device.index);
  return c.undefined();
}

napi_value memory(const Call& c) {
  const Device device = device_at(c);
  DeviceBackend& backend = backend_for(device);
  const MemoryStats s = backend.allocator(device.index).stats();
  napi_value out;
  check_status(c.env, napi_create_object(c.env, &out));
  const auto set = [&](const char* key, uint64_t value) {
    set_property(c, out, key, c.number(static_cast<double>(value)));
  };
  set("allocatedBytes", s.allocated);
  set("peakAllocatedBytes", s.peak_allocated);
  set("reservedBytes", s.reserved);
  set("peakReservedBytes", s.peak_reserved);
  set("allocations", s.allocations);
  set("systemAllocations", s.system_allocations);
  for (const auto& [name, value] : backend.memory_details(device.index)) set(name, value);
  return out;
}

napi_value empty_cache(const Call& c) {
  const Device device = device_at(c);
  backend_for(device).allocator(device.index).empty_cache();
  return c.undefined();
}

napi_value reset_peak(const Call& c) {
  const Device device = device_at(c);
  backend_for(device).allocator(device.index).reset_peak_stats();
  return c.undefined();
}

napi_value set_fraction(const Call& c) {
  const Device device = device_at(c);
  double fraction = 0;
  check_status(c.env, napi_get_value_double(c.env, c.argv[1], &fraction));
  backend_for(device).set_memory_fraction(device.index, fraction);
  return c.undefined();
}

}  // namespace

void export_cuda_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"cudaCount", entry<count>},           {"cudaUnavailableReason", entry<unavailable_reason>},
      {"cudaProperties", entry<properties>}, {"cudaSynchronize", entry<synchronize>},
      {"cudaMemory", entry<memory>},         {"cudaEmptyCache", entry<empty_cache>},
      {"cudaResetPeak", entry<reset_peak>},  {"cudaSetFraction", entry<set_fraction>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
