// Verilator's model of the adapter.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "Vbyway.h"
#include "Vbyway___024root.h"
#include "verilated.h"
#if BYWAY_WAVES
#include "vcd.h"
#endif

namespace byway {

// What a board (board.h) wants of a model.
class Model {
 public:
  using Top = Vbyway;
#if BYWAY_WAVES
  using Vcd = VerilatorVcd;
#endif

  Model() {
    context_.traceEverOn(BYWAY_WAVES);
    top_.eval();
  }
  ~Model() { top_.final(); }

  Top& top() { return top_; }

  void rise() {
    top_.clk = 1;
    top_.eval();
  }

  // Nothing happens at the falling edge: unless a waveform shows it, the model need only know.
  void fall() { fall(*top_.rootp); }

  void remember() {
    const auto* state = reinterpret_cast<const char*>(top_.rootp);
    before_.assign(state, state + sizeof(*top_.rootp));
  }
  bool is_remembered() const {
    return std::memcmp(before_.data(), static_cast<const void*>(top_.rootp), before_.size()) == 0;
  }

 private:
  template <class Root>
  void fall(Root& root) {
    top_.clk = 0;
    if constexpr (!BYWAY_WAVES && requires { root.__Vtrigprevexpr___TOP__clk__0; }) {
      root.__Vtrigprevexpr___TOP__clk__0 = 0;
    } else {
      top_.eval();
    }
  }

  VerilatedContext context_;
  Top top_{&context_};
  std::vector<char> before_;  // Every byte of the state.
};

}  // namespace byway
