// Stores that bypass the caches, for results too large to stay in them: a line written whole then
// need not be read first. Loops compute a short run into a buffer, which is streamed from there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ampgrad::cpu {

// Results of this many bytes do not survive in the last-level cache until they are used.
inline constexpr int64_t kStreamBytes = 16 << 20;
// Bytes computed before they are streamed.
inline constexpr size_t kStreamRun = 8192;

// Rows up to this size are computed in a buffer.
inline constexpr size_t kStreamRow = 16384;

// Do rows of a result go past the caches?
inline bool streams_rows(int64_t rows, int64_t size, size_t element) {
  const int64_t row = size * static_cast<int64_t>(element);
  return row <= static_cast<int64_t>(kStreamRow) && rows * row >= kStreamBytes;
}

// As memcpy. Another thread sees the bytes after end_stream().
void stream_copy(void* to, const void* from, size_t bytes);
void end_stream();

}  // namespace ampgrad::cpu
