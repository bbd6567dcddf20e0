// Streams and events by number, as the engine and JavaScript name them. Stream 0 is a device's own;
// the others come from a pool that is never destroyed: the allocator keeps freed blocks by stream,
// and a handle must not come back as another stream's.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ampgrad::cuda {

inline constexpr int kPooledStreams = 32;  // of one priority

// The next stream of the pool, made when it is first handed out. `high`: its work goes first.
int64_t next_stream(int device, bool high);
// Raises ERR_VALUE for a number that was not handed out.
cudaStream_t stream_of(int device, int64_t number);
// Of the calling thread.
int64_t current_stream_number(int device);
void set_current_stream_number(int device, int64_t number);

int64_t make_event(int device, bool timing);
void destroy_event(int64_t event) noexcept;
void record_event(int64_t event, int64_t stream);
void wait_event(int device, int64_t stream, int64_t event);
void synchronize_event(int64_t event);
// Also true for an event that was never recorded.
bool event_done(int64_t event);
double elapsed_milliseconds(int64_t from, int64_t to);

}  // namespace ampgrad::cuda
