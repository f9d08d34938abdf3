// Waveforms of parts of a run: a window of cycles, or what is around an event. Without BYWAY_WAVES
// a shell that costs nothing.
#pragma once

#include <cstdint>

#if BYWAY_WAVES
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "wire.h"
#endif

namespace byway {

// What a recording waits for; byway/sim/engines/native.py has the same.
enum Event : uint32_t { kNoEvent, kFault, kFrame, kError };

// What to record: the cycles `first` to `last`; or, around an event, `cycles` before and after it.
struct Section {
  uint64_t first, last, number, cycles;
  uint32_t event;
};

#if BYWAY_WAVES

// Records one section after the other of what a model does, as VCD.
//
// Its `Vcd` knows all signals of a `Model`:
//   Vcd(model)
//   header()     what stands before the first moment
//   begin(file)  from now on, write there; all values first
//   dump(ps)     write a moment
//   flush()      write what is held back
//   failed()     errno
//
// A cycle begins with its clock edge, half a cycle before so many whole ones; the falling edge is in
// its middle. Before an event, two segments of at least `cycles` each take turns in files
// without a name; what they hold too much is left out in the end.
template <class Model>
class Waveform {
 public:
  explicit Waveform(Model& model) : model_(model) {}
  ~Waveform() { finish(); }

  // Begin a recording in `cycle`, in place of one that is under way; returns errno.
  int begin(const char* path, const Section& section, uint64_t cycle) {
    if (int failed = end()) return failed;
    path_ = path;
    section_ = section;
    failed_ = 0;
    frames_ = 0;
    happened_ = false;
    vcd_ = std::make_unique<typename Model::Vcd>(model_);
    if (section.event == kNoEvent) {
      output_ = File(std::fopen(path, "w"));
      if (!output_) return errno;
      write_header();
      vcd_->begin(output_.get());
    } else {
      for (File& segment : segments_) {
        segment = File(std::tmpfile());
        if (!segment) return errno;
      }
      vcd_->begin(segments_[0].get());
      segment_first_ = cycle;
    }
    recording_ = true;
    cycle_ = cycle;
    fault_before_ = model_.top().manager_interrupt;
    wire_before_ = Sink::is_active(model_.top());
    if (is_wanted()) dump(2 * cycle);
    return 0;
  }

  // End the recording, if it has not ended; returns errno. Without its event it leaves no file.
  int end() {
    finish();
    return std::exchange(failed_, 0);
  }

  // See what is on the pins in `cycle`.
  void look(uint64_t cycle) {
    if (!recording_ || section_.event == kNoEvent) return;
    bool fault = model_.top().manager_interrupt, wire = Sink::is_active(model_.top());
    if (section_.event == kFault && fault && !fault_before_ && !happened_) happen(cycle, cycle);
    if (section_.event == kFrame) {
      frames_ += wire && !wire_before_;
      if (wire && frames_ == section_.number) happen(cycle, cycle);
    }
    fault_before_ = fault;
    wire_before_ = wire;
  }

  // A frame that is not good ended in `cycle`.
  void look_at_error(uint64_t cycle) {
    if (recording_ && section_.event == kError && !happened_) happen(cycle, cycle);
  }

  // A cycle begins.
  void begin_cycle(uint64_t cycle) {
    if (!recording_) return;
    if (is_over(cycle)) return;
    if (section_.event != kNoEvent && !happened_ &&
               cycle >= segment_first_ + section_.cycles) {
      std::swap(segments_[0], segments_[1]);
      std::rewind(segments_[0].get());
      if (ftruncate(fileno(segments_[0].get()), 0)) failed_ = errno;
      vcd_->begin(segments_[0].get());
      segment_first_ = cycle;
    }
  }

  // Half a cycle is over.
  void dump(uint64_t half_cycles) {
    if (!recording_ || !is_wanted()) return;
    written_ = half_cycles * kCycle / 2;
    vcd_->dump(written_);
  }

  // How far time may leap from `cycle` towards `end`: not past where a window begins.
  uint64_t leap(uint64_t cycle, uint64_t end) {
    if (recording_ && section_.event == kNoEvent && cycle + 1 < section_.first)
      end = std::min(end, section_.first - 1);
    if (recording_) is_over(end);
    return end;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  using Sink = WireSink<typename Model::Top>;
  static constexpr uint64_t kCycle = Sink::kCyclePs;

  void write(const char* text, size_t length) {
    if (std::fwrite(text, 1, length, output_.get()) != length) failed_ = errno;
  }

  void write_header() { write(vcd_->header().data(), vcd_->header().size()); }

  void finish() {
    if (!std::exchange(recording_, false)) return;
    vcd_->flush();
    if (vcd_->failed()) failed_ = vcd_->failed();
    if (section_.event != kNoEvent && happened_) join();
    if (output_) {
      // So that it is as long as it should be, even if nothing happens at its end.
      uint64_t time = kCycle * std::min(cycle_, section_.last);
      if (time > written_ && std::fprintf(output_.get(), "#%llu\n", (unsigned long long)time) < 0)
        failed_ = errno;
      if (std::fclose(output_.release())) failed_ = errno;
    }
    for (File& segment : segments_) segment.reset();
  }

  // Go on to `cycle`; if that is past what is wanted, the recording ends.
  bool is_over(uint64_t cycle) {
    cycle_ = cycle;
    if (cycle <= section_.last || (section_.event != kNoEvent && !happened_)) return false;
    finish();
    return true;
  }

  bool is_wanted() const {
    return section_.event != kNoEvent || (section_.first <= cycle_ && cycle_ <= section_.last);
  }

  // The event lasts from `first` to `last`, as far as is known; later calls make it longer.
  void happen(uint64_t first, uint64_t last) {
    if (!std::exchange(happened_, true))
      section_.first = first - std::min(first, section_.cycles);
    section_.last = last + section_.cycles;
  }

  // Put what is wanted of both segments into one file.
  void join() {
    output_ = File(std::fopen(path_.c_str(), "w"));
    if (!output_) {
      failed_ = errno;
      return;
    }
    auto write_time = [&](uint64_t time) {
      std::string text = '#' + std::to_string(time) + '\n';
      write(text.data(), text.size());
    };
    write_header();
    uint64_t from = kCycle * section_.first - (section_.first ? kCycle / 2 : 0);
    std::unordered_map<std::string, std::string> values;  // Of each signal, just before.
    bool begun = false;
    written_ = 0;
    char* line = nullptr;
    size_t room = 0;
    for (int place : {1, 0}) {
      std::FILE* segment = segments_[place].get();
      std::rewind(segment);
      for (ssize_t length; (length = getline(&line, &room, segment)) > 0;) {
        if (line[0] == '#') {
          uint64_t time = std::strtoull(line + 1, nullptr, 10);
          if (time > kCycle * section_.last) break;
          written_ = time;
          if (!begun && time >= from) {
            begun = true;
            if (!values.empty()) {
              write_time(from);
              for (const auto& [code, value] : values) write(value.data(), value.size());
            }
            if (time == from && !values.empty()) continue;
          }
        } else if (!begun && length > 1) {
          std::string text(line, length);
          values[text.substr(text[0] == 'b' ? text.find(' ') + 1 : 1)] = text;
        }
        if (begun) write(line, length);
      }
    }
    std::free(line);
  }

  Model& model_;
  std::unique_ptr<typename Model::Vcd> vcd_;
  std::string path_;
  Section section_{};
  bool recording_ = false, happened_ = false, fault_before_ = false, wire_before_ = false;
  uint64_t cycle_ = 0, segment_first_ = 0, frames_ = 0, written_ = 0;
  File output_, segments_[2];  // The segment at hand, and the one before.
  int failed_ = 0;
};

#else

template <class Model>
class Waveform {
 public:
  explicit Waveform(Model&) {}
  int begin(const char*, const Section&, uint64_t) { return 0; }
  int end() { return 0; }
  void look(uint64_t) {}
  void look_at_error(uint64_t) {}
  void begin_cycle(uint64_t) {}
  void dump(uint64_t) {}
  uint64_t leap(uint64_t, uint64_t end) { return end; }
};

#endif

}  // namespace byway
