// A master behind the bridge: rings that ask for memory in turn, and a log of how each was served.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "axi_memory.h"

namespace byway {

// One burst that a ring asks for; byway/sim/engines/native_bridge.py has the same.
struct Access {
  uint64_t address;  // On the I/O bus.
  uint16_t beats;
  uint8_t size, identifier, write;
};

// What a ring does.
struct Ring {
  uint64_t first, count;      // Its accesses, from the first on.
  uint64_t begun, under_way;  // Of them, so far.
  uint64_t depth;             // May be under way at a time.
  uint64_t user;              // The requester that it is.
};

// How an access was served: the cycles in which it was first offered, was taken, and ended.
struct Served {
  uint64_t offered, taken, ended;
  uint32_t ring, response;  // The worst of its beats.
};

// Drives the s_axi port of `Top`. The rings take turns; in its turn a ring asks for as much as it
// may, up to `turn` accesses. Answers are always taken, and write data are always there.
template <class Top>
class Rings {
 public:
  void begin(const Access* accesses, Ring* rings, uint64_t count, uint64_t turn, uint64_t cycle) {
    last_progress_ = cycle;
    accesses_ = accesses;
    rings_ = rings;
    count_ = count;
    turn_ = turn;
    current_ = used_ = 0;
    log_.clear();
  }

  // No access is offered or under way.
  bool idle() const { return !offers_ && under_way_ == 0; }

  // The last cycle in which anything was taken or answered.
  uint64_t last_progress() const { return last_progress_; }

  const std::vector<Served>& log() const { return log_; }

  // Look at the outputs of `top` in this cycle and set its inputs for the clock edge at its end.
  // Nothing new is asked for unless `asks`.
  void tick(uint64_t cycle, Top& top, bool asks) {
    take_answers(cycle, top);
    if (!offers_ && asks) choose(cycle);
    top.s_axi_arvalid = offers_ && !access().write;
    top.s_axi_awvalid = offers_ && access().write;
    if (offers_) {
      const Access& wanted = access();
      top.s_axi_araddr = top.s_axi_awaddr = wanted.address;
      top.s_axi_arid = top.s_axi_awid = wanted.identifier;
      top.s_axi_arlen = top.s_axi_awlen = wanted.beats - 1;
      top.s_axi_arsize = top.s_axi_awsize = wanted.size;
      top.s_axi_arburst = top.s_axi_awburst = kIncrementing;
      top.s_axi_aruser = top.s_axi_awuser = rings_[offered_.ring].user;
      if (wanted.write ? top.s_axi_awready : top.s_axi_arready) taken(cycle);
    }
    give_data(top);
  }

 private:
  const Access& access() const { return accesses_[offered_access_]; }

  bool may(const Ring& ring) const {
    return ring.begun < ring.count && ring.under_way < ring.depth;
  }

  void choose(uint64_t cycle) {
    for (uint64_t looked = 0; looked <= count_; ++looked) {
      Ring& ring = rings_[current_];
      if (used_ < turn_ && may(ring)) {
        offered_ = {cycle, 0, 0, static_cast<uint32_t>(current_), kOkay};
        offered_access_ = ring.first + ring.begun++;
        ++ring.under_way;
        ++used_;
        offers_ = true;
        return;
      }
      current_ = current_ + 1 == count_ ? 0 : current_ + 1;
      used_ = 0;
    }
  }

  void taken(uint64_t cycle) {
    const Access& wanted = access();
    offered_.taken = last_progress_ = cycle;
    (wanted.write ? writes_ : reads_)[wanted.identifier].push_back(offered_);
    if (wanted.write) data_.push_back(wanted.beats);
    ++under_way_;
    offers_ = false;
  }

  void take_answers(uint64_t cycle, Top& top) {
    top.s_axi_rready = top.s_axi_bready = 1;
    if (top.s_axi_rvalid) answered(cycle, reads_[top.s_axi_rid], top.s_axi_rresp, top.s_axi_rlast);
    if (top.s_axi_bvalid) answered(cycle, writes_[top.s_axi_bid], top.s_axi_bresp, true);
  }

  void answered(uint64_t cycle, std::deque<Served>& waiting, uint32_t response, bool last) {
    last_progress_ = cycle;
    Served& served = waiting.front();
    served.response = std::max(served.response, response);
    if (!last) return;
    served.ended = cycle;
    log_.push_back(served);
    --rings_[served.ring].under_way;
    --under_way_;
    waiting.pop_front();
  }

  void give_data(Top& top) {
    top.s_axi_wvalid = !data_.empty();
    if (data_.empty()) return;
    std::memset(&top.s_axi_wdata, 0, sizeof(top.s_axi_wdata));
    std::memset(&top.s_axi_wstrb, 0, sizeof(top.s_axi_wstrb));  // What is measured changes nothing.
    top.s_axi_wlast = data_.front() == 1;
    if (top.s_axi_wready && --data_.front() == 0) data_.pop_front();
  }

  const Access* accesses_ = nullptr;
  Ring* rings_ = nullptr;
  uint64_t count_ = 0, turn_ = 1, current_ = 0, used_ = 0, under_way_ = 0, offered_access_ = 0,
           last_progress_ = 0;
  bool offers_ = false;
  Served offered_{};
  std::deque<Served> reads_[256], writes_[256];  // Under way, by ID.
  std::deque<uint32_t> data_;                    // Beats left to give of each write.
  std::vector<Served> log_;
};

}  // namespace byway
