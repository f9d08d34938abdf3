// CXXRTL's model of the adapter.
#pragma once

#include "ports.h"
#if BYWAY_WAVES
#include "vcd.h"
#endif

namespace byway {

// What a board (board.h) wants of a model.
class Model {
 public:
  using Top = byway::Top;
#if BYWAY_WAVES
  using Vcd = CxxrtlVcd;
#endif

  Model() {
    adapter_.step();
    set_outputs(top_, adapter_);
  }

  Top& top() { return top_; }
  Adapter& adapter() { return adapter_; }

  // Inputs settle before the edge; at the edge the registers take what is there for them, and the
  // rest follows.
  void rise() {
    if (set_inputs(adapter_, top_)) adapter_.step();
    adapter_.p_clk.set(true);
    adapter_.eval();
    has_changed_ = adapter_.commit();
    adapter_.step();
    set_outputs(top_, adapter_);
  }

  // Nothing happens at the falling edge: the model need only know.
  void fall() {
    adapter_.p_clk.set(false);
    adapter_.prev_p_clk = adapter_.p_clk;
  }

  void remember() { before_ = top_; }
  bool is_remembered() const { return !has_changed_ && before_ == top_; }

 private:
  Adapter adapter_;
  Top top_, before_;
  bool has_changed_ = false;  // A register or a memory, at the last edge.
};

}  // namespace byway
