// The board's AXI4 memory: cycle for cycle what byway/sim/board/axi_memory.py is.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>

namespace byway {

constexpr uint8_t kIncrementing = 1;                    // AxBURST
constexpr uint8_t kOkay = 0, kDecodeError = 3;          // xRESP

// Answers at the m_axi port of `Top`, over bytes that belong to somebody else.
template <class Top>
class AxiMemory {
 public:
  // `latency`: cycles added between an address and its first beat or response. `outstanding`:
  // addresses taken and not answered, reads and writes each.
  AxiMemory(uint8_t* storage, uint64_t size, uint32_t latency, uint32_t outstanding = 32)
      : storage_(storage), size_(size), latency_(latency), outstanding_(outstanding) {}

  // Nothing is being answered.
  bool idle() const {
    return reads_.empty() && writes_.empty() && responses_.empty() && data_.empty();
  }

  // Look at the outputs of `top` in this cycle and set its inputs for the clock edge at its end.
  void tick(uint64_t cycle, Top& top) {
    respond(cycle, top);
    offer_beat(cycle, top);
    top.m_axi_arready = reads_.size() < outstanding_;
    if (top.m_axi_arready && top.m_axi_arvalid) {
      reads_.push_back({cycle + 1 + latency_, top.m_axi_araddr, top.m_axi_arlen + 1u,
                        1u << top.m_axi_arsize, top.m_axi_arburst == kIncrementing,
                        static_cast<uint32_t>(top.m_axi_arid)});
    }
    top.m_axi_awready = writes_.size() + responses_.size() < outstanding_;
    if (top.m_axi_awready && top.m_axi_awvalid) {
      writes_.push_back({top.m_axi_awaddr, top.m_axi_awlen + 1u, 1u << top.m_axi_awsize,
                         top.m_axi_awburst == kIncrementing,
                         static_cast<uint32_t>(top.m_axi_awid), kOkay});
    }
    top.m_axi_wready = 1;
    if (top.m_axi_wvalid) {
      Beat beat;
      std::memcpy(beat.data, &top.m_axi_wdata, kBytes);
      beat.strobes = top.m_axi_wstrb;
      data_.push_back(beat);
    }
    while (!writes_.empty() && !data_.empty()) store_beat(cycle);
  }

 private:
  static constexpr uint64_t kBytes = sizeof(Top::m_axi_wdata);  // Little-endian, as the host.

  struct Read {
    uint64_t first_cycle, address;
    uint32_t beats, beat_bytes;
    bool increments;
    uint32_t id;
  };
  struct Write {
    uint64_t address;
    uint32_t beats, beat_bytes;
    bool increments;
    uint32_t id;
    uint8_t response;
  };
  struct Beat {
    uint8_t data[kBytes];
    uint64_t strobes;
  };
  struct Response {
    uint64_t cycle;
    uint32_t id;
    uint8_t response;
  };

  bool holds(uint64_t base) const { return base <= size_ - kBytes; }

  void respond(uint64_t cycle, Top& top) {
    top.m_axi_bvalid = !responses_.empty() && responses_.front().cycle <= cycle;
    if (!top.m_axi_bvalid) return;
    top.m_axi_bid = responses_.front().id;
    top.m_axi_bresp = responses_.front().response;
    if (top.m_axi_bready) responses_.pop_front();
  }

  void offer_beat(uint64_t cycle, Top& top) {
    top.m_axi_rvalid = !reads_.empty() && reads_.front().first_cycle <= cycle;
    if (!top.m_axi_rvalid) return;
    Read& read = reads_.front();
    uint64_t base = read.address - read.address % kBytes;
    if (holds(base)) {
      std::memcpy(&top.m_axi_rdata, storage_ + base, kBytes);
      top.m_axi_rresp = kOkay;
    } else {
      std::memset(&top.m_axi_rdata, 0, kBytes);
      top.m_axi_rresp = kDecodeError;
    }
    top.m_axi_rid = read.id;
    top.m_axi_rlast = read.beats == 1;
    if (!top.m_axi_rready) return;
    if (--read.beats == 0) {
      reads_.pop_front();
    } else if (read.increments) {
      read.address += read.beat_bytes - read.address % read.beat_bytes;
    }
  }

  void store_beat(uint64_t cycle) {
    Write& write = writes_.front();
    const Beat& beat = data_.front();
    uint64_t base = write.address - write.address % kBytes;
    if (holds(base)) {
      for (uint64_t lane = 0; lane < kBytes; ++lane)
        if (beat.strobes >> lane & 1) storage_[base + lane] = beat.data[lane];
    } else {
      write.response = kDecodeError;
    }
    data_.pop_front();
    if (write.increments) write.address += write.beat_bytes - write.address % write.beat_bytes;
    if (--write.beats == 0) {
      responses_.push_back({cycle + 1 + latency_, write.id, write.response});
      writes_.pop_front();
    }
  }

  uint8_t* storage_;
  uint64_t size_;
  uint32_t latency_, outstanding_;
  std::deque<Read> reads_;
  std::deque<Write> writes_;
  std::deque<Beat> data_;
  std::deque<Response> responses_;
};

}  // namespace byway
