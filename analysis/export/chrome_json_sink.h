#pragma once
// Tracks in the JSON trace event format of Chrome's tracing ("traceEvents").
#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "analysis/export/output_file.h"
#include "analysis/export/track_sink.h"

namespace hvsim::analysis {

/// Groups are the format's processes, tracks its threads. Times are microseconds with up to six
/// decimals, so exact.
class ChromeJsonSink final : public TrackSink {
  public:
    ChromeJsonSink(const std::filesystem::path& path, std::string_view scenario);

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
    static constexpr std::size_t kPiece = 1 << 20;
    struct TrackState {
        std::uint64_t process = 0;
        std::string name, unit;  // quoted
    };

    void begin_event(TrackId track, char phase);
    void put_time(const char* key, sim::Time time);
    void put_mark(const Mark& mark);
    void put_flows(TrackId track, sim::Time time, std::span<const Flow> flows);
    void put_metadata(std::uint64_t process, std::uint64_t thread, const char* name,
                      std::string_view value);
    void write_full_piece();

    OutputFile file_;
    fmt::memory_buffer text_;
    bool first_ = true;
    std::map<std::string, StringId, std::less<>> strings_;
    std::vector<std::string> quoted_;  // by StringId
    std::vector<TrackState> tracks_;   // by TrackId
};

}  // namespace hvsim::analysis
