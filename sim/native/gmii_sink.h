// Collects what comes over GMII [IEEE 802.3, clause 35]; byway/sim/board/gmii_sink.py judges it.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace byway {

// From the first preamble byte to the last of the FCS, with the cycles of both.
struct WireBytes {
  uint64_t first_cycle, last_cycle;
  bool error;
  std::vector<uint8_t> bytes;
};

template <class Top>
class GmiiSink {
 public:
  std::deque<WireBytes> frames;

  // Look at the outputs of `top` in this cycle.
  void tick(uint64_t cycle, const Top& top) {
    if (top.gmii_tx_en) {
      if (received_.empty()) first_cycle_ = cycle;
      received_.push_back(top.gmii_txd);
      error_ |= top.gmii_tx_er;
    } else if (!received_.empty()) {
      frames.push_back({first_cycle_, cycle - 1, error_, std::move(received_)});
      received_ = {};
      received_.reserve(kLongestFrame);
      error_ = false;
    }
  }

 private:
  static constexpr size_t kLongestFrame = 9 * 1024 + 64;
  std::vector<uint8_t> received_;
  uint64_t first_cycle_ = 0;
  bool error_ = false;
};

}  // namespace byway
