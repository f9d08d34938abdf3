// CXXRTL's VCD, written where a recording wants it.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <cxxrtl/cxxrtl_vcd.h>

namespace byway {

// What a waveform (waveform.h) wants of a VCD.
class CxxrtlVcd {
 public:
  template <class Model>
  explicit CxxrtlVcd(Model& model) {
    model.adapter().debug_info(&items_, nullptr, "byway ");
    restart();
    writer_->sample(0);
    const std::string end = "$enddefinitions $end\n";
    header_ = writer_->buffer.substr(0, writer_->buffer.find(end) + end.size());
  }

  const std::string& header() const { return header_; }
  int failed() const { return failed_; }

  void begin(std::FILE* file) {
    file_ = file;
    restart();
    skip_ = header_.size();
  }

  void dump(uint64_t ps) {
    writer_->sample(ps);
    std::string& text = writer_->buffer;
    size_t length = text.size() - skip_;
    if (std::fwrite(text.data() + skip_, 1, length, file_) != length) failed_ = errno;
    text.clear();
    skip_ = 0;
  }

  void flush() {}

 private:
  // A new writer begins with the header and all values.
  void restart() {
    writer_.emplace();
    writer_->timescale(1, "ps");
    writer_->add_without_memories(items_);
  }

  cxxrtl::debug_items items_;
  std::optional<cxxrtl::vcd_writer> writer_;
  std::string header_;
  size_t skip_ = 0;  // Of what the writer gives: the header stands already.
  int failed_ = 0;
  std::FILE* file_ = nullptr;
};

}  // namespace byway
