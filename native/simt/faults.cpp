// Turns a fault of a kernel into its report: the signal handler sends the thread to a landing on
// its own stack, which ends the block. A fault of the host in device memory is reported and then
// left to whoever handled it before, unless a test waits for it.
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <csetjmp>
#include <cstring>
#include <memory>
#include <utility>

#include "simt/control.h"
#include "simt/executor.h"
#include "simt/memory.h"

namespace simt {

namespace {

const int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction previous[3];

const void* fault_address = nullptr;
int fault_signal = 0;
bool stack_overflow = false;

thread_local sigjmp_buf* waiting = nullptr;

[[noreturn]] void landing() {
  std::string what;
  if (stack_overflow) {
    what = "stack overflow";
  } else if (fault_signal == SIGFPE) {
    what = "integer division by zero";
  } else {
    what = device_memory().describe(fault_address);
    if (what.empty()) what = executor().shared().describe(fault_address);
    if (what.empty()) what = "an address that is no memory of the device";
    what = "illegal access: " + what;
  }
  executor().fail(std::move(what));
}

int slot_of(int signal) { return signal == SIGSEGV ? 0 : (signal == SIGBUS ? 1 : 2); }

void send_to_landing(void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  void (*target)() = &landing;
  stack_overflow = executor().guards_stack(fault_address);
  lane->fiber->forget_frames();  // what stood on the stack is given up
#if defined(__x86_64__)
  auto sp = static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RSP]);
  if (stack_overflow) sp = executor().running_stack_top();
  sp = ((sp - 256) & ~uintptr_t{15}) - 8;  // past the red zone, as after a call
  uc->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(sp);
  uc->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(target);
#else
  uintptr_t sp = uc->uc_mcontext.sp;
  if (stack_overflow) sp = executor().running_stack_top();
  uc->uc_mcontext.sp = (sp - 256) & ~uintptr_t{15};
  uc->uc_mcontext.pc = reinterpret_cast<uintptr_t>(target);
#endif
}

void report_host_fault(const std::string& where) {
  const std::string text = "simt: the host touches device memory: " + where + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

void on_signal(int signal, siginfo_t* info, void* context) {
  if (signal == SIGSEGV && device_memory().open_at(info->si_addr)) return;
  if (executor().runs_here()) {
    fault_address = info->si_addr;
    fault_signal = signal;
    send_to_landing(context);
    return;
  }
  if (signal != SIGFPE) {
    const std::string where = device_memory().describe(info->si_addr);
    if (!where.empty()) {
      if (waiting != nullptr) siglongjmp(*waiting, 1);
      report_host_fault(where);
    }
  }
  const struct sigaction& old = previous[slot_of(signal)];
  if ((old.sa_flags & SA_SIGINFO) != 0 && old.sa_sigaction != nullptr) {
    old.sa_sigaction(signal, info, context);
  } else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
    old.sa_handler(signal);
  } else {
    sigaction(signal, &old, nullptr);  // the instruction runs again, and faults for good
  }
}

// A handler cannot run on a stack that has just overflowed.
struct SignalStack {
  SignalStack() {
    stack_t current;
    if (sigaltstack(nullptr, &current) == 0 && (current.ss_flags & SS_DISABLE) == 0) return;
    memory = std::make_unique<char[]>(kBytes);
    stack_t own{};
    own.ss_sp = memory.get();
    own.ss_size = kBytes;
    sigaltstack(&own, nullptr);
  }
  ~SignalStack() {
    if (!memory) return;
    stack_t off{};
    off.ss_flags = SS_DISABLE;
    sigaltstack(&off, nullptr);
  }
  static constexpr size_t kBytes = size_t{64} << 10;
  std::unique_ptr<char[]> memory;
};

}  // namespace

void install_fault_handler() {
  static thread_local SignalStack stack;
  for (const int signal : kSignals) {
    // A test framework may have put its own handler in front since the last time.
    struct sigaction current {};
    sigaction(signal, nullptr, &current);
    if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == &on_signal) continue;
    struct sigaction action {};
    action.sa_sigaction = &on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, &previous[slot_of(signal)]);
  }
}

std::string catch_host_fault(const std::function<void()>& body) {
  install_fault_handler();
  sigjmp_buf jump;
  if (sigsetjmp(jump, 1) != 0) {
    waiting = nullptr;
    return "the host touches device memory";
  }
  waiting = &jump;
  body();
  waiting = nullptr;
  return {};
}

}  // namespace simt
