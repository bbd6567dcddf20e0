// Stores that bypass the caches, for results too large to stay in them: a line written whole then
// need not be read first. Element-wise loops compute a short run into a buffer, which is streamed
// from there; rows are streamed straight from registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ampgrad::cpu {

// Results of this many bytes do not survive in the last-level cache until they are used.
inline constexpr int64_t kStreamBytes = 16 << 20;
// Bytes computed before they are streamed: few, so that loads and stores go on side by side.
inline constexpr size_t kStreamRun = 2048;

inline constexpr int64_t kStreamLine = 64;

// From `p` to the next start of a line.
inline int64_t bytes_to_line(const void* p) {
  return static_cast<int64_t>(-reinterpret_cast<uintptr_t>(p) % kStreamLine);
}

// Do rows of a result go past the caches, straight from registers? They must be whole lines.
inline bool streams_rows(const void* out, int64_t rows, int64_t bytes) {
  return rows * bytes >= kStreamBytes && bytes % kStreamLine == 0 && bytes_to_line(out) == 0;
}

// As memcpy. Another thread sees the bytes after end_stream().
void stream_copy(void* to, const void* from, size_t bytes);
void end_stream();

}  // namespace ampgrad::cpu
