// Exports of mixed precision: the autocast state that lib/amp keeps per asynchronous context, the
// cache of cast weights, and whether a backend is there at all.
#include "amp/autocast.h"
#include "amp/cast_cache.h"
#include "binding/function.h"
#include "ops/kernels.h"
#include "runtime/autocast.h"

namespace ampgrad::binding {

namespace {

// One device in one number: enabled, whose op list holds, dtype. lib/amp/state.ts packs the same.
AutocastDevice unpack(int64_t code) {
  const auto dtype = static_cast<DType>(code >> 2);
  AG_CHECK(code >= 0 && code >> 2 < kNumDTypes && is_low_precision(dtype), Internal,
           "setAutocast: wrong state ", code);
  return {(code & 1) != 0, dtype, (code & 2) != 0 ? DeviceType::Cuda : DeviceType::Cpu};
}

// (cpu, cuda, cacheEnabled, entered): `entered` 1 opens a region, -1 ends one, 0 only sets.
napi_value set_autocast(const Call& c) {
  AutocastState state;
  state.devices[static_cast<size_t>(DeviceType::Cpu)] = unpack(c.integer(0, "setAutocast"));
  state.devices[static_cast<size_t>(DeviceType::Cuda)] = unpack(c.integer(1, "setAutocast"));
  state.cache_enabled = c.boolean(2);
  Autocast::set_state(state);
  const int64_t entered = c.integer(3, "setAutocast");
  if (entered > 0) Autocast::enter();
  if (entered < 0) exit_autocast_region();
  return c.undefined();
}

napi_value clear_cache(const Call& c) {
  CastCache::get().clear();
  return c.undefined();
}

// { depth, entries, bytes }
napi_value cache_stats(const Call& c) {
  napi_value out;
  check_status(c.env, napi_create_object(c.env, &out));
  const auto set = [&](const char* key, double value) {
    check_status(c.env, napi_set_named_property(c.env, out, key, c.number(value)));
  };
  set("depth", Autocast::depth());
  set("entries", static_cast<double>(CastCache::get().size()));
  set("bytes", static_cast<double>(CastCache::get().bytes()));
  return out;
}

napi_value device_available(const Call& c) {
  const std::string name = c.string(0);
  Device device;
  const bool known = parse_device(name.data(), name.size(), &device);
  return c.boolean_value(known && KernelTable::has(OpId::add, device.type, DType::Float32));
}

}  // namespace

void export_amp_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"setAutocast", entry<set_autocast>},
      {"clearAutocastCache", entry<clear_cache>},
      {"autocastCacheStats", entry<cache_stats>},
      {"deviceAvailable", entry<device_available>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
