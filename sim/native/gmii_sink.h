// Collects what comes over GMII [IEEE 802.3, clause 35], as byway/sim/board/gmii_sink.py does.
#pragma once

#include <cstdint>

#include "wire_bytes.h"

namespace byway {

template <class Top>
class GmiiSink : public WireCollector {
 public:
  static constexpr const char* kName = "gmii";
  static constexpr uint64_t kCyclePs = 8000;

  // A frame is on the wire.
  static bool is_active(const Top& top) { return top.gmii_tx_en; }

  // Look at the outputs of `top` in this cycle.
  void tick(uint64_t cycle, const Top& top) {
    if (top.gmii_tx_en) {
      if (received_.empty()) first_ = cycle;
      received_.push_back(top.gmii_txd);
      error_ |= top.gmii_tx_er;
    } else if (!received_.empty()) {
      collect(cycle - 1, error_);
      error_ = false;
    }
  }
};

}  // namespace byway
