// What came over a wire as frames; byway/sim/board/wire_frame.py judges them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace byway {

// From the first preamble byte to the last of the FCS, with the places of both, in bytes.
struct WireBytes {
  uint64_t first, last;
  bool error;
  std::vector<uint8_t> bytes;

  static constexpr size_t kLongest = 9 * 1024 + 64;
};

// What every far end of a wire keeps: the frames that are over, and the one that is coming.
class WireCollector {
 public:
  std::deque<WireBytes> frames;

 protected:
  // The frame that is coming ended at the place `last`.
  void collect(uint64_t last, bool error) {
    frames.push_back({first_, last, error, std::move(received_)});
    received_ = {};
    received_.reserve(WireBytes::kLongest);
  }

  std::vector<uint8_t> received_;
  uint64_t first_ = 0;
  bool error_ = false;
};

}  // namespace byway
