// What came over a wire as a frame; byway/sim/board/wire_frame.py judges it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace byway {

// From the first preamble byte to the last of the FCS, with the places of both, in bytes.
struct WireBytes {
  uint64_t first, last;
  bool error;
  std::vector<uint8_t> bytes;

  static constexpr size_t kLongest = 9 * 1024 + 64;
};

}  // namespace byway
