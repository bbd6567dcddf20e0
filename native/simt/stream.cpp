#include "simt/stream.h"

#include <algorithm>

#include "simt/memory.h"

namespace simt {

Scheduler& scheduler() {
  static auto* one = new Scheduler();
  return *one;
}

StreamRef Scheduler::default_stream(int device) {
  const auto index = static_cast<size_t>(device);
  if (defaults_.size() <= index) defaults_.resize(index + 1);
  if (!defaults_[index]) defaults_[index] = create(device, true);
  return defaults_[index];
}

StreamRef Scheduler::create(int device, bool blocking) {
  auto stream = std::make_shared<Stream>();
  stream->device = device;
  stream->blocking = blocking;
  streams_.push_back(stream);
  return stream;
}

// Work that is queued still runs, as on hardware.
void Scheduler::destroy(const StreamRef& stream) {
  finish(mark(stream));
  streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
}

void Scheduler::enqueue(const StreamRef& stream, std::function<std::string()> run) {
  Operation op;
  op.run = std::move(run);
  const StreamRef base = default_stream(stream->device);
  if (stream == base) {
    for (const StreamRef& other : streams_) {
      if (other != base && other->device == stream->device && other->blocking) {
        op.after.push_back(mark(other));
      }
    }
  } else if (stream->blocking) {
    op.after.push_back(mark(base));
  }
  stream->queue.push_back(std::move(op));
  ++stream->queued;
  if (config().streams == StreamMode::Eager) finish(mark(stream));
  if (config().streams == StreamMode::Random) some();
}

void Scheduler::wait(const StreamRef& stream, const Mark& until) {
  if (reached(until)) return;
  Operation op;
  op.run = [] { return std::string(); };
  op.after.push_back(until);
  stream->queue.push_back(std::move(op));
  ++stream->queued;
}

bool Scheduler::ready(const Stream& s) {
  if (s.queue.empty()) return false;
  const auto& after = s.queue.front().after;
  return std::all_of(after.begin(), after.end(), [](const Mark& m) { return reached(m); });
}

void Scheduler::run_head(Stream& s) {
  Operation op = std::move(s.queue.front());
  s.queue.pop_front();
  if (failure_.empty()) failure_ = op.run();
  ++s.done;
  clock_ += 1;
}

// One ready operation of the streams given; false when there is none.
bool Scheduler::step(const std::vector<StreamRef>& among) {
  if (!seeded_) {
    random_ = Random(config().seed ^ 0x73747265616d73u);
    seeded_ = true;
  }
  std::vector<Stream*> heads;
  for (const StreamRef& s : among) {
    if (ready(*s)) heads.push_back(s.get());
  }
  if (heads.empty()) return false;
  run_head(*heads[random_.below(static_cast<uint32_t>(heads.size()))]);
  return true;
}

// An operation that `until` cannot do without.
bool Scheduler::run_needed(const Mark& until) {
  Stream& s = *until.stream;
  if (s.done >= until.ticket) return false;
  for (const Mark& m : s.queue.front().after) {
    if (!reached(m)) return run_needed(m);
  }
  run_head(s);
  return true;
}

void Scheduler::finish(const Mark& until) {
  if (reached(until)) return;
  device_memory().open();
  while (!reached(until)) {
    const bool any = config().streams == StreamMode::Lazy ? run_needed(until) : step(streams_);
    if (!any) break;
  }
  device_memory().close();
}

void Scheduler::finish_device(int device) {
  const std::vector<StreamRef> streams = streams_;
  for (const StreamRef& s : streams) {
    if (s->device == device) finish(mark(s));
  }
}

void Scheduler::some() {
  if (random_.below(8) != 0) return;
  device_memory().open();
  for (uint32_t n = 1 + random_.below(8); n > 0; --n) {
    if (!step(streams_)) break;
  }
  device_memory().close();
}

void Scheduler::reset() {
  streams_.clear();
  defaults_.clear();
  failure_.clear();
  seeded_ = false;
  clock_ = 0;
}

}  // namespace simt
