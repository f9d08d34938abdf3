// The native engine: Verilator's model of a shared adapter on a board, behind functions in C.
//
// Python loads it with ctypes (byway/sim/engines/native.py), which needs neither Python's headers
// nor a binding generator on the user's machine; a call moves time on by many cycles.

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "axi_memory.h"
#include "gmii_sink.h"
#include "register_master.h"
#include "verilated.h"
#include "Vbyway.h"
#include "Vbyway___024root.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

using Top = Vbyway;

constexpr uint64_t kHalfCycle = 4;  // In units of 1 ns.

// What Python looks at between calls, in place; byway/sim/engines/native.py has the same.
struct State {
  uint64_t cycle;
  uint64_t frames;  // That came off the wire and wait to be taken.
  uint32_t data;    // Of the last register read.
  uint8_t response;
  uint8_t adapter_interrupt, manager_interrupt, quiescent;
  uint8_t restless;  // The adapter said that it was quiescent in the last cycle, and changed.
};

struct Frame {
  uint64_t first_cycle, last_cycle, length;
  const uint8_t* bytes;
  uint8_t error;
};

class Board {
 public:
  State state{};

  Board(uint8_t* storage, uint64_t size, const byway::MemoryManner& manner)
      : context_(std::make_unique<VerilatedContext>()),
        top_(std::make_unique<Top>(context_.get())),
        memory_(storage, size, manner) {
    top_->eval();
  }

  ~Board() { top_->final(); }

  void open_waveform(const char* path) {
#if VM_TRACE
    context_->traceEverOn(true);
    waveform_ = std::make_unique<VerilatedVcdC>();
    top_->trace(waveform_.get(), 99);
    waveform_->open(path);
    waveform_->dump(0);
#else
    (void)path;
#endif
  }

  void close_waveform() {
#if VM_TRACE
    if (waveform_) waveform_->close();
    waveform_.reset();
#endif
  }

  // Advance until software has something to do or, with `until_rest`, until nothing is under way;
  // at most `cycles`.
  void run(uint64_t cycles, bool until_rest) {
    for (uint64_t end = state.cycle + cycles; state.cycle != end;) {
      step();
      if (attention()) return;
      if (until_rest) {
        if (state.quiescent && memory_.idle() && !master_.busy()) return;
        continue;
      }
      if (!top_->quiescent || !is_still() || state.cycle == end) continue;
      state.restless = !rests();
      if (attention() || state.restless) return;
      state.cycle = end;
    }
  }

  // The model alone, for comparison: nothing looks at it, nothing goes in.
  void clock_alone(uint64_t cycles) {
    for (; cycles; --cycles) {
      top_->clk = 1;
      top_->eval();
      top_->clk = 0;
      top_->eval();
    }
  }

  void read(uint32_t address) {
    master_.begin_read(address);
    finish_access();
    state.data = master_.data();
  }

  void write(uint32_t address, uint32_t value) {
    master_.begin_write(address, value);
    finish_access();
  }

  // The oldest frame; valid until the next call.
  void take_frame(Frame* frame) {
    taken_ = std::move(sink_.frames.front());
    sink_.frames.pop_front();
    state.frames = sink_.frames.size();
    *frame = {taken_.first_cycle, taken_.last_cycle, taken_.bytes.size(), taken_.bytes.data(),
              taken_.error};
  }

 private:
  void step() {
    Top& top = *top_;
    sink_.tick(state.cycle, top);
    state.frames = sink_.frames.size();
    state.adapter_interrupt = top.adapter_interrupt;
    state.manager_interrupt = top.manager_interrupt;
    state.quiescent = top.quiescent;
    memory_.tick(state.cycle, top);
    master_.tick(top);
    ++state.cycle;
    top.clk = 1;
    top.eval();
    dump(2 * state.cycle - 1);
    top.clk = 0;
    top.eval();
    dump(2 * state.cycle);
  }

  // Software has something to do.
  bool attention() const {
    return state.frames || state.adapter_interrupt || state.manager_interrupt;
  }

  // Nothing goes in, and nothing is under way outside.
  bool is_still() const { return memory_.idle() && !master_.busy() && !top_->gmii_tx_en; }

  // Whether one more cycle changes nothing at all in the adapter: then, as nothing goes in, no
  // later one does either.
  bool rests() {
    before_.resize(sizeof(*top_->rootp));
    std::memcpy(before_.data(), static_cast<const void*>(top_->rootp), before_.size());
    step();
    return std::memcmp(before_.data(), static_cast<const void*>(top_->rootp), before_.size()) == 0;
  }

  void finish_access() {
    while (master_.busy()) step();
    state.response = master_.response();
  }

  void dump(uint64_t half_cycles) {
#if VM_TRACE
    if (waveform_) waveform_->dump(half_cycles * kHalfCycle);
#else
    (void)half_cycles;
#endif
  }

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Top> top_;
#if VM_TRACE
  std::unique_ptr<VerilatedVcdC> waveform_;
#endif
  byway::AxiMemory<Top> memory_;
  byway::RegisterMaster<Top> master_;
  byway::GmiiSink<Top> sink_;
  byway::WireBytes taken_;
  std::vector<uint8_t> before_;  // The model's state, a cycle ago.
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Board* byway_open(uint8_t* storage, uint64_t size, const byway::MemoryManner* manner,
                         const char* waveform) {
  auto board = std::make_unique<Board>(storage, size, *manner);
  if (waveform) board->open_waveform(waveform);
  return board.release();
}

EXPORT State* byway_state(Board* board) { return &board->state; }
EXPORT void byway_run(Board* board, uint64_t cycles, bool until_rest) {
  board->run(cycles, until_rest);
}
EXPORT void byway_clock_alone(Board* board, uint64_t cycles) { board->clock_alone(cycles); }
EXPORT void byway_read(Board* board, uint32_t address) { board->read(address); }
EXPORT void byway_write(Board* board, uint32_t address, uint32_t value) {
  board->write(address, value);
}
EXPORT void byway_take_frame(Board* board, Frame* frame) { board->take_frame(frame); }
EXPORT void byway_close(Board* board) {
  board->close_waveform();
  delete board;
}
