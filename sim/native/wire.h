// The wire of an adapter: whichever its ports are of.
#pragma once

#include <type_traits>

#include "gmii_sink.h"
#include "xgmii_sink.h"

namespace byway {

template <class Top>
concept HasXgmii = requires(Top& top) { top.xgmii_txd; };

template <class Top>
using WireSink = std::conditional_t<HasXgmii<Top>, XgmiiSink<Top>, GmiiSink<Top>>;

}  // namespace byway
