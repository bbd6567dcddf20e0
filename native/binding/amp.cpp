// Exports of mixed precision: the autocast state that lib/amp keeps per asynchronous context, the
// cache of cast weights, and whether a backend is there at all.
#include "amp/autocast.h"
#include "amp/cast_cache.h"
#include "amp/trace.h"
#include "binding/function.h"
#include "core/device_backend.h"
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

napi_value start_trace(const Call& c) {
  AutocastTrace::start();
  return c.undefined();
}

napi_value text_list(const Call& c, const std::vector<std::string>& texts) {
  napi_value out;
  check_status(c.env, napi_create_array_with_length(c.env, texts.size(), &out));
  for (size_t i = 0; i < texts.size(); ++i) {
    check_status(c.env, napi_set_element(c.env, out, static_cast<uint32_t>(i), c.text(texts[i])));
  }
  return out;
}

napi_value shape_list(const Call& c, const std::vector<Dims>& shapes) {
  napi_value out;
  check_status(c.env, napi_create_array_with_length(c.env, shapes.size(), &out));
  for (size_t i = 0; i < shapes.size(); ++i) {
    check_status(c.env, napi_set_element(c.env, out, static_cast<uint32_t>(i), c.ints(shapes[i])));
  }
  return out;
}

// [{ op, policy, inputs, shapes, result, casts, castBytes, cached }]
napi_value stop_trace(const Call& c) {
  static constexpr const char* kPolicies[] = {"none",    "lower",  "fp32", "fp32Dtype",
                                              "promote", "banned", "keep"};
  const std::vector<TracedCall> calls = AutocastTrace::stop();
  napi_value list;
  check_status(c.env, napi_create_array_with_length(c.env, calls.size(), &list));
  for (size_t i = 0; i < calls.size(); ++i) {
    const TracedCall& call = calls[i];
    napi_value item;
    check_status(c.env, napi_create_object(c.env, &item));
    const auto set = [&](const char* key, napi_value value) {
      check_status(c.env, napi_set_named_property(c.env, item, key, value));
    };
    set("op", c.text(call.op->name));
    set("policy", c.text(kPolicies[static_cast<int>(call.policy)]));
    set("inputs", text_list(c, call.inputs));
    set("shapes", shape_list(c, call.shapes));
    set("result", c.text(call.result));
    set("casts", c.number(call.casts));
    set("castBytes", c.number(static_cast<double>(call.cast_bytes)));
    set("cached", c.number(call.cached));
    check_status(c.env, napi_set_element(c.env, list, static_cast<uint32_t>(i), item));
  }
  return list;
}

napi_value device_available(const Call& c) {
  const std::string name = c.string(0);
  Device device;
  const bool known = parse_device(name.data(), name.size(), &device);
  return c.boolean_value(known && (device.is_cpu() || cuda_backend() != nullptr));
}

}  // namespace

void export_amp_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"setAutocast", entry<set_autocast>},       {"clearAutocastCache", entry<clear_cache>},
      {"autocastCacheStats", entry<cache_stats>}, {"deviceAvailable", entry<device_available>},
      {"startAutocastTrace", entry<start_trace>}, {"stopAutocastTrace", entry<stop_trace>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
