#pragma once
// Tracks as a trace of Perfetto (perfetto.proto).
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/export/output_file.h"
#include "analysis/export/track_sink.h"

namespace hvsim::analysis {

/// Perfetto counts nanoseconds: times are rounded down, which keeps their order. Packets come in
/// the order of the calls; Perfetto sorts them by time and keeps that order where times are equal.
class PerfettoSink final : public TrackSink {
  public:
    explicit PerfettoSink(const std::filesystem::path& path);

    StringId string(std::string_view text) override;
    TrackId add_track(const Track& track) override;
    void slice(TrackId track, sim::Time begin, sim::Time end, const Mark& mark) override;
    void open(TrackId track, sim::Time begin, const Mark& mark) override;
    void close(TrackId track, sim::Time end) override;
    void instant(TrackId track, sim::Time time, const Mark& mark) override;
    void counter(TrackId track, sim::Time time, std::int64_t value) override;
    void counter(TrackId track, sim::Time time, double value) override;
    void finish() override;
    void commit() override { file_.commit(); }

  private:
    /// Packets are collected and written in pieces of about this size.
    static constexpr std::size_t kPiece = 1 << 20;
    /// Events are put together here; longer texts and more flows are cut.
    static constexpr std::size_t kLongestEvent = 1 << 16, kLongestText = 1 << 13, kMostFlows = 1024;

    void event(TrackId track, sim::Time time, std::int32_t type, const Mark& mark);
    void packet(sim::Time time, const char* event, std::size_t size);
    void write_piece();

    OutputFile file_;
    std::string packets_;
    std::vector<char> event_, packet_;
    std::map<std::string, StringId, std::less<>> strings_;
    std::uint64_t tracks_ = 0;
};

}  // namespace hvsim::analysis
