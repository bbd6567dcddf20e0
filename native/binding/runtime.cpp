// Exports that concern the process or the environment: set-up, memory, random state, threads.
#include "backend/cpu/parallel.h"
#include "binding/call.h"
#include "binding/function.h"
#include "core/device_backend.h"
#include "core/generators.h"

namespace ampgrad::binding {

namespace {

void keep_reference(const Call& c, size_t i, napi_ref* slot) {
  napi_valuetype type = napi_undefined;
  check_status(c.env, napi_typeof(c.env, c.argv[i], &type));
  AG_CHECK(type == napi_function, Type, "setup: expected a function, got ",
           describe_value(c.env, c.argv[i]));
  if (*slot != nullptr) check_status(c.env, napi_delete_reference(c.env, *slot));
  *slot = nullptr;
  check_status(c.env, napi_create_reference(c.env, c.argv[i], 1, slot));
}

// (makeFailure, collect): called by lib/native.ts when it is loaded; the last copy of it wins.
napi_value setup(const Call& c) {
  keep_reference(c, 0, &c.state->make_failure);
  keep_reference(c, 1, &c.state->collect);
  install_pressure_hook(c.state);
  return c.undefined();
}

void set_number(const Call& c, napi_value object, const char* key, double value) {
  check_status(c.env, napi_set_named_property(c.env, object, key, c.number(value)));
}

napi_value memory_stats(const Call& c) {
  const MemoryStats s = cpu_allocator().stats();
  napi_value out;
  check_status(c.env, napi_create_object(c.env, &out));
  set_number(c, out, "allocatedBytes", static_cast<double>(s.allocated));
  set_number(c, out, "peakAllocatedBytes", static_cast<double>(s.peak_allocated));
  set_number(c, out, "reservedBytes", static_cast<double>(s.reserved));
  set_number(c, out, "peakReservedBytes", static_cast<double>(s.peak_reserved));
  set_number(c, out, "allocations", static_cast<double>(s.allocations));
  set_number(c, out, "systemAllocations", static_cast<double>(s.system_allocations));
  set_number(c, out, "liveTensors", static_cast<double>(live_tensor_count()));
  set_number(c, out, "liveStorages", static_cast<double>(Storage::live_count()));
  set_number(c, out, "liveHandles", static_cast<double>(c.state->live_handles));
  set_number(c, out, "minorCollections", static_cast<double>(c.state->minor_collections));
  set_number(c, out, "majorCollections", static_cast<double>(c.state->major_collections));
  return out;
}

napi_value empty_cache(const Call& c) {
  cpu_allocator().empty_cache();
  return c.undefined();
}

// (bytes), or (null) for no limit.
napi_value set_memory_limit(const Call& c) {
  cpu_allocator().set_limit(
      c.is_absent(0) ? kNoLimit
                     : static_cast<uint64_t>(c.integer(0, "setLimit: argument 'bytes'")));
  return c.undefined();
}

napi_value reset_peak(const Call& c) {
  cpu_allocator().reset_peak_stats();
  return c.undefined();
}

napi_value manual_seed(const Call& c) {
  manual_seed_all(static_cast<uint64_t>(c.integer(0, "manualSeed: argument 'seed'")));
  return c.undefined();
}

// Generators by number: 0 the CPU's, 1 + i that of cuda:i.
Generator& generator_of(const Call& c, size_t i) {
  if (c.is_absent(i)) return default_generator();
  const int64_t number = c.integer(i, "generator");
  AG_CHECK(number >= 0 && number < 128, Range, "no generator has the number ", number);
  return generator_at(static_cast<int>(number));
}

// (seed, number)
napi_value seed_generator(const Call& c) {
  generator_of(c, 1).manual_seed(
      static_cast<uint64_t>(c.integer(0, "manualSeed: argument 'seed'")));
  return c.undefined();
}

napi_value count_generators(const Call& c) { return c.number(generator_count()); }

napi_value keep_first_generators(const Call& c) {
  const int64_t count = c.integer(0, "keepGenerators");
  AG_CHECK(count >= 1 && count <= 128, Range, "keepGenerators: ", count);
  keep_generators(static_cast<int>(count));
  return c.undefined();
}

napi_value initial_seed(const Call& c) {
  napi_value out;
  check_status(c.env, napi_create_bigint_uint64(c.env, generator_of(c, 0).initial_seed(), &out));
  return out;
}

napi_value reseed(const Call& c) {
  const uint64_t chosen = default_generator().seed();
  manual_seed_all(chosen);
  return c.number(static_cast<double>(chosen));
}

// [seed, offset] as bigints.
napi_value rng_state(const Call& c) {
  const PhiloxState s = generator_of(c, 0).state();
  napi_value out;
  napi_value seed;
  napi_value offset;
  check_status(c.env, napi_create_array_with_length(c.env, 2, &out));
  check_status(c.env, napi_create_bigint_uint64(c.env, s.seed, &seed));
  check_status(c.env, napi_create_bigint_uint64(c.env, s.offset, &offset));
  check_status(c.env, napi_set_element(c.env, out, 0, seed));
  check_status(c.env, napi_set_element(c.env, out, 1, offset));
  return out;
}

uint64_t read_word(const Call& c, size_t i) {
  uint64_t word = 0;
  bool lossless = false;
  const bool ok = napi_get_value_bigint_uint64(c.env, c.argv[i], &word, &lossless) == napi_ok;
  AG_CHECK(ok && lossless, Type, "setRngState: the state must be two unsigned 64-bit bigints");
  return word;
}

napi_value set_rng_state(const Call& c) {
  generator_of(c, 2).set_state({read_word(c, 0), read_word(c, 1)});
  return c.undefined();
}

napi_value get_threads(const Call& c) { return c.number(cpu::num_threads()); }

napi_value set_threads(const Call& c) {
  const int64_t n = c.integer(0, "setNumThreads: argument 'n'");
  AG_CHECK(n >= 1 && n <= 1024, Range, "setNumThreads: argument 'n' must be in [1, 1024], got ", n);
  cpu::set_num_threads(static_cast<int>(n));
  return c.undefined();
}

napi_value schemas(const Call& c) {
  napi_value list;
  check_status(c.env, napi_create_array_with_length(c.env, kNumOps, &list));
  for (int i = 0; i < kNumOps; ++i) {
    const napi_value row = op_schema(c.env, op_def(static_cast<OpId>(i)));
    check_status(c.env, napi_set_element(c.env, list, static_cast<uint32_t>(i), row));
  }
  return list;
}

// The row of a function by its name; that of an in-place form has an underscore more.
napi_value schema_of(const Call& c) {
  const std::string name = c.string(0);
  const OpDef* op = find_op(name);
  if (op == nullptr && name.ends_with('_')) op = find_op(name.substr(0, name.size() - 1));
  AG_CHECK(op != nullptr, Value, "opSchema: no op is named '", name, "'");
  return op_schema(c.env, *op);
}

// callInto(name, outs, values)
napi_value call_op_into(const Call& c) {
  const std::string name = c.string(0);
  const OpDef* op = find_op(name);
  AG_CHECK(op != nullptr, Value, "callInto: no op is named '", name, "'");
  call_into(c.env, *op, c.argv[1], c.argv[2]);
  return c.undefined();
}

// {alias: target}
napi_value aliases(const Call& c) {
  struct Alias {
    const char* name;
    const char* target;
  };
  static constexpr Alias kAliases[] = {
#define AG_ALIAS(alias, target) {#alias, (static_cast<void>(OpId::target), #target)},
#include "ops/table/alias.def"
#undef AG_ALIAS
  };
  napi_value out;
  check_status(c.env, napi_create_object(c.env, &out));
  for (const Alias& a : kAliases) {
    napi_value target;
    check_status(c.env, napi_create_string_utf8(c.env, a.target, NAPI_AUTO_LENGTH, &target));
    check_status(c.env, napi_set_named_property(c.env, out, a.name, target));
  }
  return out;
}

napi_value set_default_device(const Call& c) {
  napi_valuetype type = napi_undefined;
  check_status(c.env, napi_typeof(c.env, c.argv[0], &type));
  if (type == napi_null || type == napi_undefined) {
    c.state->default_device.reset();
    return c.undefined();
  }
  const std::string name = c.string(0);
  Device device;
  AG_CHECK(parse_device(name.data(), name.size(), &device), Device,
           "setDefaultDevice: argument 'device' must be 'cpu' or 'cuda:<index>', got string \"",
           name, "\"");
  if (!device.is_cpu()) backend_for(device).enter(device.index);  // it must exist
  c.state->default_device = device;
  return c.undefined();
}

}  // namespace

void export_runtime_functions(napi_env env, napi_value exports) {
  static constexpr Export kExports[] = {
      {"setup", entry<setup>},
      {"memoryStats", entry<memory_stats>},
      {"emptyCache", entry<empty_cache>},
      {"setMemoryLimit", entry<set_memory_limit>},
      {"resetPeakStats", entry<reset_peak>},
      {"manualSeed", entry<manual_seed>},
      {"seedGenerator", entry<seed_generator>},
      {"countGenerators", entry<count_generators>},
      {"keepGenerators", entry<keep_first_generators>},
      {"initialSeed", entry<initial_seed>},
      {"reseed", entry<reseed>},
      {"rngState", entry<rng_state>},
      {"setRngState", entry<set_rng_state>},
      {"getNumThreads", entry<get_threads>},
      {"setNumThreads", entry<set_threads>},
      {"setDefaultDevice", entry<set_default_device>},
      {"opSchemas", entry<schemas>},
      {"opSchema", entry<schema_of>},
      {"opAliases", entry<aliases>},
      {"callInto", entry<call_op_into>},
  };
  export_functions(env, exports, kExports, std::size(kExports));
}

}  // namespace ampgrad::binding
