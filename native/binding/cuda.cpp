// Exports about CUDA devices: whether there are any, what they are, their memory. An index that
// does not exist, or no device at all, raises ERR_DEVICE.
#include "binding/function.h"
#include "core/async_backend.h"
#include "core/matmul_flags.h"
#include "ops/device_copy.h"
#include "ops/shape_ops.h"

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

// --- The current device, streams and events; streams by number, 0 is a device's own

napi_value current_device(const Call& c) { return c.number(current_cuda_device()); }

napi_value set_device(const Call& c) {
  const Device device = device_at(c);
  async_backend_for(device);
  set_current_cuda_device(device.index);
  return c.undefined();
}

int64_t number_at(const Call& c, size_t i) { return c.integer(i, "cuda: a stream or an event"); }

// (device, highPriority)
napi_value next_stream(const Call& c) {
  const Device device = device_at(c);
  const int64_t stream = async_backend_for(device).next_stream(device.index, c.boolean(1));
  return c.number(static_cast<double>(stream));
}

napi_value current_stream(const Call& c) {
  const Device device = device_at(c);
  return c.number(static_cast<double>(async_backend_for(device).current_stream(device.index)));
}

napi_value set_current_stream(const Call& c) {
  const Device device = device_at(c);
  async_backend_for(device).set_current_stream(device.index, number_at(c, 1));
  return c.undefined();
}

napi_value stream_done(const Call& c) {
  const Device device = device_at(c);
  return c.boolean_value(async_backend_for(device).stream_done(device.index, number_at(c, 1)));
}

napi_value synchronize_stream(const Call& c) {
  const Device device = device_at(c);
  async_backend_for(device).synchronize_stream(device.index, number_at(c, 1));
  return c.undefined();
}

// (device, timing)
napi_value make_event(const Call& c) {
  const Device device = device_at(c);
  const int64_t event = async_backend_for(device).make_event(device.index, c.boolean(1));
  return c.number(static_cast<double>(event));
}

AsyncBackend& event_backend() {
  AsyncBackend* backend = async_backend();
  AG_CHECK(backend != nullptr, Device, "cuda: there are no events without CUDA");
  return *backend;
}

napi_value destroy_event(const Call& c) {
  event_backend().destroy_event(number_at(c, 0));
  return c.undefined();
}

// (event, stream)
napi_value record_event(const Call& c) {
  event_backend().record_event(number_at(c, 0), number_at(c, 1));
  return c.undefined();
}

// (device, stream, event)
napi_value wait_event(const Call& c) {
  const Device device = device_at(c);
  async_backend_for(device).wait_event(device.index, number_at(c, 1), number_at(c, 2));
  return c.undefined();
}

napi_value synchronize_event(const Call& c) {
  event_backend().synchronize_event(number_at(c, 0));
  return c.undefined();
}

napi_value event_done(const Call& c) {
  return c.boolean_value(event_backend().event_done(number_at(c, 0)));
}

napi_value elapsed(const Call& c) {
  return c.number(event_backend().elapsed_milliseconds(number_at(c, 0), number_at(c, 1)));
}

// (tensor, device, stream): the tensor's memory is used by work queued on the stream.
napi_value record_stream(const Call& c) {
  const Tensor& t = c.tensor(0, "recordStream");
  const int64_t index = c.integer(1, "recordStream");
  AG_CHECK(!t.device().is_cpu() && t.device().index == index, Device,
           "recordStream: the tensor is on ", to_string(t.device()),
           ", the stream is of cuda:", index);
  async_backend_for(t.device())
      .record_stream(t.device().index, t.storage()->data(), c.integer(2, "recordStream"));
  return c.undefined();
}

std::atomic<bool>& matmul_flag(const Call& c) {
  const std::string name = c.string(0);
  MatmulFlags& flags = matmul_flags();
  if (name == "allowTf32") return flags.allow_tf32;
  if (name == "allowFp16ReducedPrecisionReduction") return flags.reduce_f16;
  AG_CHECK(name == "allowBf16ReducedPrecisionReduction", Value, "matmul: no flag '", name, "'");
  return flags.reduce_bf16;
}

napi_value get_matmul_flag(const Call& c) { return c.boolean_value(matmul_flag(c)); }

napi_value set_matmul_flag(const Call& c) {
  matmul_flag(c) = c.boolean(1);
  return c.undefined();
}

napi_value pin_memory(const Call& c) {
  const Tensor& t = c.tensor(0, "pinMemory");
  AG_CHECK(t.device().is_cpu(), Device, "pinMemory: only tensors on the CPU can be pinned, got ",
           to_string(t.device()));
  if (is_pinned(t)) return c.argv[0];
  const Tensor out = empty_pinned(t.sizes(), t.dtype());
  copy_into(out, t);
  return c.wrap(out);
}

napi_value tensor_is_pinned(const Call& c) {
  return c.boolean_value(is_pinned(c.tensor(0, "isPinned")));
}

}  // namespace

void export_cuda_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"cudaCount", entry<count>},
      {"cudaUnavailableReason", entry<unavailable_reason>},
      {"cudaProperties", entry<properties>},
      {"cudaSynchronize", entry<synchronize>},
      {"cudaMemory", entry<memory>},
      {"cudaEmptyCache", entry<empty_cache>},
      {"cudaResetPeak", entry<reset_peak>},
      {"cudaSetFraction", entry<set_fraction>},
      {"cudaCurrentDevice", entry<current_device>},
      {"cudaSetDevice", entry<set_device>},
      {"cudaNextStream", entry<next_stream>},
      {"cudaCurrentStream", entry<current_stream>},
      {"cudaSetStream", entry<set_current_stream>},
      {"cudaStreamDone", entry<stream_done>},
      {"cudaSynchronizeStream", entry<synchronize_stream>},
      {"cudaMakeEvent", entry<make_event>},
      {"cudaDestroyEvent", entry<destroy_event>},
      {"cudaRecordEvent", entry<record_event>},
      {"cudaWaitEvent", entry<wait_event>},
      {"cudaSynchronizeEvent", entry<synchronize_event>},
      {"cudaEventDone", entry<event_done>},
      {"cudaElapsed", entry<elapsed>},
      {"cudaRecordStream", entry<record_stream>},
      {"matmulFlag", entry<get_matmul_flag>},
      {"setMatmulFlag", entry<set_matmul_flag>},
      {"pinMemory", entry<pin_memory>},
      {"isPinned", entry<tensor_is_pinned>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
