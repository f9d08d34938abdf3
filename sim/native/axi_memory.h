// The board's AXI4 memory: cycle for cycle what byway/sim/board/axi_memory.py is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "chance.h"

namespace byway {

enum BurstKind : uint8_t { kFixed = 0, kIncrementing = 1, kWrapping = 2 };   // AxBURST
enum Resp : uint8_t { kOkay = 0, kSlaveError = 2, kDecodeError = 3 };        // xRESP

// How a memory behaves; the same as MemoryManner in Python, in its order.
struct MemoryManner {
  uint32_t latency, outstanding, stalls, reorders, errors;
  uint64_t seed;
};

// What passes on the bus; the same as BusBeat and BeatKind in Python.
enum BeatKind : uint8_t { kReadAddress, kWriteAddress, kReadData, kWriteData };
struct BusBeat {
  uint64_t cycle, address;
  uint32_t identifier;
  uint16_t requester;
  uint8_t kind, size;
  uint8_t data[64];
};

// Answers at the m_axi port of `Top`, over bytes that belong to somebody else.
template <class Top>
class AxiMemory {
 public:
  std::vector<BusBeat> passed;  // If it watches, until somebody clears it.

  AxiMemory(uint8_t* storage, uint64_t size, const MemoryManner& manner, bool watches)
      : storage_(storage), size_(size), manner_(manner), watches_(watches) {}

  // Nothing is being answered, and nothing is left to chance.
  bool idle() const {
    return reads_.empty() && writes_.empty() && responses_.empty() && data_.empty() &&
           !manner_.stalls;
  }

  // Look at the outputs of `top` in this cycle and set its inputs for the clock edge at its end.
  void tick(uint64_t cycle, Top& top) {
    respond(cycle, top);
    offer_beat(cycle, top);

    top.m_axi_arready = reads_.size() < manner_.outstanding && !stalls(cycle, kReadAddressStall);
    if (top.m_axi_arready && top.m_axi_arvalid) {
      reads_.push_back(burst(cycle, top.m_axi_arid, top.m_axi_aruser, top.m_axi_araddr,
                             top.m_axi_arlen + 1u, 1u << top.m_axi_arsize, top.m_axi_arburst,
                             taken_reads_++, kReadError));
      watch(cycle, reads_.back(), kReadAddress);
    }
    size_t answering = writes_.size() + responses_.size();
    top.m_axi_awready = answering < manner_.outstanding && !stalls(cycle, kWriteAddressStall);
    if (top.m_axi_awready && top.m_axi_awvalid) {
      writes_.push_back(burst(cycle, top.m_axi_awid, top.m_axi_awuser, top.m_axi_awaddr,
                              top.m_axi_awlen + 1u, 1u << top.m_axi_awsize, top.m_axi_awburst,
                              taken_writes_++, kWriteError));
      watch(cycle, writes_.back(), kWriteAddress);
    }
    top.m_axi_wready = !stalls(cycle, kWriteDataStall);
    if (top.m_axi_wready && top.m_axi_wvalid) {
      Beat beat;
      std::memcpy(beat.data, &top.m_axi_wdata, kBytes);
      beat.strobes = top.m_axi_wstrb;
      data_.push_back(beat);
    }
    while (!writes_.empty() && !data_.empty()) store_beat(cycle);
  }

 private:
  static constexpr uint64_t kBytes = sizeof(Top::m_axi_wdata);  // Little-endian, as the host.
  static constexpr size_t kNone = ~size_t{0};
  static_assert(kBytes <= sizeof(BusBeat::data));

  // A burst that was asked for, and what of it is still to come.
  struct Burst {
    uint64_t first_cycle, identifier, address;
    uint32_t beats, beat_bytes, container;
    uint8_t kind, response, requester;

    void advance() {
      --beats;
      if (kind == kFixed) return;
      address += beat_bytes - address % beat_bytes;
      if (kind == kWrapping && address % container == 0) address -= container;
    }
  };
  struct Beat {
    uint8_t data[kBytes];
    uint64_t strobes;
  };

  bool holds(uint64_t base) const { return base <= size_ - kBytes; }

  bool stalls(uint64_t cycle, Use use) const {
    return manner_.stalls && chance(manner_.seed, cycle, use) < manner_.stalls;
  }

  Burst burst(uint64_t cycle, uint64_t identifier, uint8_t requester, uint64_t address,
              uint32_t beats, uint32_t beat_bytes, uint8_t kind, uint64_t number,
              Use error) const {
    bool fails = manner_.errors && chance(manner_.seed, number, error) < manner_.errors;
    return {cycle + 1 + manner_.latency,
            identifier,
            address,
            beats,
            beat_bytes,
            beats * beat_bytes,
            kind,
            fails ? kSlaveError : kOkay,
            requester};
  }

  // Take note of an address, or of the beat that `burst` has come to, and its `data`.
  void watch(uint64_t cycle, const Burst& burst, BeatKind kind, const void* data = nullptr) {
    if (!watches_) return;
    passed.push_back({cycle, burst.address, static_cast<uint32_t>(burst.identifier),
                      burst.requester, kind, static_cast<uint8_t>(burst.beat_bytes), {}});
    if (data) std::memcpy(passed.back().data, data, kBytes);
  }

  // Which of the bursts goes next, or kNone.
  size_t choose(const std::deque<Burst>& waiting, uint64_t cycle, Use stall, Use order) const {
    if (waiting.empty() || stalls(cycle, stall)) return kNone;
    if (!manner_.reorders) return waiting.front().first_cycle <= cycle ? 0 : kNone;
    // A burst is ready if it has waited long enough and no older one has its ID.
    auto is_ready = [&](size_t place) {
      auto same = [&](const Burst& other) {
        return other.identifier == waiting[place].identifier;
      };
      auto self = waiting.begin() + place;
      return self->first_cycle <= cycle && std::none_of(waiting.begin(), self, same);
    };
    size_t ready = 0;
    for (size_t place = 0; place < waiting.size(); ++place) ready += is_ready(place);
    if (ready == 0) return kNone;
    size_t chosen = chance(manner_.seed, cycle, order) % ready;
    for (size_t place = 0;; ++place)
      if (is_ready(place) && chosen-- == 0) return place;
  }

  void respond(uint64_t cycle, Top& top) {
    size_t place = offered_response_;
    if (place == kNone)
      place = choose(responses_, cycle, kWriteResponseStall, kWriteResponseOrder);
    top.m_axi_bvalid = place != kNone;
    offered_response_ = place;
    if (place == kNone) return;
    top.m_axi_bid = responses_[place].identifier;
    top.m_axi_bresp = responses_[place].response;
    if (top.m_axi_bready) {
      responses_.erase(responses_.begin() + place);
      offered_response_ = kNone;
    }
  }

  void offer_beat(uint64_t cycle, Top& top) {
    size_t place = offered_beat_;
    if (place == kNone) place = choose(reads_, cycle, kReadDataStall, kReadDataOrder);
    top.m_axi_rvalid = place != kNone;
    offered_beat_ = place;
    if (place == kNone) return;
    Burst& read = reads_[place];
    uint64_t base = read.address - read.address % kBytes;
    uint8_t response = holds(base) ? read.response : kDecodeError;
    if (response == kOkay) {
      std::memcpy(&top.m_axi_rdata, storage_ + base, kBytes);
    } else {
      std::memset(&top.m_axi_rdata, 0, kBytes);
    }
    top.m_axi_rid = read.identifier;
    top.m_axi_rresp = response;
    top.m_axi_rlast = read.beats == 1;
    if (!top.m_axi_rready) return;
    offered_beat_ = kNone;
    watch(cycle, read, kReadData, &top.m_axi_rdata);
    read.advance();
    if (read.beats == 0) reads_.erase(reads_.begin() + place);
  }

  void store_beat(uint64_t cycle) {
    Burst& write = writes_.front();
    const Beat& beat = data_.front();
    uint64_t base = write.address - write.address % kBytes;
    if (!holds(base)) {
      write.response = kDecodeError;
    } else if (write.response != kSlaveError) {
      for (uint64_t lane = 0; lane < kBytes; ++lane)
        if (beat.strobes >> lane & 1) storage_[base + lane] = beat.data[lane];
    }
    watch(cycle, write, kWriteData, beat.data);
    data_.pop_front();
    write.advance();
    if (write.beats == 0) {
      write.first_cycle = cycle + 1 + manner_.latency;
      responses_.push_back(write);
      writes_.pop_front();
    }
  }

  uint8_t* storage_;
  uint64_t size_;
  MemoryManner manner_;
  bool watches_;
  std::deque<Burst> reads_, writes_, responses_;
  std::deque<Beat> data_;
  // What is offered and not taken must stay; nothing before it goes meanwhile.
  size_t offered_beat_ = kNone, offered_response_ = kNone;
  uint64_t taken_reads_ = 0, taken_writes_ = 0;
};

}  // namespace byway
