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
#include "waveform.h"

namespace {

using Top = Vbyway;

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
        waveform_(*context_, *top_),
        memory_(storage, size, manner) {
    top_->eval();
  }

  ~Board() { top_->final(); }

  // Returns errno.
  int record(const char* path, const byway::Section& section) {
    return waveform_.begin(path, section, state.cycle);
  }
  int end_recording() { return waveform_.end(); }
  void look_at_error(uint64_t cycle) { waveform_.look_at_error(cycle); }

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
      state.cycle = waveform_.leap(state.cycle, end);
    }
  }

  // The model alone, for comparison: nothing looks at it, nothing goes in.
  void clock_alone(uint64_t cycles) {
    for (; cycles; --cycles) {
      rise();
      fall();
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
    waveform_.look(state.cycle);
    sink_.tick(state.cycle, top);
    state.frames = sink_.frames.size();
    state.adapter_interrupt = top.adapter_interrupt;
    state.manager_interrupt = top.manager_interrupt;
    state.quiescent = top.quiescent;
    memory_.tick(state.cycle, top);
    master_.tick(top);
    waveform_.begin_cycle(++state.cycle);
    rise();
    waveform_.dump(2 * state.cycle - 1);
    fall();
    waveform_.dump(2 * state.cycle);
  }

  void rise() {
    top_->clk = 1;
    top_->eval();
  }

  // Nothing happens at the falling edge: unless a waveform shows it, the model need only know.
  void fall() { fall(*top_->rootp); }

  template <class Root>
  void fall(Root& root) {
    top_->clk = 0;
    if constexpr (!VM_TRACE && requires { root.__Vtrigprevexpr___TOP__clk__0; }) {
      root.__Vtrigprevexpr___TOP__clk__0 = 0;
    } else {
      top_->eval();
    }
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

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Top> top_;
  byway::Waveform<Top> waveform_;
  byway::AxiMemory<Top> memory_;
  byway::RegisterMaster<Top> master_;
  byway::GmiiSink<Top> sink_;
  byway::WireBytes taken_;
  std::vector<uint8_t> before_;  // The model's state, a cycle ago.
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Board* byway_open(uint8_t* storage, uint64_t size, const byway::MemoryManner* manner) {
  return new Board(storage, size, *manner);
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
EXPORT int byway_record(Board* board, const char* path, const byway::Section* section) {
  return board->record(path, *section);
}
EXPORT int byway_end_recording(Board* board) { return board->end_recording(); }
EXPORT void byway_look_at_error(Board* board, uint64_t cycle) { board->look_at_error(cycle); }
EXPORT void byway_close(Board* board) { delete board; }
