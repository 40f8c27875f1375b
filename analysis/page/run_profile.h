#pragma once
// What the page of a run draws, collected from its trace: where virtual time went, rates over time,
// the stages of requests, interrupt latencies, console lines. Memory does not grow with the trace
// (the console's lines are cut off at kMostLines).
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/histogram.h"
#include "analysis/page/time_bins.h"
#include "analysis/timeline/spans.h"

namespace hvsim::analysis {

/// A stage of a request on its way through the machine, in the order of the way.
enum class Stage : std::uint8_t {
    notice,    ///< the guest's signal until the root's VMBus looks at the channel
    queue,     ///< from there until the packet is taken out of the ring
    provider,  ///< the storage provider: packet to SCSI request, and the answer's building
    disk,      ///< the disk: SCSI request until its data have moved
    signal,    ///< the answer is in the ring; until the guest has its interrupt
    kCount
};

class RunProfile : public TimelineListener {
  public:
    static constexpr std::size_t kMostLines = 4000;
    static constexpr std::size_t kSlowest = 20;
    static constexpr std::size_t kStages = static_cast<std::size_t>(Stage::kCount);

    /// Time of a virtual processor, in picoseconds.
    struct VpTime {
        sim::Duration guest = 0;
        sim::Duration waited = 0;                          ///< for a processor, ready to run
        std::map<std::uint64_t, sim::Duration> by_reason;  ///< in the hypervisor, by exit reason
    };
    /// Series of a logical processor: how many picoseconds of each bin it was in a mode.
    struct LpSeries {
        std::array<std::size_t, 4> modes{};  ///< by ProcessorMode
    };
    struct Operation {
        Histogram total;
        std::array<Histogram, kStages> stages;
    };
    /// Events counted over time.
    enum Rate : std::size_t { kExits, kInterrupts, kHypercalls, kExceptions, kDiskBytes, kRates };
    /// From what asks for a virtual processor's or the host's attention until it is taken.
    enum Latency : std::size_t { kDeviceToHost, kSynicToGuest, kTimerToGuest, kLatencies };

    RunProfile();
    void on_event(const sim::Event& event) override;
    void on_processor(const ProcessorSpan& span) override;
    void on_request(const ChannelRequest& request) override;
    void on_console_line(const ConsoleLine& line) override;

    sim::Time end() const noexcept { return end_; }
    const TimeBins& bins() const noexcept { return bins_; }
    const std::map<std::uint16_t, LpSeries>& processors() const noexcept { return processors_; }
    const std::map<std::pair<std::uint16_t, std::uint16_t>, VpTime>& vps() const noexcept {
        return vps_;
    }
    std::size_t rate_series(Rate rate) const noexcept { return rates_[rate]; }
    std::size_t queue_series() const noexcept { return queue_; }
    const std::map<std::uint64_t, Operation>& operations() const noexcept { return operations_; }
    const Histogram& latency(Latency which) const noexcept { return latencies_[which]; }
    /// The slowest requests, slowest first.
    const std::vector<ChannelRequest>& slowest() const noexcept { return slowest_; }
    const std::vector<ConsoleLine>& lines() const noexcept { return lines_; }
    std::uint64_t lines_left_out() const noexcept { return lines_left_out_; }

  private:
    using Unit = std::pair<std::uint16_t, std::uint16_t>;  // partition and VP
    using Vector = std::pair<Unit, std::uint64_t>;

    void on_accepted(const sim::Event& event);
    void on_timer(const sim::Event& event);
    void ask(Vector vector, sim::Time time, Latency latency);

    sim::Time end_ = 0;
    TimeBins bins_;
    std::array<std::size_t, kRates> rates_{};
    std::size_t queue_ = 0;
    std::map<std::uint16_t, LpSeries> processors_;
    std::map<Unit, VpTime> vps_;
    std::map<std::uint64_t, Operation> operations_;
    std::array<Histogram, kLatencies> latencies_;
    struct Asked {
        sim::Time time = 0;
        Latency latency = kDeviceToHost;
    };
    std::map<Vector, Asked> asked_;           // vectors that nobody has taken yet
    std::map<Unit, sim::Time> synic_events_;  // the oldest one without its interrupt
    std::vector<ChannelRequest> slowest_;
    std::vector<ConsoleLine> lines_;
    std::uint64_t lines_left_out_ = 0;
};

/// How long each stage of a request took; kNever: the trace does not tell, or it had none.
std::array<sim::Duration, RunProfile::kStages> stages_of(const ChannelRequest& request);

}  // namespace hvsim::analysis
