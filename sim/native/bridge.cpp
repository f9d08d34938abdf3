// The native engine of measurements: a model of a managed bridge between rings and a memory.
//
// Python loads it with ctypes (byway/sim/engines/native_bridge.py).

#include <cstdint>

#include "axi_memory.h"
#include "model.h"
#include "register_master.h"
#include "rings.h"

namespace {

class Board {
 public:
  using Top = byway::Model::Top;

  uint64_t cycle = 0;
  uint32_t data = 0;  // Of the last register read.

  Board(uint8_t* storage, uint64_t size, const byway::MemoryManner& manner)
      : memory_(storage, size, manner, /*watches=*/false) {}

  // Let the rings ask for what they will until all is answered; they ask for nothing new after
  // `cycles`. Returns the accesses served, in the order in which they ended; if for kPatience cycles
  // nothing moves, those are all that there will be.
  const std::vector<byway::Served>& run(const byway::Access* accesses, byway::Ring* rings,
                                        uint64_t count, uint64_t turn, uint64_t cycles) {
    rings_.begin(accesses, rings, count, turn, cycle);
    uint64_t end = cycle + cycles;
    do step(cycle < end);
    while (!rings_.idle() && cycle - rings_.last_progress() < kPatience);
    return rings_.log();
  }

  uint8_t read(uint32_t address) {
    master_.begin_read(address);
    return finish_access();
  }

  uint8_t write(uint32_t address, uint32_t value) {
    master_.begin_write(address, value);
    return finish_access();
  }

 private:
  static constexpr uint64_t kPatience = 100'000;

  void step(bool asks) {
    auto& top = model_.top();
    memory_.tick(cycle, top);
    master_.tick(top);
    rings_.tick(cycle, top, asks);
    ++cycle;
    model_.rise();
    model_.fall();
  }

  uint8_t finish_access() {
    while (master_.busy()) step(false);
    data = master_.data();
    return master_.response();
  }

  byway::Model model_;
  byway::AxiMemory<Top> memory_;
  byway::RegisterMaster<Top> master_;
  byway::Rings<Top> rings_;
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Board* byway_open(uint8_t* storage, uint64_t size, const byway::MemoryManner* manner) {
  return new Board(storage, size, *manner);
}

EXPORT uint64_t byway_cycle(const Board* board) { return board->cycle; }
EXPORT uint32_t byway_data(const Board* board) { return board->data; }
EXPORT uint8_t byway_read(Board* board, uint32_t address) { return board->read(address); }
EXPORT uint8_t byway_write(Board* board, uint32_t address, uint32_t value) {
  return board->write(address, value);
}
EXPORT const byway::Served* byway_run(Board* board, const byway::Access* accesses,
                                      byway::Ring* rings, uint64_t count, uint64_t turn,
                                      uint64_t cycles, uint64_t* served) {
  const auto& log = board->run(accesses, rings, count, turn, cycles);
  *served = log.size();
  return log.data();
}
EXPORT void byway_close(Board* board) { delete board; }
