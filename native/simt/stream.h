// Queued work of all devices. Each operation waits for those before it on its stream and for the
// events it was told to wait for, nothing else; which ready operation runs next is drawn, and how
// much runs before the host asks for a result depends on the configuration.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simt/config.h"

namespace simt {

struct Stream;
using StreamRef = std::shared_ptr<Stream>;

// A point of a stream: everything up to its ticket-th operation.
struct Mark {
  StreamRef stream;
  uint64_t ticket = 0;
};

struct Operation {
  std::function<std::string()> run;  // an empty text, or a report
  std::vector<Mark> after;
};

struct Stream {
  int device = 0;
  bool blocking = true;  // waits for the device's default stream, and that one for it
  uint64_t queued = 0;
  uint64_t done = 0;
  std::deque<Operation> queue;
};

struct Event {
  Mark mark;        // of the last record
  double time = 0;  // when it ran, in operations
  int queries = 0;  // answered "not ready" although it might have run
};

class Scheduler {
 public:
  StreamRef default_stream(int device);
  StreamRef create(int device, bool blocking);
  void destroy(const StreamRef& stream);

  void enqueue(const StreamRef& stream, std::function<std::string()> run);
  // The next operation of `stream` comes after `mark`.
  void wait(const StreamRef& stream, const Mark& mark);
  static Mark mark(const StreamRef& stream) { return {stream, stream->queued}; }
  static bool reached(const Mark& mark) { return !mark.stream || mark.stream->done >= mark.ticket; }

  // Runs what `mark` needs, and as much else as the schedule draws.
  void finish(const Mark& mark);
  void finish_device(int device);
  // A few ready operations, or none.
  void some();
  // The first report of an operation; nothing runs any more after it.
  const std::string& failure() const { return failure_; }
  double clock() const { return clock_; }
  void reset();

 private:
  static bool ready(const Stream& s);
  bool step(const std::vector<StreamRef>& among);
  bool run_needed(const Mark& mark);
  void run_head(Stream& s);

  Random random_;
  bool seeded_ = false;
  std::vector<StreamRef> streams_;
  std::vector<StreamRef> defaults_;  // by device
  std::string failure_;
  double clock_ = 0;
};

Scheduler& scheduler();

}  // namespace simt
