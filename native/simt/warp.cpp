// Warp collectives: the lanes that a mask names meet at one place of the source, the last to come
// works out everybody's result. Also the words of a report.
#include <algorithm>
#include <cstring>

#include "simt/executor.h"

namespace simt {

namespace {

constexpr uint32_t kWarp = 32;

bool same_site(Site a, Site b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

std::string hex(uint32_t value) {
  static const char* const kDigits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[value >> shift & 15];
  return text;
}

std::string to_string(uint3 v) {
  std::string text = "(";
  text.append(std::to_string(v.x)).append(", ").append(std::to_string(v.y)).append(", ");
  return text.append(std::to_string(v.z)).append(")");
}

// Bits beyond the reach of a type would be undefined to compare: values travel in 64 bits, and the
// reductions of CUDA are on 32.
uint64_t reduce(WarpOp op, uint64_t a, uint64_t b) {
  const auto ua = static_cast<uint32_t>(a), ub = static_cast<uint32_t>(b);
  const auto sa = static_cast<int32_t>(ua), sb = static_cast<int32_t>(ub);
  switch (op) {
    case WarpOp::AddU:
    case WarpOp::AddS:
      return ua + ub;
    case WarpOp::MinU:
      return std::min(ua, ub);
    case WarpOp::MaxU:
      return std::max(ua, ub);
    case WarpOp::MinS:
      return static_cast<uint32_t>(std::min(sa, sb));
    case WarpOp::MaxS:
      return static_cast<uint32_t>(std::max(sa, sb));
    case WarpOp::AndB:
      return ua & ub;
    case WarpOp::OrB:
      return ua | ub;
    default:
      return ua ^ ub;
  }
}

}  // namespace

std::string to_string(Site site) {
  const char* slash = std::strrchr(site.file, '/');
  return std::string(slash == nullptr ? site.file : slash + 1) + ":" + std::to_string(site.line);
}

uint64_t Executor::warp(const WarpCall& call, int* second) {
  Lane& self = *lane;
  const uint32_t own = self.id % kWarp;
  if ((call.mask >> own & 1u) == 0) {
    fail([&] {
      return "bad mask: " + simt::to_string(call.site) + " is called by lane " +
             std::to_string(own) + " with the mask " + hex(call.mask) + ", which does not name it";
    }());
  }
  self.state = LaneState::AtWarp;
  self.call = call;
  if (warp_complete(self)) finish_warp(self);
  wait();
  if (second != nullptr) *second = self.result2;
  return self.result;
}

bool Executor::warp_complete(const Lane& last) const {
  const uint32_t base = last.id / kWarp * kWarp;
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((last.call.mask >> l & 1u) == 0) continue;
    if (base + l >= lanes_.size()) return false;
    const Lane& other = lanes_[base + l];
    if (other.state != LaneState::AtWarp || other.call.mask != last.call.mask ||
        !same_site(other.call.site, last.call.site) || other.call.op != last.call.op) {
      return false;
    }
  }
  return true;
}

void Executor::shuffle(Lane& to, uint32_t base) {
  const WarpCall& call = to.call;
  const int own = static_cast<int>(to.id % kWarp);
  const int width = call.width;
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    fail([&] {
      return "bad shuffle at " + simt::to_string(call.site) + ": width " + std::to_string(width);
    }());
  }
  const int first = own & ~(width - 1);
  const int last = first + width - 1;
  int from = own;
  if (call.op == WarpOp::ShflIdx) from = first | (call.param & (width - 1));
  if (call.op == WarpOp::ShflUp) from = own - call.param < first ? own : own - call.param;
  if (call.op == WarpOp::ShflDown) from = own + call.param > last ? own : own + call.param;
  if (call.op == WarpOp::ShflXor) from = (own ^ call.param) > last ? own : own ^ call.param;
  if (from < 0 || from >= static_cast<int>(kWarp) || (call.mask >> from & 1u) == 0) {
    fail([&] {
      return "bad shuffle at " + simt::to_string(call.site) + ": lane " + std::to_string(own) +
             " reads from lane " + std::to_string(from) + ", which the mask " + hex(call.mask) +
             " does not name";
    }());
  }
  to.result = lanes_[base + static_cast<uint32_t>(from)].call.value;
}

void Executor::finish_warp(const Lane& last) {
  const uint32_t base = last.id / kWarp * kWarp;
  const uint32_t mask = last.call.mask;
  const WarpOp op = last.call.op;
  uint64_t values[kWarp] = {};
  uint32_t votes = 0;
  uint64_t total = last.call.value;
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((mask >> l & 1u) == 0) continue;
    values[l] = lanes_[base + l].call.value;
    votes |= values[l] != 0 ? 1u << l : 0u;
    if (&lanes_[base + l] != &last) total = reduce(op, total, values[l]);
  }
  if (op == WarpOp::Custom) last.call.custom(values);
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((mask >> l & 1u) == 0) continue;
    Lane& to = lanes_[base + l];
    if (op >= WarpOp::ShflIdx && op <= WarpOp::ShflXor) {
      shuffle(to, base);
    } else if (op == WarpOp::MatchAny || op == WarpOp::MatchAll) {
      uint32_t equal = 0;
      for (uint32_t k = 0; k < kWarp; ++k) {
        if ((mask >> k & 1u) != 0 && values[k] == values[l]) equal |= 1u << k;
      }
      to.result2 = equal == mask ? 1 : 0;
      to.result = op == WarpOp::MatchAny || equal == mask ? equal : 0;
    } else if (op >= WarpOp::AddU && op != WarpOp::Custom) {
      to.result = total;
    } else {
      to.result = op == WarpOp::Any ? votes != 0 : (op == WarpOp::All ? votes == mask : votes);
    }
  }
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((mask >> l & 1u) != 0) make_ready(lanes_[base + l]);
  }
}

// Hardware promises nothing but the calling lane; the others are drawn from those still running.
uint32_t Executor::active_mask() {
  const uint32_t base = lane->id / kWarp * kWarp;
  uint32_t mask = 0;
  for (uint32_t l = 0; l < kWarp && base + l < lanes_.size(); ++l) {
    if (lanes_[base + l].state != LaneState::Exited) mask |= 1u << l;
  }
  const auto drawn = static_cast<uint32_t>(random_.next());
  return (mask & drawn) | 1u << (lane->id % kWarp);
}

bool Executor::guards_stack(const void* address) const {
  return std::any_of(fibers_.begin(), fibers_.end(),
                     [&](const auto& fiber) { return fiber->guards(address); });
}

std::string Executor::describe_warp_wait(const Lane& at) const {
  const uint32_t base = at.id / kWarp * kWarp;
  std::string text = "thread " + std::to_string(at.id) + " waits at " +
                     simt::to_string(at.call.site) + " for the lanes of the mask " +
                     hex(at.call.mask);
  for (uint32_t l = 0; l < kWarp; ++l) {
    if ((at.call.mask >> l & 1u) == 0) continue;
    const std::string name = "; lane " + std::to_string(l);
    if (base + l >= lanes_.size()) return text + name + " does not exist";
    const Lane& other = lanes_[base + l];
    if (other.state == LaneState::Exited) return text + name + " has exited";
    if (other.state == LaneState::AtBarrier) {
      return text + name + " waits at the barrier at " + simt::to_string(other.call.site);
    }
    if (!same_site(other.call.site, at.call.site)) {
      return text + name + " waits at " + simt::to_string(other.call.site);
    }
    if (other.call.mask != at.call.mask) {
      return text + name + " gives the mask " + hex(other.call.mask);
    }
  }
  return text;
}

std::string Executor::describe_wait(const Lane& at) const {
  if (at.state == LaneState::AtWarp) return describe_warp_wait(at);
  return "thread " + std::to_string(at.id) + " waits at the barrier at " +
         simt::to_string(at.call.site);
}

// Nobody can run, and not all have finished. The most telling wait of each kind is shown.
std::string Executor::blocked_report() const {
  std::string text = "deadlock: ";
  bool barrier = false;
  bool warp = false;
  for (const Lane& l : lanes_) {
    if (l.state == LaneState::Exited) continue;
    bool& shown = l.state == LaneState::AtWarp ? warp : barrier;
    if (shown) continue;
    text += (barrier || warp ? ". " : "") + describe_wait(l);
    shown = true;
  }
  return text;
}

std::string Executor::report(const Lane* at, const std::string& what) const {
  std::string text = "kernel " + launch_->kernel + ", block " + to_string(blockIdx);
  if (at != nullptr) text += ", thread " + to_string(at->thread);
  return text + ": " + what + " [seed " + std::to_string(config().seed) + ", order " +
         order_name(order_) + "]";
}

}  // namespace simt
