// The AXI4-Lite master of the processors: cycle for cycle byway/sim/board/register_master.py.
#pragma once

#include <cstdint>

namespace byway {

// Carries out one access at a time at the s_axil port of `Top`.
template <class Top>
class RegisterMaster {
 public:
  void begin_read(uint32_t address) {
    address_ = address;
    read_address_ = busy_ = true;
    write_address_ = write_data_ = false;
  }

  void begin_write(uint32_t address, uint32_t value) {
    address_ = address;
    value_ = value;
    write_address_ = write_data_ = busy_ = true;
    read_address_ = false;
  }

  bool busy() const { return busy_; }
  uint8_t response() const { return response_; }
  uint32_t data() const { return data_; }

  // Look at the outputs of `top` in this cycle and set its inputs for the clock edge at its end.
  void tick(Top& top) {
    top.s_axil_bready = top.s_axil_rready = 1;
    top.s_axil_awvalid = busy_ && write_address_;
    top.s_axil_wvalid = busy_ && write_data_;
    top.s_axil_arvalid = busy_ && read_address_;
    if (!busy_) return;
    top.s_axil_awaddr = top.s_axil_araddr = address_;
    top.s_axil_wdata = value_;
    top.s_axil_wstrb = 0xF;
    write_address_ &= !top.s_axil_awready;
    write_data_ &= !top.s_axil_wready;
    read_address_ &= !top.s_axil_arready;
    if (top.s_axil_bvalid) {
      response_ = top.s_axil_bresp;
      busy_ = false;
    }
    if (top.s_axil_rvalid) {
      response_ = top.s_axil_rresp;
      data_ = top.s_axil_rdata;
      busy_ = false;
    }
  }

 private:
  uint32_t address_ = 0, value_ = 0, data_ = 0;
  uint8_t response_ = 0;
  bool read_address_ = false, write_address_ = false, write_data_ = false, busy_ = false;
};

}  // namespace byway
