// Chance that every engine throws alike: the same numbers as byway/sim/board/chance.py.
#pragma once

#include <cstdint>

namespace byway {

enum Use : uint64_t {
  kReadAddressStall,
  kWriteAddressStall,
  kWriteDataStall,
  kReadDataStall,
  kWriteResponseStall,
  kReadDataOrder,
  kWriteResponseOrder,
  kReadError,
  kWriteError,
};

// Sixteen random bits for the cycle or the item `number`.
inline uint32_t chance(uint64_t seed, uint64_t number, Use use) {
  uint64_t word = (seed * 16 + use + 1) * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03;
  word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
  word = (word ^ word >> 27) * 0x94D049BB133111EB;
  return word >> 48;
}

}  // namespace byway
