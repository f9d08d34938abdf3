// Collects what comes over an XGMII of 64 bits [IEEE 802.3, clause 46], as
// byway/sim/board/xgmii_sink.py does.
#pragma once

#include <algorithm>
#include <cstdint>

#include "wire_bytes.h"

namespace byway {

template <class Top>
class XgmiiSink : public WireCollector {
 public:
  static constexpr const char* kName = "xgmii";
  static constexpr uint64_t kCyclePs = 6400;

  // Something else than Idle is on the wire.
  static bool is_active(const Top& top) { return top.xgmii_txc != 0xff || top.xgmii_txd != kIdles; }

  // Look at the outputs of `top` in this cycle.
  void tick(uint64_t cycle, const Top& top) {
    uint64_t txd = top.xgmii_txd;
    unsigned txc = top.xgmii_txc;
    if (!in_frame_ && !is_active(top)) return;
    if (in_frame_ && !txc) {
      const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&txd);
      received_.insert(received_.end(), bytes, bytes + kLanes);
      return;
    }
    for (unsigned lane = 0; lane < kLanes; ++lane)
      take(cycle * kLanes + lane, uint8_t(txd >> (8 * lane)), txc >> lane & 1);
  }

 private:
  static constexpr unsigned kLanes = 8, kStartLanes = 4;
  static constexpr uint8_t kIdle = 0x07, kStart = 0xfb, kTerminate = 0xfd, kPreamble = 0x55;
  static constexpr uint64_t kIdles = 0x0707070707070707;
  static constexpr int64_t kGap = 12, kMostDeficit = 3;

  void take(uint64_t place, uint8_t character, bool control) {
    if (control && in_frame_ && (character == kIdle || character == kStart)) finish(place, false);
    if (control && character == kIdle) return;
    if (!in_frame_) {
      in_frame_ = true;
      first_ = place;
      bool started = control && character == kStart && place % kStartLanes == 0;
      error_ = !started;
      if (started) {
        received_.push_back(kPreamble);
        return;
      }
    }
    if (control && character == kTerminate) {
      finish(place, true);
      return;
    }
    received_.push_back(character);
    error_ |= control;
  }

  // A frame ended before `place`, from which on there is a gap.
  void finish(uint64_t place, bool whole) {
    deficit_ = ended_ ? std::max<int64_t>(0, deficit_ + kGap - int64_t(first_ - end_)) : 0;
    collect(place - 1, error_ || !whole || deficit_ > kMostDeficit);
    deficit_ = std::min(deficit_, kMostDeficit);
    end_ = place;
    ended_ = true;
    in_frame_ = false;
  }

  uint64_t end_ = 0;
  int64_t deficit_ = 0;
  bool in_frame_ = false, ended_ = false;
};

}  // namespace byway
