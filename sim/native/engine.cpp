// The native engines: a model of a shared adapter on a board, behind functions in C.
//
// Python loads it with ctypes (byway/sim/engines/native.py), which needs neither Python's headers
// nor a binding generator on the user's machine; a call moves time on by many cycles. The model is
// that of the folder ahead on the search path: verilator/ or cxxrtl/.

#include <cstdint>

#include "board.h"
#include "model.h"

namespace {

using Board = byway::Board<byway::Model>;
using byway::Frame;
using byway::State;

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Board* byway_open(uint8_t* storage, uint64_t size, const byway::MemoryManner* manner,
                         bool watches) {
  return new Board(storage, size, *manner, watches);
}

EXPORT const char* byway_wire() { return Board::Sink::kName; }
EXPORT State* byway_state(Board* board) { return &board->state; }
EXPORT void byway_run(Board* board, uint64_t cycles, bool until_rest) {
  board->run(cycles, until_rest);
}
EXPORT void byway_clock_alone(Board* board, uint64_t cycles) { board->clock_alone(cycles); }
EXPORT void byway_read(Board* board, uint32_t address) { board->read(address); }
EXPORT void byway_write(Board* board, uint32_t address, uint32_t value) {
  board->write(address, value);
}
EXPORT void byway_take_frame(Board* board, Frame* frame) { board->take_frame(frame); }
EXPORT uint64_t byway_take_beats(Board* board, const byway::BusBeat** beats) {
  return board->take_beats(beats);
}
EXPORT int byway_record(Board* board, const char* path, const byway::Section* section) {
  return board->record(path, *section);
}
EXPORT int byway_end_recording(Board* board) { return board->end_recording(); }
EXPORT void byway_look_at_error(Board* board, uint64_t cycle) { board->look_at_error(cycle); }
EXPORT void byway_close(Board* board) { delete board; }
