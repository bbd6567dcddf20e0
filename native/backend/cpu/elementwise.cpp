// See elementwise.h. Three ways, from the fastest: one call over memory when every operand is a
// run or a single value in the compute type; one call a row when the innermost dimension is such;
// otherwise blocks of about a thousand elements that are gathered, converted, computed, converted
// and scattered while they are in the first-level cache.
#include "backend/cpu/elementwise.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/strided.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 32768;  // elements of a cheap functor worth a thread
constexpr int64_t kMinRow = 64;    // shorter rows are gathered into blocks
constexpr size_t kBlockBytes = 4096;
// Bytes from which a run is streamed from two places in turn; in shorter ones both lie in one page,
// whose lines the processor then fetches no further ahead.
constexpr int64_t kDirectRun = 64 << 10;

// One operand of the running call. data == nullptr: the value is in `value`, converted.
struct Source {
  const char* data = nullptr;
  size_t size = 0;              // bytes of a stored element
  ConvertFn convert = nullptr;  // to the compute type; nullptr: stored in it
  bool single = false;
  bool linear = false;
  alignas(8) char value[8];
};

struct Job {
  const BlockEntry* entry;
  const Attrs* attrs;
  StridedSpace space;
  Source in[kMaxElementwiseInputs];
  int num_inputs;
  size_t compute_size;
  uint32_t single_mask = 0;
  char* out;
  size_t out_size;
  size_t result_size;
  ConvertFn convert_out = nullptr;  // nullptr: the block writes the output's dtype
  bool in_place = false;            // the output is an operand too
  bool large = false;               // the output does not stay in the caches
  bool streamed = false;            // and goes past them
};

void convert_one(DType from, DType to, const void* in, void* out) {
  convert_fn(from, to)(in, out, 1);
}

// A number or a single element, once, in the compute type. Comparisons see it rounded to the dtype
// the op works in, as if it were a tensor; arithmetic keeps its precision.
void load_single(const ElementwiseParams& p, int j, DType compute, bool round_first, Source* s) {
  alignas(8) char number[8];
  const void* from = p.in[j].data;
  DType dtype = p.in[j].dtype;
  if (from == nullptr) {
    const Scalar v = p.scalars[j];
    dtype = v.is_float() ? DType::Float64 : DType::Int64;
    if (v.is_float()) {
      const double d = v.to_double();
      std::memcpy(number, &d, sizeof(d));
    } else {
      const int64_t i = v.to_int();
      std::memcpy(number, &i, sizeof(i));
    }
    from = number;
  }
  alignas(8) char rounded[8];
  if (round_first && p.compute != compute && dtype != p.compute) {
    convert_one(dtype, p.compute, from, rounded);
    from = rounded;
    dtype = p.compute;
  }
  convert_one(dtype, compute, from, s->value);
  s->single = true;
  s->data = s->value;
}

void prepare(const ElementwiseParams& p, const BlockEntry& entry, Job* job) {
  simplify(p, &job->space);
  job->entry = &entry;
  job->attrs = &p.attrs;
  job->num_inputs = p.num_inputs;
  const DType compute = entry.compute;
  job->compute_size = dtype_size(compute);
  for (int j = 0; j < p.num_inputs; ++j) {
    Source& s = job->in[j];
    if (p.in[j].data == nullptr || job->space.is_single(j + 1)) {
      load_single(p, j, entry.single_type(), entry.bool_result, &s);
      job->single_mask |= 1u << j;
      continue;
    }
    s.data = static_cast<const char*>(p.in[j].data);
    s.size = dtype_size(p.in[j].dtype);
    s.convert = p.in[j].dtype == compute ? nullptr : convert_fn(p.in[j].dtype, compute);
    s.linear = job->space.is_linear(j + 1);
  }
  const DType result = entry.bool_result ? DType::Bool : compute;
  job->out = static_cast<char*>(p.out.data);
  job->out_size = dtype_size(p.out.dtype);
  job->result_size = dtype_size(result);
  if (p.out.dtype != result) job->convert_out = convert_fn(result, p.out.dtype);
  for (int j = 0; j < p.num_inputs; ++j) {
    job->in_place = job->in_place || job->in[j].data == job->out;
  }
  job->large = p.numel * static_cast<int64_t>(job->out_size) >= kStreamBytes;
  job->streamed = job->large && !job->in_place;
}

void skip(const Job& job, const void** in, uint32_t mask, int64_t n) {
  for (int j = 0; j < job.num_inputs; ++j) {
    if ((mask >> j & 1u) != 0) continue;
    in[j] = static_cast<const char*>(in[j]) + n * static_cast<int64_t>(job.in[j].size);
  }
}

// Through a buffer that stays in the cache.
void stream_through_buffer(const Job& job, const void** in, uint32_t mask, char* out, int64_t n) {
  alignas(64) char buffer[kStreamRun];
  const auto most = static_cast<int64_t>(kStreamRun / job.out_size);
  for (int64_t i = 0; i < n; i += most) {
    const auto count = static_cast<size_t>(std::min(most, n - i));
    job.entry->fn(in, buffer, count, mask, *job.attrs);
    stream_copy(out + i * static_cast<int64_t>(job.out_size), buffer, count * job.out_size);
    skip(job, in, mask, static_cast<int64_t>(count));
  }
}

// A run of a large row. What lies before and after whole lines is written as ever.
void large_run(const Job& job, const void** in, uint32_t mask, char* out, int64_t n) {
  const auto size = static_cast<int64_t>(job.out_size);
  const BlockFn lines = job.in_place ? job.entry->in_place : job.entry->stream;
  if (lines == nullptr || n * size < kDirectRun) {
    if (job.streamed) return stream_through_buffer(job, in, mask, out, n);
    return job.entry->fn(in, out, static_cast<size_t>(n), mask, *job.attrs);
  }
  const auto run = [&](BlockFn fn, int64_t count) {
    if (count == 0) return;
    fn(in, out, static_cast<size_t>(count), mask, *job.attrs);
    skip(job, in, mask, count);
    out += count * static_cast<int64_t>(job.out_size);
    n -= count;
  };
  run(job.entry->fn, std::min(n, bytes_to_line(out) / size));
  run(lines, n - n % (kStreamLine / size));
  run(job.entry->fn, n);
}

// Can the innermost dimension be handed to the block function as it lies in memory?
bool has_direct_rows(const Job& job) {
  if (job.convert_out != nullptr || job.space.inner_stride(0) != 1) return false;
  for (int j = 0; j < job.num_inputs; ++j) {
    const Source& s = job.in[j];
    if (s.single) continue;
    const int64_t stride = job.space.inner_stride(j + 1);
    if (s.convert != nullptr || (stride != 0 && stride != 1)) return false;
    // One element for a whole row is stored in the dtype of the others.
    if (stride == 0 && job.entry->single_type() != job.entry->compute) return false;
  }
  return true;
}

// Rows or parts of rows that cover [begin, end).
void run_rows(const Job& job, int64_t begin, int64_t end) {
  const StridedSpace& space = job.space;
  uint32_t mask = job.single_mask;
  for (int j = 0; j < job.num_inputs; ++j) {
    if (space.inner_stride(j + 1) == 0) mask |= 1u << j;
  }
  const void* in[kMaxElementwiseInputs];
  int64_t at = begin;
  while (at < end) {
    const int64_t inner = space.inner_size();
    const int64_t run = std::min(inner - at % inner, end - at);
    for (int j = 0; j < job.num_inputs; ++j) {
      const Source& s = job.in[j];
      in[j] = s.single
                  ? s.data
                  : s.data + StridedCursor(space, j + 1, at).offset * static_cast<int64_t>(s.size);
    }
    char* out = job.out + StridedCursor(space, 0, at).offset * static_cast<int64_t>(job.out_size);
    if (job.large) {
      large_run(job, in, mask, out, run);
    } else {
      job.entry->fn(in, out, static_cast<size_t>(run), mask, *job.attrs);
    }
    at += run;
  }
  if (job.streamed) end_stream();
}

// The block's elements of one operand in the compute type: in place where possible, else in
// `buffer`.
const void* load_block(const Job& job, int j, int64_t at, int64_t count, char* buffer,
                       char* scratch) {
  const Source& s = job.in[j];
  const auto n = static_cast<size_t>(count);
  if (s.single) return s.data;
  if (s.linear) {
    const char* from = s.data + at * static_cast<int64_t>(s.size);
    if (s.convert == nullptr) return from;
    s.convert(from, buffer, n);
    return buffer;
  }
  char* packed = s.convert == nullptr ? buffer : scratch;
  gather(job.space, j + 1, s.data, s.size, at, count, packed);
  if (s.convert != nullptr) s.convert(scratch, buffer, n);
  return buffer;
}

// Computed elements to where they lie side by side.
void store_block(const Job& job, const char* computed, char* scratch, char* target, size_t n) {
  if (!job.streamed) {
    job.convert_out(computed, target, n);
    return;
  }
  if (job.convert_out != nullptr) {
    job.convert_out(computed, scratch, n);
    computed = scratch;
  }
  stream_copy(target, computed, n * job.out_size);
}

void run_blocks(const Job& job, int64_t begin, int64_t end) {
  alignas(64) char buffers[kMaxElementwiseInputs][kBlockBytes];
  alignas(64) char result[kBlockBytes];
  alignas(64) char scratch[2 * kBlockBytes];
  const auto block = static_cast<int64_t>(kBlockBytes / std::max(job.compute_size, size_t{4}));
  const bool linear_out = job.space.is_linear(0);
  for (int64_t at = begin; at < end; at += block) {
    const int64_t count = std::min(block, end - at);
    const auto n = static_cast<size_t>(count);
    const void* in[kMaxElementwiseInputs];
    for (int j = 0; j < job.num_inputs; ++j) {
      in[j] = load_block(job, j, at, count, buffers[j], scratch);
    }
    char* target = job.out + at * static_cast<int64_t>(job.out_size);
    const bool in_place = linear_out && job.convert_out == nullptr && !job.streamed;
    char* computed = in_place ? target : result;
    job.entry->fn(in, computed, n, job.single_mask, *job.attrs);
    if (computed == target) continue;
    if (linear_out) {
      store_block(job, result, scratch, target, n);
      continue;
    }
    char* stored = result;
    if (job.convert_out != nullptr) {
      job.convert_out(result, scratch, n);
      stored = scratch;
    }
    scatter(job.space, 0, job.out, job.out_size, at, count, stored);
  }
  if (job.streamed) end_stream();
}

// Halves are widened in registers where nothing else takes part.
const BlockEntry& entry_for(const ElementwiseParams& p, const BlockEntry& entry) {
  if (entry.wide == nullptr) return entry;
  bool same = p.out.dtype == entry.compute;
  for (int j = 0; j < p.num_inputs; ++j) {
    same = same && (p.in[j].data == nullptr || p.in[j].dtype == entry.compute);
  }
  return same ? entry : *entry.wide;
}

}  // namespace

void elementwise(const ElementwiseParams& params, const void* block) {
  if (params.numel == 0) return;
  const BlockEntry& entry = entry_for(params, *static_cast<const BlockEntry*>(block));
  Job job;
  prepare(params, entry, &job);
  const int64_t grain = std::max<int64_t>(kGrain / entry.cost, 1024);
  const bool rows =
      has_direct_rows(job) && (job.space.ndim == 1 || job.space.inner_size() >= kMinRow);
  const auto work = [&](int64_t begin, int64_t end) {
    if (rows) {
      run_rows(job, begin, end);
    } else {
      run_blocks(job, begin, end);
    }
  };
  if (params.numel <= grain) {
    work(0, params.numel);
  } else {
    parallel_for(params.numel, grain, work);
  }
}

}  // namespace ampgrad::cpu
