// Verilator's VCD, written where a recording wants it.
#pragma once

#include <cerrno>
#include <cstdio>
#include <string>

#include "Vbyway.h"
#include "verilated_vcd_c.h"

namespace byway {

// What a waveform (waveform.h) wants of a VCD.
class VerilatorVcd final : VerilatedVcdFile {
 public:
  template <class Model>
  explicit VerilatorVcd(Model& model) {
    vcd_.set_time_unit("1ps");
    vcd_.set_time_resolution("1ps");
    model.top().trace(&vcd_, 99);
    vcd_.open("");
    vcd_.flush();
    in_header_ = false;
  }

  const std::string& header() const { return header_; }
  int failed() const { return failed_; }

  void begin(std::FILE* file) {
    next_file_ = file;
    vcd_.openNext(false);
  }

  void dump(uint64_t ps) { vcd_.dump(ps); }
  void flush() { vcd_.flush(); }

 private:
  // What Verilator writes to: the header first, then file after file.
  bool open(const std::string&) override {
    file_ = next_file_;
    return true;
  }
  void close() override {}
  ssize_t write(const char* text, ssize_t length) override {
    if (in_header_) {
      header_.append(text, length);
    } else if (std::fwrite(text, 1, length, file_) != static_cast<size_t>(length)) {
      failed_ = errno;
    }
    return length;
  }

  bool in_header_ = true;
  std::string header_;
  int failed_ = 0;
  std::FILE* file_ = nullptr;
  std::FILE* next_file_ = nullptr;
  VerilatedVcdC vcd_{this};  // Goes first, as it writes until it has gone.
};

}  // namespace byway
