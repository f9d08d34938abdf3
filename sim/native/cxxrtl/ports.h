// The ports of CXXRTL's model as plain integers.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "byway.h"
#include "port_names.h"

namespace byway {

using Adapter = cxxrtl_design::p_byway;

template <size_t bits>
using Plain = std::conditional_t<
    (bits <= 8), uint8_t,
    std::conditional_t<
        (bits <= 16), uint16_t,
        std::conditional_t<(bits <= 32), uint32_t,
                           std::conditional_t<(bits <= 64), uint64_t,
                                              std::array<uint32_t, (bits + 31) / 32>>>>>;

struct Top {
#define PORT(name, member) Plain<decltype(Adapter::member)::bits> name{};
  BYWAY_INPUTS(PORT)
  BYWAY_OUTPUTS(PORT)
#undef PORT

  bool operator==(const Top&) const = default;
};

// An integer is as its value where the host is little-endian, but may have more bits. Returns
// whether the value is another one.
template <size_t bits>
bool set_value(cxxrtl::value<bits>& value, const Plain<bits>& plain) {
  static_assert(sizeof(plain) <= sizeof(value.data));
  const cxxrtl::value<bits> before = value;
  std::memcpy(value.data, &plain, sizeof(plain));
  value.data[value.chunks - 1] &= value.msb_mask;
  return value != before;
}

template <size_t bits>
void set_plain(Plain<bits>& plain, const cxxrtl::value<bits>& value) {
  std::memcpy(&plain, value.data, sizeof(plain));
}

template <size_t bits>
void set_plain(Plain<bits>& plain, const cxxrtl::wire<bits>& wire) {
  set_plain<bits>(plain, wire.curr);
}

// Returns whether any has changed.
inline bool set_inputs(Adapter& adapter, const Top& top) {
  bool changed = false;
#define PORT(name, member) changed |= set_value(adapter.member, top.name);
  BYWAY_INPUTS(PORT)
#undef PORT
  return changed;
}

inline void set_outputs(Top& top, const Adapter& adapter) {
#define PORT(name, member) set_plain(top.name, adapter.member);
  BYWAY_OUTPUTS(PORT)
#undef PORT
}

}  // namespace byway
