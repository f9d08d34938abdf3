// The board around a model of the adapter, whoever made the model.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "axi_memory.h"
#include "register_master.h"
#include "waveform.h"
#include "wire.h"

namespace byway {

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
  uint64_t first, last, length;  // Places on the wire, in bytes; of the bytes.
  const uint8_t* bytes;
  uint8_t error;
};

// A model of the adapter with all that is around it. Of a `Model` it wants
//   Top, top()       its ports, as members of plain integers, and words where 64 bits are too few
//   rise(), fall()   the edges of the clock
//   remember()       keep the state, to ask later, a cycle after it,
//   is_remembered()  whether it is the same: then it stays so, if the inputs do
//   Vcd              only for waveforms; see there
template <class Model>
class Board {
 public:
  using Top = typename Model::Top;
  using Sink = WireSink<Top>;

  State state{};

  Board(uint8_t* storage, uint64_t size, const MemoryManner& manner, bool watches)
      : waveform_(model_), memory_(storage, size, manner, watches) {}

  // Returns errno.
  int record(const char* path, const Section& section) {
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
      if (!model_.top().quiescent || !is_still() || state.cycle == end) continue;
      state.restless = !rests();
      if (attention() || state.restless) return;
      state.cycle = waveform_.leap(state.cycle, end);
    }
  }

  // The model alone, for comparison: nothing looks at it, nothing goes in.
  void clock_alone(uint64_t cycles) {
    for (; cycles; --cycles) {
      model_.rise();
      model_.fall();
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
    *frame = {taken_.first, taken_.last, taken_.bytes.size(), taken_.bytes.data(), taken_.error};
  }

  // What has passed on the memory bus since the last call; valid until the next call.
  uint64_t take_beats(const BusBeat** beats) {
    taken_beats_.clear();
    std::swap(taken_beats_, memory_.passed);
    *beats = taken_beats_.data();
    return taken_beats_.size();
  }

 private:
  void step() {
    auto& top = model_.top();
    waveform_.look(state.cycle);
    sink_.tick(state.cycle, top);
    state.frames = sink_.frames.size();
    state.adapter_interrupt = top.adapter_interrupt;
    state.manager_interrupt = top.manager_interrupt;
    state.quiescent = top.quiescent;
    memory_.tick(state.cycle, top);
    master_.tick(top);
    waveform_.begin_cycle(++state.cycle);
    model_.rise();
    waveform_.dump(2 * state.cycle - 1);
    model_.fall();
    waveform_.dump(2 * state.cycle);
  }

  // Software has something to do.
  bool attention() const {
    return state.frames || state.adapter_interrupt || state.manager_interrupt;
  }

  // Nothing goes in, and nothing is under way outside.
  bool is_still() { return memory_.idle() && !master_.busy() && !Sink::is_active(model_.top()); }

  // Whether one more cycle changes nothing at all in the adapter: then, as nothing goes in, no
  // later one does either.
  bool rests() {
    model_.remember();
    step();
    return model_.is_remembered();
  }

  void finish_access() {
    while (master_.busy()) step();
    state.response = master_.response();
  }

  Model model_;
  Waveform<Model> waveform_;
  AxiMemory<Top> memory_;
  RegisterMaster<Top> master_;
  Sink sink_;
  WireBytes taken_;
  std::vector<BusBeat> taken_beats_;
};

}  // namespace byway
