#pragma once
// Writes the events of a run into a trace file (sim/trace_format.h).
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sim/recorder.h"
#include "sim/trace_format.h"

namespace hvsim::sim {

/// Events are kept until a block is full, then compressed and written. A full disk never disturbs
/// the run: from the first failure on nothing is written any more, and finish() reports it.
class TraceWriter : public EventSink {
  public:
    /// Creates the file and writes its header (`info.events` is replaced by this program's event
    /// table). Throws ConfigError when that fails.
    TraceWriter(std::filesystem::path path, TraceInfo info);
    /// Finishes the file if finish() was not called; errors are then lost.
    ~TraceWriter() override;
    TraceWriter(const TraceWriter&) = delete;
    TraceWriter& operator=(const TraceWriter&) = delete;

    void on_event(const Event& event) override;
    void on_code(const Code& code) override { code_ = code; }
    bool wants_code() const noexcept override { return true; }
    /// The run's report as JSON, to be kept behind the events.
    void set_result(std::string json) { result_ = std::move(json); }
    /// Writes what is pending, the result, then the index. Throws ConfigError when anything could
    /// not be written since the start.
    void finish();

    /// Why something could not be written (errno); 0: everything was.
    int error() const noexcept { return error_; }
    std::uint64_t events() const noexcept { return events_; }
    std::uint64_t bytes() const noexcept { return offset_; }

  private:
    struct Block {
        std::uint64_t offset = 0;
        std::uint32_t events = 0;
        Time least = kNever;
        Time greatest = 0;
    };
    struct FileCloser {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    struct Compressor;

    /// Code that the block has given for a RIP; one that falls out is given again.
    struct GivenCode {
        std::uint64_t rip = 0;
        Code code;
    };
    static constexpr std::size_t kCodesKept = 1024;

    void put_code(std::uint64_t rip);
    void write(const void* data, std::size_t size) noexcept;
    /// Compresses `data` behind `fixed` bytes of output; returns the frame's size.
    std::size_t compress(std::size_t fixed, const void* data, std::size_t size);
    void write_block();
    void write_result();
    void write_index();

    std::filesystem::path path_;
    std::unique_ptr<std::FILE, FileCloser> file_;
    std::unique_ptr<Compressor> compressor_;
    std::vector<std::uint8_t> pending_;
    std::size_t pending_size_ = 0;
    TraceContext context_;
    Code code_;  // of the next event
    std::vector<GivenCode> codes_{kCodesKept};
    Block block_;
    std::vector<Block> blocks_;
    std::string result_;
    std::uint64_t offset_ = 0;
    std::uint64_t events_ = 0;
    int error_ = 0;  // errno of the first failed write
};

}  // namespace hvsim::sim
